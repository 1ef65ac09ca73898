"""The recipes run from start to end on a corpus made here, in the layout that they document."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from encoder.features.log_mel import FeatureConfig
from encoder.hub.weights_file import load_weights, save_weights
from encoder.models.rescnn import ResCNN, ResCNNConfig
from tests.support import warm_python

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
[clean_finetune.augmentation]
noise = 0.0
[clean_finetune.sampler]
speakers = 3
utterances = 2
crop_frames = [50]
[clean_finetune.fit]
steps = 2
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


def run(recipe, *arguments, cwd, code=0, **variables):
    done = warm_python.run(
        ["-m", f"recipes.{recipe}", *arguments],
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **variables},
        timeout=600,
    )
    text = (done.stdout + done.stderr).decode()
    assert done.returncode == code, text
    return text


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


@pytest.mark.parametrize(
    "recipe",
    [
        "evaluate.embedders",
        "evaluate.diarization",
        "calibrate.scores",
        "evaluate.clips",
        "evaluate.naming",
    ],
)
def test_without_a_corpus_scoring_is_skipped_with_a_sentence(recipe, tmp_path):
    assert "skipped" in run(recipe, "--data", tmp_path / "none", cwd=tmp_path)


@pytest.fixture(scope="module")
def tiny_weights(tmp_path_factory):
    torch.manual_seed(0)
    model = ResCNN(ResCNNConfig(channels=(4,), blocks=1, embedding_size=8))
    return save_weights(model, FeatureConfig(), tmp_path_factory.mktemp("tiny"), name="tiny")


@pytest.fixture
def project(tmp_path):
    """A folder with the texts that have tables, and a place for results."""
    for folder in ("recipes/results", "encoder/weights"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(ROOT / "README.md", tmp_path)
    (card,) = (ROOT / "encoder/weights").glob("deepspeaker-*.md")
    shutil.copy(card, tmp_path / "encoder/weights")
    shutil.copy(ROOT / "recipes/results/README.md", tmp_path / "recipes/results")
    for path in (ROOT / "recipes/results").glob("*.json"):
        if path.stem not in ("evaluate", "conversations"):  # those are made here
            shutil.copy(path, tmp_path / "recipes/results")
    return tmp_path


@pytest.mark.slow
def test_two_embedders_from_scores_to_tables(corpus, project, tiny_weights):
    both = ["--embedder", "deepspeaker-small", "--embedder", tiny_weights]
    both += ["--results", "recipes/results"]
    text = run("evaluate.embedders", "--data", corpus, *both, "--cache", "vectors", cwd=project)
    assert "heldout" in text and "deepspeaker-small" in text and tiny_weights.stem[-8:] in text
    stored = json.loads((project / "recipes/results/evaluate.json").read_text())
    assert (
        stored["protocol"]["enrollments"] == [1, 2, 3, 5] and stored["protocol"]["negatives"] == 99
    )
    ours, tiny = stored["embedders"]
    assert (ours["name"], tiny["name"]) == ("deepspeaker-small", str(tiny_weights))
    assert tiny["fingerprint"] == tiny_weights.stem[-8:] != ours["fingerprint"]
    for split in ("eval", "heldout"):
        for crop in ("full", "3 s", "1.6 s"):
            ((_, own), (_, mean)) = ours["results"][split][crop].items()
            assert own == mean and (own["speakers"], own["utterances"]) == (5, 15)
            assert 0 <= own["eer"] <= 1 and set(own["min_dcf"]) == {"0.01", "0.05"}
            low, high = own["intervals"]["eer"]
            assert 0 <= low <= own["eer"] <= high <= 1
            told = own["closed_set"]
            assert (told["speakers"], told["tests"], told["top5"]) == (5, 5, None)
            assert own["accuracy"] == {}  # 15 utterances hold no 99 negatives
    assert len(list((project / "vectors").glob("*.npz"))) == 4  # two splits, two embedders
    assert "tiny" in (project / "recipes/results/det.svg").read_text()

    text = run("evaluate.diarization", "--data", corpus, *both, cwd=project)
    assert text.count("ami_ES2004a_600_660") == 2 and text.count("per hour of sound") == 2
    stored = json.loads((project / "recipes/results/conversations.json").read_text())
    assert [r["fingerprint"] for r in stored["runs"]] == [r["fingerprint"] for r in (ours, tiny)]
    for scored in stored["runs"]:
        assert scored["config"]["embedder"] == scored["name"]
        assert scored["all"]["total"]["recordings"] == scored["trusted"]["recordings"] == 1
        assert scored["per_hour_of_sound"]["cpu_s"] > 0 and scored["peak_memory_mb"] > 100

    run("report.tables", "--root", ".", cwd=project)
    readme = (project / "README.md").read_text()
    (card,) = (project / "encoder/weights").glob("*.md")
    page = (project / "recipes/results/README.md").read_text()
    rate = f"{100 * ours['results']['eval']['full']['set']['eer']:.1f}"
    other = f"{100 * tiny['results']['eval']['full']['set']['eer']:.1f}"
    (row,) = [line for line in page.splitlines() if line.startswith("| eval, set (5) |")]
    assert row.split(" | ")[1::3] == [rate, other] and len(row.split("|")) == 9
    (row,) = [line for line in card.read_text().splitlines() if line.startswith("| eval, set (5)")]
    assert row.split(" | ")[1] == rate and len(row.split("|")) == 6
    assert f"| {tiny_weights.stem}, trusted |" in readme and "| ami_ES2004a_600_660 |" in page
    table = readme.partition("<!-- voices -->")[2].splitlines()
    row = next(line for line in table if line.startswith("| deepspeaker-small, eval |"))
    assert row.split(" | ")[1].startswith(f"{rate} (")
    assert "tiny" not in card.read_text() and "over 1 recordings" in card.read_text()
    once = readme, page, card.read_text()
    run("report.tables", "--root", ".", cwd=project)
    pages = (project / "README.md", project / "recipes/results/README.md", card)
    assert once == tuple(path.read_text() for path in pages)


def test_a_calibration_is_fitted_kept_and_checked(corpus, tiny_weights, tmp_path, monkeypatch):
    monkeypatch.setenv("DIARIZE_HOME", str(tmp_path / "home"))
    own = ["--data", corpus, "--embedder", tiny_weights, "--results", "results"]
    text = run("calibrate.scores", *own, "--check", cwd=tmp_path, code=2)
    assert f"make calibrate WEIGHTS={tiny_weights}" in " ".join(text.split())
    fingerprint = tiny_weights.stem[-8:]
    path = tmp_path / f"home/weights/calibration-{fingerprint}.json"
    path.parent.mkdir(parents=True)
    earlier = {"format": 1, "fingerprint": fingerprint, "slope": 1.0, "offset": 0.0}
    path.write_text(json.dumps({**earlier, "shortness": 0.0, "turns": [1, 2, 3], "fitted_on": {}}))
    text = run("calibrate.scores", *own, "--out", path.parent, cwd=tmp_path)
    assert "Cllr" in text and "eval" in text and not (tmp_path / "results").exists()
    stored = json.loads(path.read_text())
    assert stored["turns"] == [1, 2, 3] and stored["slope"] != 1
    about = stored["fitted_on"]
    assert (about["split"], about["speakers"], about["utterances"]) == ("heldout", 5, 15)
    assert about["trials"] == 4 * 15 * 14 // 2 and about["of_one_speaker"] == 4 * 5 * 3
    run("calibrate.scores", *own, "--check", cwd=tmp_path)
    (checked,) = json.loads((tmp_path / "results/calibration.json").read_text())["embedders"]
    assert checked["fitted_on"] == about and checked["slope"] == stored["slope"]
    for measures in checked["checked"]["eval"].values():
        assert 0 <= measures["min_cllr"] <= measures["cllr"] + 1e-9 and measures["trials"] == 105
    assert json.loads(path.read_text()) == stored  # a check changes nothing


def test_groups_of_clips_are_scored(tiny_weights, tmp_path):
    # Pieces of a conversation, as if each quarter of it were a speaker's.
    sound, rate = soundfile.read(SAMPLES / "ami_ES2004a_600_660.flac")
    rows = []
    for number in range(12):
        name = f"{number}.flac"
        (tmp_path / "mine/voices").mkdir(parents=True, exist_ok=True)
        piece = sound[5 * number * rate : (5 * number + 4) * rate]
        soundfile.write(tmp_path / "mine/voices" / name, piece, rate)
        row = {"dataset": "set", "speaker": f"s{number // 3}", "path": name, "seconds": "4"}
        rows.append({**row, "split": "eval", "recording": name})
    write_rows(tmp_path / "mine/voices/manifest.tsv", rows)
    command = ["--data", "mine", "--embedder", tiny_weights, "--results", "results"]
    command += ["--set", "min_similarity=0.9", "--cache", "c.sqlite"]
    text = run("evaluate.clips", *command, cwd=tmp_path)
    (stored,) = json.loads((tmp_path / "results/clusters.json").read_text())["embedders"]
    assert stored["fingerprint"] == tiny_weights.stem[-8:] and "all together" in text
    (split,) = stored["results"]
    together, alone = stored["results"][split].values()
    assert split == "eval" and together == alone
    assert (together["clips"], together["speakers_true"]) == (12, 4)
    assert 0 <= together["f"] <= 1 and together["min_similarity"] == 0.9


def test_tables_refuse_results_they_cannot_show(project):
    readme = (project / "README.md").read_text()
    results = project / "recipes/results"

    def refused(words):
        text = run("report.tables", "--root", ".", cwd=project, code=2)
        assert words in text and "Traceback" not in text
        assert (project / "README.md").read_text() == readme

    refused("run `make evaluate`")
    (results / "evaluate.json").write_text('{"fingerprint": "x", "eer": {}}')  # an older version's
    refused("run `make evaluate` again")
    (results / "evaluate.json").write_text('{"embedders": [{"name": "x", "results": {}}]}')
    refused("run `make evaluate` again")
    shutil.copy(ROOT / "recipes/results/evaluate.json", results)
    (results / "conversations.json").write_text('{"fingerprint": "x", "all": {}}')
    refused("run `make score-conversations` again")


def test_the_public_model_is_optional_unless_asked_for(corpus, tmp_path, monkeypatch):
    for name in ("DIARIZE_HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "nothing"))
    few = ["--data", corpus, "--limit-per-dataset", 12, "--results", "results"]
    text = run("evaluate.embedders", *few, cwd=tmp_path)
    assert (
        "left out onnx:campplus" in text
        and "recipes.prepare.campplus" in text
        and "heldout" in text
    )
    assert not (tmp_path / "results").exists()  # a try on a few is no result
    asked = ["--data", corpus, "--embedder", "onnx:campplus", "--results", "results"]
    text = run("evaluate.diarization", *asked, cwd=tmp_path, code=2)
    assert "recipes.prepare.campplus" in text and "Traceback" not in text
    assert not (tmp_path / "results").exists()


def test_conversations_with_settings_of_ones_own(corpus, tiny_weights, tmp_path):
    settings = ["--set", f"embedder={tiny_weights}", "--set", "window.step_s=0.8"]
    command = ["--data", corpus, *settings, "--results", "results"]
    text = run("evaluate.diarization", *command, "--no-save", cwd=tmp_path)
    assert text.count("per hour of sound") == 1 and "onnx:campplus" not in text
    assert not (tmp_path / "results").exists()


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
