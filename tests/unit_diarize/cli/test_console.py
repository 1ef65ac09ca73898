"""What the command draws of a result."""

from __future__ import annotations

import io
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from diarize.cli.console import (
    HowFar,
    ended_by_signals,
    interruptible,
    speakers_table,
    tell,
)
from diarize.cli.gallery_tables import gallery_table, identified_table
from diarize.core.turns import UNKNOWN, Turn
from tests.unit_diarize.pipeline.test_speaker_naming import recording


def test_shares_are_of_all_speech_and_names_are_no_markup():
    result = recording(2, 3)
    turns = [Turn(0.0, 5.0, "Anna [red]"), Turn(6.0, 8.0, "Bo"), Turn(9.0, 12.0, UNKNOWN)]
    vars(result).update(turns=turns, confidence=np.full(3, 0.5))
    shares = {s["speaker"]: s["share"] for s in result.to_mapping()["speakers"]}
    assert shares == {"Anna [red]": 0.5, "Bo": 0.2}
    written = io.StringIO()
    speakers_table(result, console=Console(width=100, file=written))
    shown = written.getvalue()
    for name, share in (("Anna [red]", "50%"), ("Bo", "20%"), (UNKNOWN, "30%")):
        assert any(name in line and share in line for line in shown.splitlines()), shown


@pytest.mark.parametrize("what", ["nothing was written", lambda: "nothing was written"])
def test_an_interrupt_is_one_sentence(capsys, what):
    with pytest.raises(SystemExit) as ended, interruptible(what):
        raise KeyboardInterrupt
    assert ended.value.code == 130
    assert capsys.readouterr().err == "diarize: stopped, nothing was written\n"


posix = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


@posix
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_other_signals_end_it_as_an_interrupt_does(capsys, number, code):
    tidied = []
    asking = (signal.SIGTERM, signal.SIGHUP)
    were = [signal.signal(one, signal.SIG_DFL) for one in asking]  # ignored under `nohup`
    with pytest.raises(SystemExit) as ended, ended_by_signals(), interruptible("as it was"):
        try:
            signal.raise_signal(number)
        finally:
            for again in asking:  # which does not stop the tidying up
                signal.raise_signal(again)
            tidied.append(True)
    assert (ended.value.code, tidied) == (code, [True])
    assert capsys.readouterr().err == "diarize: stopped, as it was\n"
    assert [signal.signal(*old) for old in zip(asking, were, strict=True)] == [signal.SIG_DFL] * 2


@posix
def test_a_signal_that_is_ignored_stays_so():
    """As with `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ended_by_signals():
            signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_the_terminal_may_be_what_has_gone(monkeypatch):
    with Path(os.devnull).open() as unwritable:
        monkeypatch.setattr("sys.stderr", unwritable)
        with pytest.raises(SystemExit) as ended, interruptible():
            raise KeyboardInterrupt
    assert ended.value.code == 130


EVIL = "\x1b[2J\u202e[b]"
SHOWN = r"\x1b[2J\u202e[b]"


def test_names_do_nothing_to_the_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    result = recording(2, 3)
    turns = [Turn(0.0, 5.0, EVIL)]
    vars(result).update(turns=turns, confidence=np.full(1, 0.5), uri=EVIL)
    speakers_table(result)
    tell(f"no speech in {EVIL}")
    gallery = dict(
        name=EVIL, kind="named", exemplars=1, speech_s=1.0, files=1, sounds_kept=0, added="",
        embedder=EVIL, encoder_fingerprint="f",
    )  # fmt: skip
    gallery_table([gallery], EVIL)
    candidate = {"name": EVIL, "similarity": 0.5, "probability": None}
    identified_table(
        [{"path": EVIL, "speech_s": 1.0, "name": None, "reason": EVIL, "candidates": [candidate]}]
    )
    written = "".join(capsys.readouterr())
    assert written.replace("\n", "").isprintable()
    # title and speaker; a sentence; title, name, embedder; file, reason and candidate
    assert written.count(SHOWN) == 2 + 1 + 3 + 3


def test_how_far_the_work_came():
    how_far, seen = HowFar(), []
    assert str(how_far) == "before it began"
    note = how_far.noting(lambda *report: seen.append(report))
    note("read", 30.0, None)
    assert str(how_far) == "while reading the sound"
    note("embed", 43, 172)
    assert str(how_far) == "while embedding speech, 25% done"
    assert seen == [("read", 30.0, None), ("embed", 43, 172)]
