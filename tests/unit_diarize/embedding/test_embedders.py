"""Which embedder a name means, and that the pipeline takes each of them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from diarize import Diarizer
from diarize.embedding.embedders import load_embedder
from diarize.pipeline.config import load_config
from encoder.errors import CheckpointError, ConfigError
from encoder.inference.encoder import Encoder
from encoder.inference.onnx_encoder import OnnxEncoder
from tests.support.onnx_models import BANDS, write

MEETING = Path(__file__).parents[3] / "recipes/samples/ami_ES2004a_600_660.flac"


@pytest.fixture
def voice(tmp_path, monkeypatch):
    """A model in the user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("DIARIZE_HOME", raising=False)
    for name in ("HOME", "APPDATA", "XDG_CONFIG_HOME"):  # where a user may have chosen a preset
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setattr("sys.platform", "linux")
    folder = tmp_path / "deepspeaker-diarize"
    folder.mkdir()
    return write(folder / "voice.onnx", BANDS, 'kind = "kaldi-fbank"\n')


def test_a_name_without_a_prefix_is_ours():
    ours = load_embedder("deepspeaker-small", device="cpu")
    assert isinstance(ours, Encoder)
    assert ours.fingerprint == Encoder.from_pretrained().fingerprint


def test_onnx_models_by_path_name_and_address(voice):
    by_path = load_embedder(f"onnx:{voice}", device="cpu")
    by_name = load_embedder("onnx:voice", device="auto")
    there = voice.parent / "hub/ann/voices/voice.onnx"  # as if fetched before: no network is asked
    there.parent.mkdir(parents=True)
    for suffix in (".onnx", ".toml"):
        there.with_suffix(suffix).write_bytes(voice.with_suffix(suffix).read_bytes())
    by_address = load_embedder("onnx:hf:ann/voices/voice.onnx", device="cpu")
    assert isinstance(by_path, OnnxEncoder)
    assert by_path.fingerprint == by_name.fingerprint == by_address.fingerprint


def test_absent_models_say_what_to_do(voice):
    with pytest.raises(CheckpointError, match=r"'campplus' in .*diarize models fetch campplus"):
        load_embedder("onnx:campplus", device="cpu")
    with pytest.raises(CheckpointError, match="no weights named 'onnx:'"):
        load_embedder("onnx:", device="cpu")
    with pytest.raises(ConfigError, match="write onnx:hf:OWNER"):
        load_embedder("onnx:hf:voice.onnx", device="cpu")


def test_the_pipelines_shortest_window_is_the_embedders(voice):
    def diarizer(minimum_s, *settings):
        voice.with_suffix(".toml").write_text(f'kind = "kaldi-fbank"\nminimum_s = {minimum_s}\n')
        return Diarizer.from_config(
            load_config(None, ["segmenter=energy", "embedder=onnx:voice", *settings])
        )

    noise = 0.1 * torch.randn(48_000, generator=torch.Generator().manual_seed(0))
    wave = torch.cat([torch.zeros(16_000), noise[:6_000], torch.zeros(16_000), noise])
    result = diarizer(0.6)(wave)
    assert result.windows.lengths_s.min() >= 0.6
    with pytest.raises(ConfigError, match=r"min_window_s is 0\.6: this embedder needs 1\.0 s"):
        diarizer(1.0)
    assert diarizer(1.0, "window.min_window_s=1.0")(wave).windows.lengths_s.min() >= 1.0


def test_the_command_takes_an_onnx_model(voice, tmp_path):
    def diarize(embedder, out):
        return subprocess.run(
            [sys.executable, "-c", "from diarize.cli import main; main()", str(MEETING), "-q",
             "--embedder", embedder, "--speakers", "2", "-o", str(out)],
            capture_output=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            cwd=Path(__file__).parents[3],
        )  # fmt: skip

    done = diarize(f"onnx:{voice}", tmp_path / "out.json")
    assert (done.returncode, done.stderr) == (0, b"")
    stored = json.loads((tmp_path / "out.json").read_text())
    assert stored["encoder_fingerprint"] == OnnxEncoder.from_file(voice).fingerprint
    assert len(stored["speakers"]) == 2
    assert np.all([t["end_s"] <= 60.01 for t in stored["turns"]])
    done = diarize("onnx:campplus", tmp_path / "none.json")
    assert done.returncode == 2 and done.stderr.count(b"\n") == 1
    assert b"diarize models fetch campplus" in done.stderr and not (tmp_path / "none.json").exists()
