"""Spoilt media, tables, databases, settings and weights through every command."""

from __future__ import annotations

import json
import os

from tests.support.recipe_runs import ROOT, run

INPUTS = 30  # of each kind; `make fuzz` goes on for minutes


def test_every_spoilt_input_is_answered_or_refused_in_one_sentence(tmp_path):
    run(
        "fuzz.run", "--inputs", str(INPUTS), "--faults", tmp_path / "faults",
        "--results", tmp_path, cwd=tmp_path,
    )  # fmt: skip
    rows = json.loads((tmp_path / "fuzz.json").read_text())["rows"]
    assert [r["kind"] for r in rows] == ["media", "tables", "settings", "galleries", "weights"]
    for row in rows:
        assert row["inputs"] == row["right"] + row["refused"] == INPUTS
        assert row["refused"] > 0
    assert not (tmp_path / "faults").exists()


def test_a_command_with_a_fault_is_caught_and_can_be_run_again(tmp_path):
    (tmp_path / "planted.py").write_text(
        "import sys\n"
        "from diarize.cli import main as whole\n"
        "def main():\n"
        "    if 'score' in sys.argv:\n"
        "        raise ZeroDivisionError('planted')\n"
        "    whole()\n"
    )
    path = os.pathsep.join([str(ROOT), str(tmp_path)])
    planted = ("--command", "planted:main")
    said = run(
        "fuzz.run", *planted, "--what", "tables", "--inputs", "12",
        "--faults", tmp_path / "faults", cwd=tmp_path, code=1, PYTHONPATH=path,
    )  # fmt: skip
    assert "ZeroDivisionError" in said and "--again" in said
    kept = sorted((tmp_path / "faults").iterdir())
    assert 1 <= len(kept) <= 3  # of those that look the same
    again = ("fuzz.run", "--again", kept[0])
    assert '"fault"' in run(*again, *planted, cwd=tmp_path, code=1, PYTHONPATH=path)
    run(*again, cwd=tmp_path)  # the command itself has no such fault
