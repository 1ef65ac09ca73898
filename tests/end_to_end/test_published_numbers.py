"""What README says of a preset, the documented command gives, without settings of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from diarize.core.speaker_count import SpeakerCount
from diarize.formats.rttm import read_rttm
from diarize.formats.uem import read_uem
from diarize.pipeline.diarizer import Diarizer
from diarize.scoring.report import ScoreReport, score_recording
from encoder.common.tables import read_table

ROOT = Path(__file__).parents[2]
CONVERSATIONS = ROOT.parent / "shared/corpus/conversations"


def published(preset):
    stored = (ROOT / "recipes/results/conversations.json").read_text(encoding="utf-8")
    (run,) = [run for run in json.loads(stored)["runs"] if run["name"] == preset]
    return {row["uri"]: row for row in run["all"]["recordings"]}


def test_the_command_gives_the_published_error_of_the_sample(command, meeting, tmp_path):
    done = command(meeting, "-q", "--preset", "fast", "-o", tmp_path / "out.rttm")
    assert done.returncode == 0, done.stderr.decode()
    name = meeting.stem
    (found,) = read_rttm(tmp_path / "out.rttm").values()
    (reference,) = read_rttm(meeting.with_suffix(".rttm")).values()
    (uem,) = read_uem(meeting.with_suffix(".uem")).values()
    score = score_recording(name, reference, found, uem=uem)
    expected = published("fast")[name]["der"]["full"]["rate"]
    # Another processor's rounding may move a turn.
    assert score.der["full"].rate == pytest.approx(expected, abs=0.03)


@pytest.mark.slow
@pytest.mark.corpus
def test_a_number_that_is_told_does_no_harm():
    if not CONVERSATIONS.is_dir():
        pytest.skip(f"there are no conversations in {str(CONVERSATIONS)!r}")
    diarizer = Diarizer.from_config()
    free, told = [], []
    columns = ("recording", "file", "trust")
    for row in read_table(CONVERSATIONS / "manifest.tsv", columns, what="the manifest "):
        name = row.fields["recording"]
        (reference,) = read_rttm(CONVERSATIONS / f"{name}.rttm").values()
        uem_path = CONVERSATIONS / f"{name}.uem"
        prepared = diarizer.prepare(CONVERSATIONS / row.fields["file"])
        whole = [(0.0, prepared.length / 16_000)]
        (uem,) = read_uem(uem_path).values() if uem_path.exists() else (whole,)
        count = len({turn.speaker for turn in reference})
        for known, scores in ((None, free), (count, told)):
            result = diarizer.decide(prepared, SpeakerCount.of(known))
            assert known is None or len(result.speakers) == known
            scores.append(score_recording(name, reference, result.turns, uem=uem))
    rates = [ScoreReport(tuple(scores)).der["full"].rate for scores in (free, told)]
    # Half of these are 30 s of four people, three of whom say a second or nothing that is scored.
    assert rates[1] <= rates[0] + 0.015
