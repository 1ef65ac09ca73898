"""The segmenter of pyannote's network: whose frame is whose, whatever the blocks, and its weights.

The networks have few units, drawn by chance or made by hand.
"""

import numpy as np
import pytest
import torch

from diarize.segmentation import SEGMENTERS
from diarize.segmentation.chunk_stream import stream_waves
from diarize.segmentation.network.pyannet_public import network_of
from diarize.segmentation.network.weights import save_pyannote
from diarize.segmentation.pyannote import PyannoteConfig, PyannoteSegmenter, nearest_frames
from encoder.errors import AudioError, CheckpointError, ConfigError
from tests.support.pyannet import TINY, loud_weights, published_state
from tests.support.tones import blocks_of

# Of 589 frames, 270 samples apart, the one nearest to the middle of each 20 ms.
NEAREST = [
    min(range(589), key=lambda i: abs(495.5 + 270 * i - middle))
    for middle in range(160, 160_000, 320)
]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    network = network_of(published_state(1), TINY)
    return str(save_pyannote(network, tmp_path_factory.mktemp("weights")))


@pytest.fixture(scope="module")
def segmenter(weights):
    return PyannoteSegmenter(PyannoteConfig(weights=weights))


def swinging(samples, seed=0):
    """Noise whose strength changes much from second to second."""
    noise = torch.randn(samples, generator=torch.Generator().manual_seed(seed))
    t = torch.arange(samples) / 16000
    return 0.1 * noise * torch.sin(1.1 * t + 0.05 * t**2)


def by_the_network(segmenter, wave, start):
    """(500, 4): each speaker's and anyone's probability in a chunk, frame by frame."""
    chunk = torch.zeros(1, 160_000)
    heard = wave[start : start + 160_000]
    chunk[0, : len(heard)] = heard
    rows = segmenter.network(chunk)[0].exp().detach().numpy()
    assert rows.shape == (589, 7)
    p = rows[NEAREST].T
    return np.stack([p[1] + p[4] + p[5], p[2] + p[4] + p[6], p[3] + p[5] + p[6], 1 - p[0]], axis=1)


def test_frames_are_the_nearest_of_the_networks():
    nearest = nearest_frames(hop=270, seen=991)
    assert nearest.tolist() == NEAREST
    assert nearest[:5].tolist() == [0, 0, 1, 2, 3]  # middles at 160, 480, 800, 1120, 1440
    assert nearest[-3:].tolist() == [588, 588, 588]  # at 159,200 and on; the last is at 159,255.5


