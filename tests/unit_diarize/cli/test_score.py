"""What `diarize score` prints and writes."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.in_process import run_command

LINE = "SPEAKER {} 1 {} {} <NA> <NA> {} <NA> <NA>\n".format


@pytest.fixture
def score(capsys, monkeypatch, tmp_path):
    """Run `diarize score ...` in a folder of its own: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        return run_command(monkeypatch, capsys, "score", *arguments)

    return run


@pytest.fixture
def many(tmp_path):
    """References of 200 recordings, and a result for one of them."""
    (tmp_path / "r.rttm").write_text("".join(LINE(f"r{n}", 0, 5, "A") for n in range(200)))
    (tmp_path / "h.rttm").write_text(LINE("r7", 0, 4, "S"))
    return tmp_path


def cells(line):
    return [cell.strip() for cell in line.strip("│").split("│")]


def test_recordings_without_a_hypothesis_share_a_row(score, many):
    code, out, err = score("r.rttm", "h.rttm")
    rows = [cells(line) for line in out.splitlines() if line.startswith("│")]
    assert code == 0
    assert rows == [
        ["r7", "20.0", "20.0", "0.0", "0.0", "16.7", "16.7", "20.0", "1/1"],
        ["199 without a hypothesis", *["100.0", "100.0", "0.0", "0.0"], *["100.0"] * 3, "0/199"],
        ["all", "99.6", "99.6", "0.0", "0.0", "99.6", "99.6", "99.6", "1 of 200"],
    ]
    assert "no hypothesis for 'r0', 'r1', 'r10', 'r100', 'r101' and 194 more" in err


def test_a_single_one_keeps_its_name(score, many):
    (many / "r.rttm").write_text(LINE("a", 0, 5, "A") + LINE("r7", 0, 5, "A"))
    _, out, _ = score("r.rttm", "h.rttm")
    assert [cells(line)[0] for line in out.splitlines() if line.startswith("│")] == [
        "a",
        "r7",
        "all",
    ]


def test_common_leaves_them_out_and_says_so(score, many):
    code, out, err = score("r.rttm", "h.rttm", "--common", "-o", "x.json")
    assert code == 0
    assert "without a hypothesis" not in out
    assert "199 recordings without a hypothesis left out" in err
    assert json.loads((many / "x.json").read_text())["total"]["recordings"] == 1


def test_the_ending_is_obeyed(score, many):
    assert score("r.rttm", "h.rttm", "-o", "x.csv", "-q")[0] == 0
    with (many / "x.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert len(rows) == 200
    assert {row["recording"]: float(row["der_full"]) for row in rows}["r7"] == 0.2
    assert score("r.rttm", "h.rttm", "-o", "bare", "-q")[0] == 0
    assert json.loads((many / "bare").read_text())["total"]["recordings"] == 200


@pytest.mark.parametrize(
    ("arguments", "endings"),
    [
        (["r.rttm", "h.rttm"], ".json or .csv"),
        (["clusters", "c.csv", "c.csv"], ".json"),
        (["verification", "t.txt"], ".json"),
        (["identification", "t.txt"], ".json"),
    ],
)
def test_other_endings_are_refused_before_anything_is_read(score, many, arguments, endings):
    code, out, err = score(*arguments, "-o", "x.xlsx")
    assert (code, out) == (2, "")
    assert err == f"diarize: cannot tell the format of 'x.xlsx': end the name in {endings}\n"
    assert not (many / "x.xlsx").exists()


def test_without_reference_speech_the_parts_are_of_the_errors(score, many):
    (many / "silent.rttm").touch()
    _, out, err = score("silent.rttm", "h.rttm")
    (row,) = [cells(line) for line in out.splitlines() if line.startswith("│")]
    assert row[:5] == ["silent", "100.0", "0.0", "100.0", "0.0"]
    assert "no reference speech in 'silent': an error rate of 100 %" in err


def test_parts_of_a_corpus_are_not_the_true_speakers(score, many):
    for path in ("timit/TRAIN/A/1.wav", "timit/TEST/B/1.wav"):
        (many / path).parent.mkdir(parents=True)
        (many / path).touch()
    (many / "found.csv").write_text("path,speaker\nTRAIN/A/1.wav,S0\n")
    code, out, err = score("clusters", "timit", "found.csv")
    assert (code, out) == (2, "")
    assert "the folders 'TEST' and 'TRAIN' of 'timit' are named like parts" in err


def plain_locale(folder, *arguments, **environment):
    """`diarize score ...` in a process of its own, which takes the locale as it is."""
    return subprocess.run(
        [sys.executable, "-m", "diarize", "score", *arguments],
        capture_output=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), **environment},
        check=False,
    )


@pytest.mark.parametrize(
    ("encoding", "shown"), [("utf-8:strict", "\u00e9 \u4e2d"), ("latin-1:strict", "\u00e9 \\u4e2d")]
)
def test_names_that_the_terminal_lacks_are_shown_by_escapes(tmp_path, encoding, shown):
    text = LINE("\u00e9\u00a0\u4e2d", 0, 5, "A") + LINE("x", 0, 5, "A")
    (tmp_path / "r.rttm").write_text(text, encoding="utf-8")
    done = plain_locale(tmp_path, "r.rttm", "r.rttm", PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    assert shown.encode(encoding.partition(":")[0]) in done.stdout
    done = plain_locale(tmp_path, "r.rttm", "r.rttm", "-o", "-", "-q", PYTHONIOENCODING=encoding)
    assert json.loads(done.stdout)["recordings"][1]["uri"] == "\u00e9 \u4e2d"


def test_a_locale_without_unicode_changes_no_name(tmp_path):
    (tmp_path / "r.csv").write_text("path,speaker\n\u4e2d.wav,\u4e2d\n", encoding="utf-8")
    ascii_only = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}
    done = plain_locale(tmp_path, "clusters", "r.csv", "r.csv", "-o", "x.json", **ascii_only)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "x.json").read_bytes())["clips"] == 1
    (tmp_path / "t.txt").write_text("1 \u4e2d.wav b.wav\n0 a.wav c.wav\n", encoding="utf-8")
    done = plain_locale(tmp_path, "verification", "t.txt", **ascii_only)
    assert done.returncode == 2
    assert done.stderr.startswith(b"diarize: ") and b"Traceback" not in done.stderr
