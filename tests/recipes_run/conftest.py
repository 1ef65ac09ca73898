"""A small corpus in the layout that the recipes document, and what several of them need."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import soundfile
import torch

from encoder.features.log_mel import FeatureConfig
from encoder.hub.weights_file import save_weights
from encoder.models.rescnn import ResCNN, ResCNNConfig
from tests.support.recipe_runs import SAMPLES, write_rows

TALK = "ami_ES2004a_600_660"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """24 'speakers' (buzzes of their own pitch), background noise, and one real conversation."""
    folder = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(0)
    rows = []
    splits = ["train"] * 14 + ["heldout"] * 5 + ["eval"] * 5
    for number, split in enumerate(splits):
        for take in range(3):
            name = f"set/s{number}/{take}.flac"
            t = np.arange(16_000) / 16_000
            buzz = np.sign(np.sin(2 * np.pi * (90 + 11 * number) * t)) * 0.1
            (folder / "voices" / name).parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / "voices" / name, buzz + rng.normal(size=16_000) * 0.02, 16_000)
            rows.append(
                {
                    "dataset": "set",
                    "speaker": f"s{number}",
                    "path": name,
                    "seconds": "1.0",
                    "split": split,
                    "recording": name,
                }
            )
    write_rows(folder / "voices/manifest.tsv", rows)
    soundfile.write(folder / "hiss.flac", rng.normal(size=32_000) * 0.1, 16_000)
    background = {"kind": "noise", "set": "x", "path": "hiss.flac", "seconds": "2.0"}
    write_rows(folder / "acoustics.tsv", [background])
    talk = {"recording": "ami_ES2004a_600_660", "file": "ami_ES2004a_600_660.flac", "trust": "high"}
    write_rows(folder / "conversations/manifest.tsv", [talk])
    for path in SAMPLES.glob("ami_*"):
        shutil.copy(path, folder / "conversations")
    return folder


@pytest.fixture(scope="module")
def tiny_weights(tmp_path_factory):
    torch.manual_seed(0)
    model = ResCNN(ResCNNConfig(channels=(4,), blocks=1, embedding_size=8))
    return save_weights(model, FeatureConfig(), tmp_path_factory.mktemp("tiny"), name="tiny")


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """The user's own folder of weights, and the one that is looked into after it."""
    monkeypatch.setenv("DIARIZE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("sys.platform", "linux")
    return tmp_path / "home/weights", tmp_path / "cache/deepspeaker-diarize/weights"


@pytest.fixture(scope="module")
def talks(tmp_path_factory):
    """Two conversations, and clips cut from one of them as if each stretch were a speaker's."""
    folder = tmp_path_factory.mktemp("talks")
    rows = []
    for name in ("one", "two"):
        for suffix in (".rttm", ".uem"):
            text = (SAMPLES / f"{TALK}{suffix}").read_text().replace(TALK, name)
            (folder / "conversations").mkdir(exist_ok=True)
            (folder / "conversations" / f"{name}{suffix}").write_text(text)
        shutil.copy(SAMPLES / f"{TALK}.flac", folder / f"conversations/{name}.flac")
        rows.append({"recording": name, "file": f"{name}.flac", "trust": "high"})
    write_rows(folder / "conversations/manifest.tsv", rows)
    sound, rate = soundfile.read(SAMPLES / f"{TALK}.flac")
    rows = []
    for number in range(12):
        # About one name in 25 belongs to the training's validation; these three do.
        speaker = ("s39", "s56", "s148")[min(number // 5, 2)]
        name = f"{speaker}-{number}.flac"
        (folder / "voices").mkdir(exist_ok=True)
        piece = sound[5 * number * rate : 5 * (number + 1) * rate]
        soundfile.write(folder / "voices" / name, piece, rate)
        row = {"dataset": "set", "speaker": speaker, "path": name, "seconds": "5"}
        take = "only" if number >= 10 else name  # with one take the third is enrolled with none
        rows.append({**row, "split": "train", "recording": take})
    write_rows(folder / "voices/manifest.tsv", rows)
    return folder
