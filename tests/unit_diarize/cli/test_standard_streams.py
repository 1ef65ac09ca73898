"""Standard streams that are closed, full, or read no more: one sentence, never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from diarize.core.output import check_target, write_atomic
from encoder.errors import StoreError

ROOT = Path(__file__).parents[3]
FULL = Path("/dev/full")

pytestmark = pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full here")


@pytest.fixture
def run(tmp_path):
    """`diarize ARGUMENTS`, with shell redirections behind."""
    line = "SPEAKER a 1 0.0 1.0 <NA> <NA> x <NA> <NA>\n"
    for name in ("a.rttm", "b.rttm"):
        (tmp_path / name).write_text(line)

    def call(words, **env):
        done = subprocess.run(
            ["sh", "-c", f'"{sys.executable}" -m diarize {words}'],
            capture_output=True, text=True, cwd=tmp_path, check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT), **env},
        )  # fmt: skip
        assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr
        return done

    return call


@pytest.mark.parametrize("words", ["--version", "score --help", "score a.rttm b.rttm"])
@pytest.mark.parametrize(
    ("place", "reason"), [(">&-", "Bad file descriptor"), (">/dev/full", "No space left")]
)
def test_an_output_that_takes_nothing(run, words, place, reason):
    done = run(f"{words} {place}")
    assert done.returncode == 2
    assert f"cannot write the standard output ({reason}" in done.stderr
    assert done.stderr.count("\n") == 1 + ("rttm" in words)


def test_an_output_without_a_buffer(run):
    done = run("--version >/dev/full", PYTHONUNBUFFERED="1")
    assert done.returncode == 2 and "cannot write the standard output" in done.stderr


def test_a_reader_that_has_gone(run):
    done = run("score a.rttm b.rttm | true; exit 0")
    assert "diarize: cannot" not in done.stderr


def test_turns_for_a_closed_output_are_refused_before_the_work(run):
    done = run("no.wav >&-")
    assert done.returncode == 2
    assert "cannot write '-' (the standard output is closed): name a file" in done.stderr


def test_a_result_in_a_file_needs_no_output(run, tmp_path):
    done = run("score a.rttm b.rttm -o out.json -q >&- 2>/dev/full")
    assert done.returncode == 0
    assert '"full"' in (tmp_path / "out.json").read_text()


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("place", ["2>&-", "2>/dev/full"])
def test_remarks_that_nobody_takes_cost_no_result(run, place, unbuffered):
    env = {"PYTHONUNBUFFERED": unbuffered}
    assert run("score a.rttm b.rttm -o out.json " + place, **env).returncode == 0
    refused = run("score no.rttm b.rttm " + place)
    assert refused.returncode == 2 and refused.stdout == ""


def test_no_file_takes_the_number_of_a_closed_stream(tmp_path):
    code = (
        "import os\n"
        "from diarize.core.standard_streams import standard_streams\n"
        "with standard_streams():\n"
        "    assert os.open('x', os.O_CREAT | os.O_WRONLY) > 2\n"
        "    os.write(2, b'lost')\n"
    )
    done = subprocess.run(
        ["sh", "-c", f'"{sys.executable}" -c "$1" <&- >&- 2>&-', "-", code],
        cwd=tmp_path, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0 and (tmp_path / "x").read_bytes() == b""


def test_python_without_an_output(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)  # as pythonw has it
    with pytest.raises(StoreError, match=r"cannot write '-' \(the standard output is closed\)"):
        check_target("-")
    with pytest.raises(StoreError, match=r"cannot write '-' \(the standard output is closed\)"):
        write_atomic("-", "x")
