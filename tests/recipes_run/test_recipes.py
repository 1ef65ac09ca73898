"""Scores and tables from start to end on a corpus made here."""

from __future__ import annotations

import json
import shutil

import pytest
import soundfile

from tests.support.recipe_runs import ROOT, SAMPLES, run, write_rows


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
        # The preset's own embedder goes by the preset's name.
        expected = "fast" if scored["name"] == "fast" else scored["config"]["embedder"]
        assert scored["name"] == expected
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
        "left out campplus" in text
        and "diarize models fetch campplus" in text
        and "heldout" in text
    )
    assert not (tmp_path / "results").exists()  # a try on a few is no result
    asked = ["--data", corpus, "--embedder", "campplus", "--results", "results"]
    text = run("evaluate.diarization", *asked, cwd=tmp_path, code=2)
    said = " ".join(text.split())  # lines are folded
    assert "diarize models fetch campplus" in said and "Traceback" not in text
    assert not (tmp_path / "results").exists()


def test_conversations_with_settings_of_ones_own(corpus, tiny_weights, tmp_path):
    settings = ["--set", f"embedder={tiny_weights}", "--set", "window.step_s=0.8"]
    command = ["--data", corpus, *settings, "--results", "results"]
    text = run("evaluate.diarization", *command, "--no-save", cwd=tmp_path)
    assert text.count("per hour of sound") == 1 and "campplus" not in text
    assert not (tmp_path / "results").exists()