def test_activity_is_that_of_the_nearest_frames(segmenter):
    wave = swinging(16000 * 27 + 100)
    found = segmenter(wave)
    assert found.chunks.activity.dtype == np.float16
    assert found.chunks.activity.shape == (5, 500, 3)
    assert found.chunks.frame_hop == 320
    end = -(-len(wave) // 320) * 320
    assert found.chunks.starts.tolist() == [0, 80_000, 160_000, 240_000, end - 160_000]
    for start, activity in zip(found.chunks.starts, found.chunks.activity, strict=True):
        expected = by_the_network(segmenter, wave, int(start))[:, :3]
        assert expected.std() > 0.1
        assert np.abs(activity - expected).max() < 1e-3


@pytest.mark.parametrize("samples", [1, 320, 5000, 159_999])
def test_a_short_wave_is_filled_up_and_the_surplus_dropped(segmenter, samples):
    wave = swinging(samples) + 0.2
    found = segmenter(wave)
    frames = -(-samples // 320)
    assert found.chunks.activity.shape == (1, frames, 3)
    assert found.chunks.starts.tolist() == [0]
    expected = by_the_network(segmenter, wave, 0)[:frames, :3]
    assert np.abs(found.chunks.activity[0] - expected).max() < 1e-3
    assert (found.regions <= samples).all()


@pytest.mark.parametrize("blocks", [[], [torch.zeros(0)]])
def test_nothing_at_all(segmenter, blocks):
    found = segmenter.segment(blocks)
    assert found.regions.shape == (0, 2)
    assert found.chunks.activity.shape == (0, 0, 3)
    assert found.chunks.starts.shape == (0,)


def test_regions_are_where_the_mean_probability_is_high(segmenter, weights):
    wave = swinging(16000 * 15)
    first, second = (by_the_network(segmenter, wave, start)[:, 3] for start in (0, 80_000))
    mean = np.concatenate([first[:250], (first[250:] + second[:250]) / 2, second[250:]])
    plain = {"min_speech_s": 0.0, "min_silence_s": 0.0, "padding_s": 0.0}
    middle = float(np.median(mean))
    config = {"weights": weights, "hysteresis": {"onset": middle, "offset": middle, **plain}}
    of_median = SEGMENTERS.build("pyannote", {"pyannote": config}, where="segmentation")
    speech = np.zeros(750, np.bool_)
    for start, end in of_median(wave).regions:
        speech[start // 320 : end // 320] = True
    sure = np.abs(mean - middle) > 2e-3  # float16 in between
    assert sure.mean() > 0.5
    assert 0.3 < speech.mean() < 0.7
    assert np.array_equal(speech[sure], mean[sure] >= middle)


def test_two_speak_where_a_network_made_by_hand_hears_it(tmp_path):
    found = PyannoteSegmenter(PyannoteConfig(weights=str(loud_weights(tmp_path))))
    wave = 0.001 * swinging(16000 * 10)
    wave[48_000:128_000] += torch.sin(torch.arange(80_000.0) / 3)
    segmentation = found(wave)
    ((start, end),) = segmentation.regions
    assert abs(start - 48_000) < 1600 and abs(end - 128_000) < 1600
    loud = segmentation.chunks.activity[0, 160:390]
    assert (loud[:, :2] > 0.99).all() and (loud[:, 2] < 0.01).all()


@pytest.mark.parametrize("longest", [700, 200_000])
@pytest.mark.parametrize("threads", [1, 3])
def test_blocks_and_threads_change_nothing(segmenter, longest, threads):
    wave = swinging(16000 * 96 + 11)  # 19 chunks: three batches
    whole = segmenter(wave)
    assert len(whole.chunks.activity) == 19
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        cut = segmenter.segment(blocks_of(wave, longest))
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(cut.chunks.activity, whole.chunks.activity)
    assert np.array_equal(cut.regions, whole.regions)
    assert np.array_equal(cut.chunks.starts, whole.chunks.starts)


@pytest.mark.parametrize("step", [3200, 8000, 16000])
@pytest.mark.parametrize("length", [1, 319, 320, 15999, 16000, 16001, 24000, 24001, 51234])
def test_chunks_are_slices_of_the_wave(length, step):
    wave = swinging(length)
    whole = torch.nn.functional.pad(wave, (0, -length % 320))
    size = min(len(whole), 16000)
    starts = list(range(0, len(whole) - size + 1, step))
    if starts[-1] + size < len(whole):
        starts.append(len(whole) - size)
    for blocks in ([wave], blocks_of(wave, 700)):
        chunks = list(stream_waves(blocks, size=16000, step=step, hop=320))
        assert [chunk.start for chunk in chunks] == starts
        for chunk in chunks:
            assert torch.equal(chunk.features, whole[chunk.start :][:size])


def test_a_broken_sample_is_named(segmenter):
    wave = swinging(16000 * 30)
    wave[234_567] = float("nan")
    with pytest.raises(AudioError, match="234567"):
        segmenter(wave)


@pytest.mark.parametrize("step_s", [0.0, -1.0, 10.02, 0.03])
def test_steps_that_cannot_be(step_s):
    with pytest.raises(ConfigError, match="step_s"):
        PyannoteConfig(step_s=step_s)


def test_fine_steps(weights):
    fine = PyannoteSegmenter(PyannoteConfig(weights=weights, step_s=2.5))
    assert fine(swinging(16000 * 15)).chunks.starts.tolist() == [0, 40_000, 80_000]


def test_the_weights_are_found_by_their_name(monkeypatch, tmp_path):
    for name in ("DIARIZE_HOME", "XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    with pytest.raises(CheckpointError, match="`diarize models fetch pyannote-segmentation`") as e:
        PyannoteSegmenter()
    assert "segmentation.pyannote.weights" in str(e.value)
    (tmp_path / "weights").mkdir()
    path = save_pyannote(network_of(published_state(), TINY), tmp_path / "weights")
    found = PyannoteSegmenter()
    assert path.stem == f"pyannote-segmentation-{found.fingerprint}"
    assert found(swinging(20_000)).chunks.activity.shape == (1, 63, 3)
    with pytest.raises(CheckpointError, match=r"nowhere\.safetensors"):
        PyannoteSegmenter(PyannoteConfig(weights=str(tmp_path / "nowhere.safetensors")))
