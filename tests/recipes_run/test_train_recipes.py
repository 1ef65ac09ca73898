"""Training from start to end on a corpus made here: all phases, fine-tuning, the smoke run."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from diarize.pipeline.config import load_config
from diarize.pipeline.diarizer import Diarizer
from encoder.calibration.score_calibration import find_calibration
from encoder.hub.weights_file import load_weights
from encoder.training.checkpointing import read_checkpoint
from tests.support.recipe_runs import ROOT, run

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
[clean_finetune.augmentation]
noise = 0.0
[clean_finetune.sampler]
speakers = 3
utterances = 2
crop_frames = [50]
[clean_finetune.fit]
steps = 2
"""


@pytest.fixture(scope="module")
def trained(corpus, tmp_path_factory):
    """A folder where `tiny.toml` was trained, and what trains it."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "tiny.toml").write_text(TINY)
    command = ["--config", "tiny.toml", "--data", corpus, "--out", "out", "--cache", "banks"]
    run("train.embedder", *command, cwd=folder)
    return folder, command


def test_train_writes_weights_goes_on_and_repeats_itself(trained):
    folder, command = trained
    (weights,) = (folder / "out").glob("deepspeaker-tiny-*.safetensors")
    assert load_weights(weights).model.config.channels == (4, 8)
    rows = (folder / "out/softmax/metrics.jsonl").read_text().splitlines()
    assert [json.loads(row)["step"] for row in rows] == [3, 6]
    assert 0 <= json.loads(rows[-1])["validation_eer_1.6s"] <= 1
    assert (folder / "out/clean_finetune/last.pt").exists()
    assert (folder / "out/curves.png").exists()
    kept = json.loads((folder / "out/config.json").read_text())
    assert kept["clean_finetune"]["fit"]["steps"] == 2
    # A second run finds everything done; one from scratch finds the same weights, bit for bit.
    run("train.embedder", *command, cwd=folder)
    again = ["again" if word == "out" else word for word in command]
    run("train.embedder", *again, cwd=folder)
    assert [p.name for p in (folder / "again").glob("*.safetensors")] == [weights.name]


def test_train_does_not_go_on_with_another_run(trained):
    folder, command = trained
    before = (folder / "out/config.json").read_bytes()
    for setting, told in (
        ("seed=4", "seed was 3 and is 4"),
        ("softmax.fit.learning_rate=0.1", "softmax.fit.learning_rate was 0.002 and is 0.1"),
        ("model.blocks=2", "model.blocks was 1 and is 2"),
    ):
        text = run("train.embedder", *command, "--set", setting, cwd=folder, code=2)
        assert told in " ".join(text.split()) and "Traceback" not in text
    other = ["--set", "validation_share=0.0"]
    assert "validation_share" in run("train.embedder", *command, *other, cwd=folder, code=2)
    assert (folder / "out/config.json").read_bytes() == before
    run("train.embedder", *command, "--set", "threads=2", cwd=folder)


def test_train_refuses_too_few_speakers_for_validation_at_once(trained, tmp_path):
    folder, command = trained
    command = [tmp_path / "new" if word == "out" else word for word in command]
    text = run("train.embedder", *command, "--set", "validation_share=0.05", cwd=folder, code=2)
    told = " ".join(text.split())
    assert "of 14 speakers are kept for validation (validation_share is 0.05)" in told
    assert not (tmp_path / "new").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="signals are of another kind there")
def test_ctrl_c_writes_a_checkpoint_and_says_where(trained, tmp_path):
    folder, command = trained
    command = [str(tmp_path / "new" if word == "out" else word) for word in command]
    process = subprocess.Popen(
        [sys.executable, "-m", "recipes.train.embedder", *command,
         "--set", "softmax.fit.steps=1000000"],
        cwd=folder, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "COLUMNS": "500"},
        # A shell's background jobs ignore the signal, and so would what they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    while not (tmp_path / "new/softmax/metrics.jsonl").exists() and process.poll() is None:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=300)[1]
    assert process.returncode == 130, said
    place = tmp_path / "new/softmax/last.pt"
    step = int(re.search(r"stopped after step (\d+) of 1000000", said)[1])
    assert f"{str(place)!r} holds it" in said and "Traceback" not in said
    assert read_checkpoint(place)["step"] == step


def test_a_calibration_beside_weights_is_theirs(corpus, tiny_weights, tmp_path):
    place = tmp_path / "mine" / tiny_weights.name
    place.parent.mkdir()
    shutil.copy(tiny_weights, place)
    code = (
        "import sys; from pathlib import Path; from recipes.calibrate.scores import *\n"
        "calibrate_beside(*map(Path, sys.argv[1:3]), cache=Path(sys.argv[3]))\n"
    )

    def calibrate(data):
        return subprocess.run(
            [sys.executable, "-c", code, place, data, tmp_path / "vectors"],
            cwd=tmp_path, capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        )  # fmt: skip

    done = calibrate(corpus)
    assert done.returncode == 0, done.stderr
    fingerprint = place.stem[-8:]
    found = find_calibration(fingerprint, place)
    assert found is not None and found.fitted_on["speakers"] == 5
    assert find_calibration(fingerprint) is None
    config = load_config(settings=[f'embedder="{place}"', "segmenter=energy"])
    assert Diarizer.from_config(config).calibration == found
    assert "a calibration needs more data" in calibrate(corpus / "voices/set").stderr


def test_train_says_what_is_wrong_in_one_line(corpus, tmp_path):
    (tmp_path / "bad.toml").write_text("[model]\nchanels = [4]\n")
    text = run(
        "train.embedder",
        "--config",
        "bad.toml",
        "--data",
        corpus,
        "--out",
        "o",
        cwd=tmp_path,
        code=2,
    )
    assert "model.chanels" in text and "Traceback" not in text
    (tmp_path / "tiny.toml").write_text(TINY)
    text = run(
        "train.embedder",
        "--config",
        "tiny.toml",
        "--data",
        "no",
        "--out",
        "o",
        cwd=tmp_path,
        code=2,
    )
    assert "'no' does not exist" in text and "Traceback" not in text


def test_finetune_compares_before_and_after_and_writes_only_what_is_better(
    corpus, trained, tmp_path
):
    (start,) = (trained[0] / "out").glob("*.safetensors")
    mine = tmp_path / "my voices"
    for number in range(3):
        for take in range(5):  # the same buzz again and again, so that 0 % can be reached
            path = mine / f"s{number}" / f"{take}.flac"
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(corpus / f"voices/set/s{number}/{take % 3}.flac", path)
    command = ["--data", mine, "--out", "mine", "--cache", "banks", "--general", corpus]
    small = ["softmax.sampler.speakers=3", "triplet.sampler.speakers=3", f'init="{start}"']
    for setting in [*small, "softmax.epochs=2", "triplet.epochs=2"]:
        command += ["--set", setting]
    text = run("train.finetune", *command, cwd=tmp_path)
    assert all(word in text for word in ("before", "halfway", "after", "heldout 1.6 s"))
    written = list((tmp_path / "mine").glob("deepspeaker-mine-*.safetensors"))
    assert len(written) == (0 if "nothing was written" in text else 1)
    beside = list((tmp_path / "mine").glob("calibration-*.json"))
    names = [f"calibration-{path.stem[-8:]}.json" for path in written]
    assert [path.name for path in beside] == ([] if "no calibration" in text else names)
    for path in beside:
        found = find_calibration(path.stem[-8:], written[0])
        assert found is not None and found.fitted_on["split"] == "heldout"
    text = run("train.finetune", "--data", mine / "s0", "--out", "o", cwd=tmp_path, code=2)
    assert "error:" in text and "Traceback" not in text


def test_train_smoke_says_that_training_works(tmp_path):
    text = run("train.smoke", cwd=tmp_path)
    told = [line[:2] for line in text.splitlines() if line[:4] in ("ok  ", "NO  ")]
    assert told == ["ok"] * 8 and "training works here as it should" in text


@pytest.mark.slow
def test_train_smoke_sees_what_does_not_hold(tmp_path):
    """A recording with another loss, and a training that does not move."""
    recorded = json.loads((ROOT / "recipes/results/smoke.json").read_text())
    recorded["softmax"][0] *= 1.002
    (tmp_path / "other.json").write_text(json.dumps(recorded))
    still = (ROOT / "recipes/configs/embedder/smoke.toml").read_text()
    assert still.count("learning_rate = 2e-3") == 2
    still = still.replace("learning_rate = 2e-3", "learning_rate = 0.0\nfinal_learning_rate = 0.0")
    still = re.sub(r"^steps = \d+", "steps = 5", still, flags=re.M)
    (tmp_path / "still.toml").write_text(still)
    options = ["--recorded", "other.json", "--config", "still.toml"]
    lines = run("train.smoke", *options, cwd=tmp_path, code=1).splitlines()
    wrong = [line for line in lines if line.startswith("NO  ")]
    words = ("softmax, batch 1 through", "softmax: the loss", "triplet: the loss", "clips of one")
    assert len(wrong) == len(words), wrong
    for line, word in zip(wrong, words, strict=True):
        assert line[4:].startswith(word), line
    assert sum(line.startswith("ok  ") for line in lines) == 4
    assert any(line.startswith("training does not work here") for line in lines)
