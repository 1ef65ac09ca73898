"""Networks of others that hear chunks: whose frame is whose, whatever the blocks; wrong files."""

from __future__ import annotations

import hashlib
import sys

import numpy as np
import pytest
import torch

from diarize.segmentation import SEGMENTERS
from diarize.segmentation.chunk_stream import stream_waves
from diarize.segmentation.onnx_network import ChunkModel, ChunkNetwork
from diarize.segmentation.pyannote import PyannoteConfig, PyannoteSegmenter
from encoder.errors import AudioError, BackendUnavailable, CheckpointError, ConfigError
from tests.support.onnx_models import content
from tests.support.onnx_segmentation import (
    LIFT,
    NETWORK,
    SETTINGS,
    SLOPE,
    swinging,
    worked_out,
    write,
)
from tests.support.tones import blocks_of

CLASSES = ("nobody", "0", "1", "2", "01", "02", "12")
MODEL = ChunkModel(centre_samples=495.5, hop_samples=270.0, classes=CLASSES)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write(tmp_path_factory.mktemp("models") / "tiny.onnx")


@pytest.fixture(scope="module")
def segmenter(model):
    return PyannoteSegmenter(PyannoteConfig(model=str(model)))


def test_frames_are_the_nearest_of_the_models():
    nearest = MODEL.nearest_frames(589)
    assert nearest.shape == (500,)
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
        expected = worked_out(wave, int(start))[:, :3]
        assert expected.std() > 0.1
        assert np.abs(activity - expected).max() < 1e-3


