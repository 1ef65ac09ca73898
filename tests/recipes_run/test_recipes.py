"""The recipes run from start to end on a corpus made here, in the layout that they document."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from encoder.checkpoint import load_weights

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "recipes" / "samples"
TINY = """
seed = 3
threads = 1
validation_share = 0.4
[model]
channels = [4, 8]
blocks = 1
embedding_size = 8
[softmax.sampler]
speakers = 4
utterances = 1
crop_frames = [50]
[softmax.fit]
steps = 6
validate_every = 3
[triplet.sampler]
speakers = 3
utterances = 2
crop_frames = [50]
[triplet.fit]
steps = 4
validate_every = 2
"""


def write_rows(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, rows[0], delimiter="\t")
        writer.writeheader()
        writer.writerows(rows)


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


def run(recipe, *arguments, cwd, code=0):
    done = subprocess.run(
        [sys.executable, str(ROOT / "recipes" / recipe), *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        timeout=300,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_train_writes_weights_goes_on_and_repeats_itself(corpus, tmp_path):
    (tmp_path / "tiny.toml").write_text(TINY)
    command = ["--config", "tiny.toml", "--data", corpus, "--out", "out", "--cache", "banks"]
    run("train.py", *command, cwd=tmp_path)
    (weights,) = (tmp_path / "out").glob("deepspeaker-tiny-*.safetensors")
    assert load_weights(weights).model.config.channels == (4, 8)
    rows = (tmp_path / "out/softmax/metrics.jsonl").read_text().splitlines()
    assert [json.loads(row)["step"] for row in rows] == [3, 6]
    assert 0 <= json.loads(rows[-1])["validation_eer_1.6s"] <= 1
    # A second run finds everything done; one from scratch finds the same weights, bit for bit.
    run("train.py", *command, cwd=tmp_path)
    command[command.index("out")] = "again"
    run("train.py", *command, cwd=tmp_path)
    assert [p.name for p in (tmp_path / "again").glob("*.safetensors")] == [weights.name]


def test_train_says_what_is_wrong_in_one_line(corpus, tmp_path):
    (tmp_path / "bad.toml").write_text("[model]\nchanels = [4]\n")
    text = run(
        "train.py", "--config", "bad.toml", "--data", corpus, "--out", "o", cwd=tmp_path, code=2
    )
    assert "model.chanels" in text and "Traceback" not in text
    (tmp_path / "tiny.toml").write_text(TINY)
    text = run(
        "train.py", "--config", "tiny.toml", "--data", "no", "--out", "o", cwd=tmp_path, code=2
    )
    assert "manifest.tsv" in text and "Traceback" not in text


@pytest.mark.parametrize("recipe", ["evaluate.py", "score_conversations.py"])
def test_without_a_corpus_scoring_is_skipped_with_a_sentence(recipe, tmp_path):
    assert "skipped" in run(recipe, "--data", tmp_path / "none", cwd=tmp_path)


def test_evaluate_and_score_conversations(corpus, tmp_path):
    text = run("evaluate.py", "--data", corpus, "--no-save", cwd=tmp_path)
    assert "heldout" in text and "eval" in text
    text = run("score_conversations.py", "--data", corpus, "--no-save", cwd=tmp_path)
    assert "ami_ES2004a_600_660" in text and "per hour of sound" in text
