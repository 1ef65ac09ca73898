"""Teaching with any embedder, and exporting, on things made here."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
import torch

from encoder.features.log_mel import FeatureConfig
from encoder.hub.weights_file import save_weights
from encoder.inference.encoder import Encoder
from encoder.inference.onnx_encoder import OnnxEncoder
from encoder.models.rescnn import ResCNN, ResCNNConfig
from tests.support import recipe_runs
from tests.support.onnx_models import BANDS, write

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
