"""The exported file gives the vectors of the weights, through onnxruntime and `OnnxEncoder`."""

import logging
import sys
import warnings

import numpy as np
import onnx
import pytest
import torch

from encoder.errors import BackendUnavailable, CheckpointError, ConfigError
from encoder.inference.encoder import Encoder
from encoder.inference.onnx_encoder import OnnxEncoder
from encoder.inference.onnx_export import OPSET, check_parity, export_onnx, onnx_of, write_onnx
from encoder.inference.onnx_inputs import OnnxFeatures
from tests.support.onnx_models import WAVE, content
from tests.support.synth import clicks

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def encoder():
    return Encoder.from_pretrained(device="cpu")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    path = tmp_path_factory.mktemp("out") / "ours.onnx"
    before = logging.root.manager.disable
    assert export_onnx("deepspeaker-small", path) == path
    assert logging.root.manager.disable == before
    assert ("ignore", None, Warning, None, 0) not in warnings.filters  # silent only while it works
    return path


def sounds():
    """Clicks, a voice-like buzz that glides, noise and silence, one after another: 8 s."""
    g = np.random.default_rng(0)
    seconds = np.arange(32_000) / 16_000
    buzz = 0.1 * np.sign(np.sin(2 * np.pi * (100 + 30 * seconds) * seconds))
    parts = [
        clicks([0.3, 0.7, 1.6], duration_s=2.0, rate=16_000)[0],
        buzz + 0.01 * g.normal(size=32_000),
        0.05 * g.normal(size=32_000),
        np.zeros(32_000),
    ]
    return torch.from_numpy(np.concatenate(parts).astype(np.float32))


def test_the_vectors_are_those_of_the_weights(encoder, exported):
    wave = sounds()
    starts = np.arange(0, 96_000, 6_400)
    least = encoder.minimum_samples
    short = np.array([[0, least], [40_000, 40_001 + least], [33_000, 39_000], [0, 128_000]])
    bounds = np.concatenate([np.stack([starts, starts + 25_600], axis=1), short])
    ours, theirs = encoder.embed_windows(wave, bounds), OnnxEncoder.from_file(exported)
    got = theirs.embed_windows(wave, bounds)
    assert ((ours * got).sum(axis=1) > 0.999).all()
    assert theirs.minimum_samples == encoder.minimum_samples
    assert theirs.embedding_size == encoder.embedding_size
    assert abs(ours @ ours.T).min() < 0.5  # the sounds differ, so agreement says something


def test_the_file_says_what_it_is(encoder, exported):
    model = onnx.load(exported)
    onnx.checker.check_model(model)
    assert next(o.version for o in model.opset_import if o.domain == "") == OPSET
    (wave,), (embedding,) = model.graph.input, model.graph.output
    assert (wave.name, embedding.name) == ("wave", "embedding")
    B, T = wave.type.tensor_type.shape.dim
    assert B.dim_param and T.dim_param  # free
    assert embedding.type.tensor_type.shape.dim[1].dim_value == encoder.embedding_size
    text = exported.with_suffix(".toml").read_text(encoding="utf-8")
    assert encoder.fingerprint in text
    least = encoder.minimum_samples / 16_000
    assert f'kind = "wave"\nminimum_s = {least}\n' in text
    assert len(list(exported.parent.iterdir())) == 2


def test_the_graph_alone_gives_unit_vectors(exported):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(exported))
    for B, T in ((1, 16_000), (3, 4_321)):
        wave = np.random.default_rng(0).normal(size=(B, T)).astype(np.float32)
        (raw,) = session.run(["embedding"], {"wave": wave})
        np.testing.assert_allclose(np.linalg.norm(raw, axis=1), np.ones(B), atol=1e-5)


def test_another_model_is_not_kept():
    features = OnnxFeatures("wave")
    right = OnnxEncoder(content(WAVE), features).embed
    check_parity(content(WAVE), features, right)
    with pytest.raises(CheckpointError, match="the export is not the model"):
        check_parity(content(WAVE), features, lambda wave: right(wave.abs()))
    with pytest.raises(CheckpointError, match="the export is not the model"):
        check_parity(content(WAVE), features, lambda wave: right(wave) * np.float32(np.nan))


class Undecided(torch.nn.Module):
    def forward(self, wave):
        return wave if wave.sum() > 0 else -wave


def test_a_network_that_cannot_be_exported_is_one_sentence():
    with pytest.raises(CheckpointError, match="cannot export this network") as caught:
        onnx_of(Undecided(), torch.zeros(2, 100), input="wave", shortest=10)
    assert "\n" not in str(caught.value)


def test_the_name_ends_in_onnx(tmp_path):
    with pytest.raises(ConfigError, match=r"ours\.pt': end the name in \.onnx"):
        export_onnx("deepspeaker-small", tmp_path / "ours.pt")
    assert list(tmp_path.iterdir()) == []


def test_without_onnx_nothing_is_written(tmp_path, monkeypatch):
    old = write_onnx(tmp_path / "ours.onnx", b"old", OnnxFeatures("wave"), note="test")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(BackendUnavailable, match=r"pip install 'deepspeaker-diarize\[export\]'"):
        export_onnx("deepspeaker-small", old)
    assert old.read_bytes() == b"old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ours.onnx", "ours.toml"]


def test_absent_weights(tmp_path):
    with pytest.raises(CheckpointError, match="no weights named 'nobody'"):
        export_onnx("nobody", tmp_path / "ours.onnx")
