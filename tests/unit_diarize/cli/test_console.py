"""What the command draws of a result."""

from __future__ import annotations

import io

import numpy as np
import pytest
from rich.console import Console

from diarize.cli.console import HowFar, interruptible, speakers_table
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


def test_how_far_the_work_came():
    how_far, seen = HowFar(), []
    assert str(how_far) == "before it began"
    note = how_far.noting(lambda *report: seen.append(report))
    note("read", 30.0, None)
    assert str(how_far) == "while reading the sound"
    note("embed", 43, 172)
    assert str(how_far) == "while embedding speech, 25% done"
    assert seen == [("read", 30.0, None), ("embed", 43, 172)]
