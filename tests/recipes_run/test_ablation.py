"""`make ablation` on a minute of a meeting: its rows are the pipeline with their settings."""

from __future__ import annotations

import json
import shutil

import pytest

from diarize.formats.rttm import read_rttm
from diarize.formats.uem import read_uem
from diarize.pipeline.config import load_config
from diarize.pipeline.diarizer import Diarizer
from diarize.scoring.report import score_recording
from tests.support.pyannet import loud_weights
from tests.support.recipe_runs import SAMPLES, run, write_rows

pytestmark = pytest.mark.slow

TALK = "ami_ES2004a_600_660"
WITHOUT = ["default", "no resegmentation", "oracle speaker count"]
WITHOUT += ["count by silhouette", "count by eigengap", "hdbscan"]
AGGREGATION = ["one at a time", "segmentation only", "embeddings only", "windows only"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A corpus of one conversation, the same as if simulated, and a network of made-up weights."""
    folder = tmp_path_factory.mktemp("ablation")
    for place, name in (("corpus", TALK), ("made", "call_heldout_0_00"), ("made", "call_train_0")):
        talks = folder / place / "conversations"
        talks.mkdir(parents=True, exist_ok=True)
        for suffix in (".rttm", ".uem"):
            text = (SAMPLES / f"{TALK}{suffix}").read_text().replace(TALK, name)
            (talks / f"{name}{suffix}").write_text(text)
        shutil.copy(SAMPLES / f"{TALK}.flac", talks / f"{name}.flac")
    row = {"recording": TALK, "file": f"{TALK}.flac", "trust": "high"}
    write_rows(folder / "corpus/conversations/manifest.tsv", [row])
    rows = [
        {"recording": name, "file": f"{name}.flac", "trust": "high"}
        for name in ("call_heldout_0_00", "call_train_0")
    ]
    write_rows(folder / "made/conversations/manifest.tsv", rows)
    loud_weights(folder).rename(folder / "two.safetensors")
    return folder


@pytest.fixture(scope="module")
def ablated(folder):
    """What was printed and what was stored."""
    command = ["--data", "corpus", "--simulated", "made", "--embedder", "deepspeaker-small"]
    command += ["--segmenter", "silero", "--segmenter", "energy", "--segmenter", "pyannote"]
    command += ["--set", "segmentation.pyannote.weights=two.safetensors", "--results", "results"]
    text = run("evaluate.ablation", *command, cwd=folder)
    return text, json.loads((folder / "results/ablation.json").read_text())


def scored(config, *, speakers=None):
    """The same recording through the pipeline as a user runs it."""
    result = Diarizer.from_config(config)(SAMPLES / f"{TALK}.flac", speakers=speakers)
    reference = read_rttm(SAMPLES / f"{TALK}.rttm")[TALK]
    return score_recording(
        TALK, reference, result.turns, uem=read_uem(SAMPLES / f"{TALK}.uem")[TALK]
    )


def rows_of(stored, segmenter):
    (found,) = [part for part in stored["runs"] if part["segmenter"] == segmenter]
    return {row["row"]: row for row in found["rows"]}


def test_every_row_and_set_is_there(ablated):
    text, stored = ablated
    assert [part["segmenter"] for part in stored["runs"]] == ["silero", "energy", "pyannote"]
    assert stored["left_out"] == ["meeting", "broadcast"]
    assert "left out the set 'meeting'" in text and "make simulate" in text
    for part in stored["runs"]:
        apart = part["segmenter"] == "pyannote"
        assert part["local_speakers"] == apart and part["cores"] >= 1 and part["threads"] >= 1
        names = [row["row"] for row in part["rows"]]
        assert sorted(names) == sorted(WITHOUT + AGGREGATION * apart) and set(names) <= set(
            word for word in names if word in text
        )
        for row in part["rows"]:
            assert list(row["sets"]) == ["development", "trusted", "call"]
            for found in row["sets"].values():
                assert found["recordings"] == 1 and set(found["der"]) == {
                    "full",
                    "fair",
                    "forgiving",
                }
                ((true, became),) = found["counts"].items()
                assert true == "4" and sum(became.values()) == 1
                assert found["speaker_count_right"] == ("4" in became)
                cost = found["per_hour_of_sound"]
                assert list(cost["stages"]) == ["read", "segment", "embed", "cluster"]
                assert cost["wall_s"] == pytest.approx(sum(cost["stages"].values()))
            # Sound is heard once for all rows.
            once = [rows["sets"]["call"]["per_hour_of_sound"]["stages"] for rows in part["rows"]]
            assert len({(s["read"], s["segment"], s["embed"]) for s in once}) == 1
    assert any("resegmentation" in said for said in stored["protocol"]["tuned_on_simulated"])


@pytest.mark.parametrize(
    ("segmenter", "row", "speakers"),
    [
        ("silero", "default", None),
        ("silero", "oracle speaker count", 4),
        ("silero", "hdbscan", None),
        ("energy", "no resegmentation", None),
        ("pyannote", "default", None),
        ("pyannote", "one at a time", None),
        ("pyannote", "segmentation only", None),
    ],
)
def test_a_row_is_the_pipeline_with_its_settings(folder, ablated, segmenter, row, speakers):
    found = rows_of(ablated[1], segmenter)[row]
    weights = f"segmentation.pyannote.weights={folder / 'two.safetensors'}"
    config = load_config(None, [f"segmenter={segmenter}", weights, *found["settings"]])
    own = scored(config, speakers=speakers)
    assert found["oracle_count"] == (speakers is not None)
    for name, part in own.der.items():
        for key in ("missed_s", "false_alarm_s", "confusion_s", "reference_s"):
            assert found["sets"]["development"]["der"][name][key] == getattr(part, key)
    assert found["sets"]["trusted"]["counts"] == {"4": {str(own.speakers_hypothesis): 1}}
    assert found["sets"]["call"]["der"] == found["sets"]["development"]["der"]  # the same sound


def test_only_aggregated_turns_overlap(ablated):
    rows = rows_of(ablated[1], "pyannote")
    for name, row in rows.items():
        found = row["sets"]["development"]
        several = "1" not in found["counts"]["4"]
        assert several or name not in ("default", "one at a time", "windows only")
        together = several and name not in ("one at a time", "windows only")
        assert found["overlap"] > 0.1 if together else found["overlap"] == 0
    for segmenter in ("silero", "energy"):
        rows = rows_of(ablated[1], segmenter)
        assert all(row["sets"]["call"]["overlap"] == 0 for row in rows.values())


def test_tables_are_made_of_it(folder, ablated):
    names = ("ablation", "ablation-by-set", "ablation-counts")
    empty = "".join(f"<!-- {name} -->\n<!-- /{name} -->\n" for name in names)
    page = folder / "project/README.md"
    (page.parent / "recipes/results").mkdir(parents=True)
    page.write_text(empty)
    text = run("report.tables", "--root", "project", cwd=folder)
    assert "left ablation empty" in text and "make ablation" in text and page.read_text() == empty
    shutil.copy(folder / "results/ablation.json", page.parent / "recipes/results")
    run("report.tables", "--root", "project", cwd=folder)
    filled = page.read_text()
    full = rows_of(ablated[1], "silero")["default"]["sets"]["development"]["der"]["full"]
    rate = f"{100 * full['rate']:.1f}"
    assert f"| default | {rate} / {rate} |" in filled
    assert filled.count(f"| silero, deepspeaker-small, default | {rate} |") == 3
    assert filled.count("| pyannote, deepspeaker-small, windows only |") == 3
    (page.parent / "recipes/results/ablation.json").unlink()  # a full table is not left as it is
    assert "run `make ablation`" in run("report.tables", "--root", "project", cwd=folder, code=2)


def test_what_is_not_there_is_said_or_refused(folder, monkeypatch):
    for name in ("DIARIZE_HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(folder / "nothing"))
    few = ["--data", "corpus", "--simulated", "nowhere"]
    asked = [*few, "--segmenter", "pyannote", "--results", "refused"]
    text = run("evaluate.ablation", *asked, cwd=folder, code=2)
    assert "models fetch pyannote-segmentation" in text and "Traceback" not in text
    text = run("evaluate.ablation", *few, "--results", "kept", "--no-save", cwd=folder)
    assert not (folder / "refused").exists() and not (folder / "kept").exists()
    for name in ("pyannote: ", "campplus: "):
        assert f"left out {name}" in text
    for name in ("meeting", "call", "broadcast"):
        assert f"left out the set '{name}'" in text
    assert "silero, deepspeaker-small" in text and "energy" not in text
    assert "skipped" in run("evaluate.ablation", "--data", "nowhere", cwd=folder)
