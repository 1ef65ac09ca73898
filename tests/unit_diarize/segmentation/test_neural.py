"""Chunks of a wave in blocks, and regions and local speakers from a network drawn by chance."""

import numpy as np
import pytest
import torch

from diarize.segmentation.chunk_stream import mean_over_chunks, stream_chunks
from diarize.segmentation.network.network import SegmentationNetwork, SegmentationNetworkConfig
from diarize.segmentation.network.weights import save_network
from diarize.segmentation.neural import NeuralConfig, NeuralSegmenter
from diarize.segmentation_training.batches import centred
from encoder.common.config import from_mapping
from encoder.common.parallel import one_thread
from encoder.errors import AudioError, CheckpointError, ConfigError
from encoder.features.log_mel import LogMel
from tests.support.tones import blocks_of

SIZE, STEP = 16000, 8000


def noise(samples, seed=0):
    return 0.1 * torch.randn(samples, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(1)
    network = SegmentationNetwork(SegmentationNetworkConfig(width=8, layers=1, hidden=8, edges=8))
    with torch.no_grad():  # so that it says one thing here and another there
        for p in network.parameters():
            p.mul_(2)
    return str(save_network(network, tmp_path_factory.mktemp("weights"), name="tiny"))


@pytest.fixture(scope="module")
def segmenter(weights):
    return NeuralSegmenter(NeuralConfig(weights=weights))


@pytest.mark.parametrize("step", [8000, 16000, 3200, 6400])
@pytest.mark.parametrize("length", [1, 319, 320, 15999, 16000, 16001, 24000, 24001, 40000, 51234])
def test_chunks_are_the_slices_of_all_features(length, step):
    wave = noise(length)
    chunks = list(stream_chunks([wave], LogMel(), size=SIZE, step=step))
    frames = 2 * -(-length // 320)
    whole = centred(torch.nn.functional.pad(wave, (0, frames * 160 - length)), LogMel())
    size = min(frames, 100)
    expected = list(range(0, frames - size + 1, step // 160))
    if expected[-1] + size < frames:
        expected.append(frames - size)
    assert [chunk.start for chunk in chunks] == [160 * first for first in expected]
    for first, chunk in zip(expected, chunks, strict=True):
        assert chunk.features.shape == (size, 64)
        # The very last frames hear zeros after the end in both.
        assert torch.allclose(chunk.features, whole[first : first + size], atol=1e-4)


def test_an_empty_wave_has_no_chunk():
    assert not list(stream_chunks([], LogMel(), size=SIZE, step=STEP))
    assert not list(stream_chunks([torch.zeros(0)], LogMel(), size=SIZE, step=STEP))


@pytest.mark.parametrize("longest", [2, 700, 30_000])
def test_blocks_of_any_size_give_the_same_chunks(longest):
    wave = noise(45_001 if longest > 2 else 17_000)
    whole = list(stream_chunks([wave], LogMel(), size=SIZE, step=STEP))
    cut = list(stream_chunks(blocks_of(wave, longest), LogMel(), size=SIZE, step=STEP))
    assert [c.start for c in cut] == [c.start for c in whole]
    assert all(torch.equal(a.features, b.features) for a, b in zip(cut, whole, strict=True))


def test_frames_get_the_mean_of_the_chunks_that_cover_them():
    values = np.array([[1, 1, 1, 1], [0, 0, 0, 0], [3, 3, 3, 3]], np.float16)
    found = mean_over_chunks(values, np.array([0, 2, 5]), 10)
    assert found.tolist() == [1, 1, 0.5, 0.5, 0, 1.5, 3, 3, 3, 0]
    assert mean_over_chunks(np.zeros((0, 0)), np.zeros(0, np.int64), 0).shape == (0,)


def test_what_a_segmentation_holds(segmenter):
    found = segmenter(noise(16000 * 27 + 100))
    assert found.chunks.activity.shape == (5, 500, 3)
    assert found.chunks.activity.min() >= 0
    assert found.chunks.activity.max() <= 1
    assert found.chunks.frame_hop == 320
    end = -(-(16000 * 27 + 100) // 320) * 320
    assert found.chunks.starts.tolist() == [0, 80_000, 160_000, 240_000, end - 160_000]


def test_activity_is_the_networks(segmenter):
    wave = noise(16000 * 12)
    found = segmenter(wave)
    features = centred(wave, LogMel())
    for start, activity in zip(found.chunks.starts, found.chunks.activity, strict=True):
        chunk = features[start // 160 :][:1000]
        if start + 160_000 == len(wave):
            chunk = features[-1000:]
        p = segmenter.network(chunk[None])[0].exp().detach()
        expected = torch.stack(
            [p[:, 1] + p[:, 4] + p[:, 5], p[:, 2] + p[:, 4] + p[:, 6], p[:, 3] + p[:, 5] + p[:, 6]]
        ).T
        assert np.allclose(activity, expected.numpy(), atol=2e-3)


def test_a_short_wave_is_one_chunk(segmenter):
    found = segmenter(noise(5000))
    assert found.chunks.activity.shape == (1, 16, 3)
    assert found.chunks.starts.tolist() == [0]


@pytest.mark.parametrize("blocks", [[], [torch.zeros(0)]])
def test_nothing_at_all(segmenter, blocks):
    found = segmenter.segment(blocks)
    assert found.regions.shape == (0, 2)
    assert found.chunks.activity.shape == (0, 0, 3)
    assert found.chunks.starts.shape == (0,)


@pytest.mark.parametrize("longest", [700, 200_000])
def test_blocks_and_threads_change_nothing(segmenter, longest):
    wave = noise(16000 * 96)  # 18 chunks: two batches
    whole = segmenter(wave)
    assert len(whole.chunks.activity) > 16
    with one_thread():
        alone = segmenter.segment(blocks_of(wave, longest))
    assert np.array_equal(alone.chunks.activity, whole.chunks.activity)
    assert np.array_equal(alone.regions, whole.regions)
    assert np.array_equal(alone.chunks.starts, whole.chunks.starts)


def test_regions_are_where_the_mean_probability_is_high(weights):
    wave = noise(16000 * 15) * torch.linspace(0.01, 1, 16000 * 15)
    network = NeuralSegmenter(NeuralConfig(weights=weights)).network
    p = [network(centred(wave, LogMel())[None, at : at + 1000]) for at in (0, 500)]
    first, second = (1 - one[0, :, 0].exp().detach().numpy() for one in p)
    mean = np.concatenate([first[:250], (first[250:] + second[:250]) / 2, second[250:]])
    middle = float(np.median(mean))
    plain = {"min_speech_s": 0.0, "min_silence_s": 0.0, "padding_s": 0.0}
    config = {"weights": weights, "hysteresis": {"onset": middle, "offset": middle, **plain}}
    segmenter = NeuralSegmenter(from_mapping(NeuralConfig, config))
    speech = np.zeros(750, np.bool_)
    for start, end in segmenter(wave).regions:
        speech[start // 320 : end // 320] = True
    sure = np.abs(mean - middle) > 2e-3  # float16 in between
    assert sure.mean() > 0.5
    assert 0.3 < speech.mean() < 0.7
    assert np.array_equal(speech[sure], mean[sure] >= middle)


def test_a_broken_sample_is_named_and_leaves_no_thread(segmenter):
    import threading

    wave = noise(16000 * 30)
    wave[234_567] = float("nan")
    with pytest.raises(AudioError, match="234567"):
        segmenter(wave)
    assert threading.active_count() == 1 or not any(
        "ThreadPool" in thread.name for thread in threading.enumerate()
    )


@pytest.mark.parametrize("step_s", [0.0, -1.0, 10.02, 0.03, 0.001])
def test_steps_that_cannot_be(step_s):
    with pytest.raises(ConfigError, match="step_s"):
        NeuralConfig(step_s=step_s)


def test_fine_steps(weights):
    segmenter = NeuralSegmenter(NeuralConfig(weights=weights, step_s=2.5))
    assert segmenter(noise(16000 * 15)).chunks.starts.tolist() == [0, 40_000, 80_000]


def test_missing_weights_say_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("DIARIZE_HOME", str(tmp_path))
    with pytest.raises(CheckpointError, match="nowhere"):
        NeuralSegmenter(NeuralConfig(weights=str(tmp_path / "nowhere.safetensors")))