@pytest.mark.parametrize("samples", [1, 320, 5000, 159_999])
def test_a_short_wave_is_filled_up_and_the_surplus_dropped(segmenter, samples):
    wave = swinging(samples) + 0.2
    found = segmenter(wave)
    frames = -(-samples // 320)
    assert found.chunks.activity.shape == (1, frames, 3)
    assert found.chunks.starts.tolist() == [0]
    assert np.abs(found.chunks.activity[0] - worked_out(wave, 0)[:frames, :3]).max() < 1e-3
    assert (found.regions <= samples).all()


@pytest.mark.parametrize("blocks", [[], [torch.zeros(0)]])
def test_nothing_at_all(segmenter, blocks):
    found = segmenter.segment(blocks)
    assert found.regions.shape == (0, 2)
    assert found.chunks.activity.shape == (0, 0, 3)
    assert found.chunks.starts.shape == (0,)


def test_regions_are_where_the_mean_probability_is_high(model):
    wave = swinging(16000 * 15)
    first, second = (worked_out(wave, start)[:, 3] for start in (0, 80_000))
    mean = np.concatenate([first[:250], (first[250:] + second[:250]) / 2, second[250:]])
    plain = {"min_speech_s": 0.0, "min_silence_s": 0.0, "padding_s": 0.0}
    middle = float(np.median(mean))
    config = {"model": str(model), "hysteresis": {"onset": middle, "offset": middle, **plain}}
    segmenter = SEGMENTERS.build("pyannote", {"pyannote": config}, where="segmentation")
    speech = np.zeros(750, np.bool_)
    for start, end in segmenter(wave).regions:
        speech[start // 320 : end // 320] = True
    sure = np.abs(mean - middle) > 2e-3  # float16 in between
    assert sure.mean() > 0.5
    assert 0.3 < speech.mean() < 0.7
    assert np.array_equal(speech[sure], mean[sure] >= middle)


@pytest.mark.parametrize("longest", [700, 200_000])
@pytest.mark.parametrize("threads", [1, 3])
def test_blocks_and_threads_change_nothing(segmenter, longest, threads):
    wave = swinging(16000 * 56 + 11)  # 11 chunks: three batches
    whole = segmenter(wave)
    assert len(whole.chunks.activity) == 11
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


def test_classes_in_any_order_and_of_other_people():
    network = ChunkNetwork(content(NETWORK), MODEL)
    wave = swinging(160_000)[None].numpy()
    order = [3, 0, 6, 4, 1, 2, 5]
    mixed = NETWORK.replace(str(SLOPE.tolist()), str(SLOPE[order].tolist()))
    mixed = mixed.replace(str(LIFT.tolist()), str(LIFT[order].tolist()))
    classes = tuple(CLASSES[q][::-1] if q == 6 else CLASSES[q] for q in order)
    other = ChunkNetwork(content(mixed), ChunkModel(495.5, 270.0, classes))
    np.testing.assert_allclose(other.activity(wave), network.activity(wave), atol=1e-6)
    alone = ChunkModel(495.5, 270.0, ("0", "nobody"))
    assert alone.speakers == 1
    assert alone.members().tolist() == [[1, 1], [0, 0]]


def test_a_broken_sample_is_named(segmenter):
    wave = swinging(16000 * 30)
    wave[234_567] = float("nan")
    with pytest.raises(AudioError, match="234567"):
        segmenter(wave)


@pytest.mark.parametrize("step_s", [0.0, -1.0, 10.02, 0.03])
def test_steps_that_cannot_be(step_s):
    with pytest.raises(ConfigError, match="step_s"):
        PyannoteConfig(step_s=step_s)


def test_fine_steps(model):
    segmenter = PyannoteSegmenter(PyannoteConfig(model=str(model), step_s=2.5))
    assert segmenter(swinging(16000 * 15)).chunks.starts.tolist() == [0, 40_000, 80_000]


@pytest.fixture
def home(monkeypatch, tmp_path):
    """A user who has nothing but what is put here."""
    monkeypatch.setenv("DIARIZE_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def test_the_model_is_found_by_its_name(home):
    with pytest.raises(CheckpointError, match=r"recipes\.prepare\.pyannote"):
        PyannoteSegmenter()
    write(home / "pyannote.onnx")
    assert PyannoteSegmenter()(swinging(20_000)).chunks.activity.shape == (1, 63, 3)
    with pytest.raises(CheckpointError, match=r"nowhere\.onnx"):
        PyannoteSegmenter(PyannoteConfig(model=str(home / "nowhere.onnx")))


def test_without_its_description_the_model_is_not_used(home):
    write(home / "pyannote.onnx").with_suffix(".toml").unlink()
    with pytest.raises(ConfigError, match=r"pyannote\.toml.*recipes\.prepare\.pyannote"):
        PyannoteSegmenter()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("270", "27O", "not valid TOML"),
        ("hop_samples = 270", "", "hop_samples"),
        ("270", "0", "hop_samples is 0"),
        ("270", '"270"', "hop_samples"),
        ("hop_samples", "hop", "'hop'"),
        ("centre", "chunk_samples = 80000\ncentre", "160000"),
        ("centre", "sample_rate = 8000\ncentre", "16000"),
        ('"nobody"', '"0"', "nobody"),
        ('"02"', '"10"', "'10'"),
        ('"2"', '"4"', "'4'"),
        ('"2"', '"two"', "'two'"),
        ('"2"', '""', "''"),
        ('"2"', "2", "classes"),
        ("centre", 'kind = "kaldi-fbank"\ncentre', "kind"),
    ],
)
def test_descriptions_that_cannot_be(tmp_path, old, new, says):
    assert old in SETTINGS
    path = write(tmp_path / "tiny.onnx", settings=SETTINGS.replace(old, new, 1))
    with pytest.raises(ConfigError, match=says) as caught:
        PyannoteSegmenter(PyannoteConfig(model=str(path)))
    assert "tiny.toml" in str(caught.value)


@pytest.mark.parametrize(
    ("graph", "settings", "says"),
    [
        (NETWORK, SETTINGS.replace("270", "160"), "do not fill"),
        (NETWORK, SETTINGS.replace("495.5", "4955"), "do not fill"),
        (NETWORK, SETTINGS.replace(', "12"', ""), "6 classes"),
        (NETWORK, SETTINGS + 'fingerprint = "00000000"', "not 00000000"),
        (NETWORK.replace("LogSoftmax", "Softmax"), SETTINGS, "no log-probabilities"),
        (NETWORK.replace("(scores)", "(classless)"), SETTINGS, "onnxruntime can load"),
        (NETWORK.replace("160000", "80000"), SETTINGS, "does not take waves"),
    ],
)
def test_models_that_are_not_what_is_described(tmp_path, graph, settings, says):
    path = write(tmp_path / "tiny.onnx", graph, settings)
    with pytest.raises(CheckpointError, match=says):
        PyannoteSegmenter(PyannoteConfig(model=str(path)))


def test_the_fingerprint_is_that_of_the_file(tmp_path, segmenter):
    own = hashlib.sha256(content(NETWORK)).hexdigest()[:8]
    path = write(tmp_path / "tiny.onnx", settings=f'{SETTINGS}fingerprint = "{own}"')
    assert PyannoteSegmenter(PyannoteConfig(model=str(path))).fingerprint == own
    assert segmenter.fingerprint == own


def test_without_onnxruntime_the_sentence_says_what_to_install(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(BackendUnavailable, match=r"deepspeaker-diarize\[onnx\]"):
        PyannoteSegmenter(PyannoteConfig(model=str(model)))
