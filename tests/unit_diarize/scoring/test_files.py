"""Scoring files and folders: which recordings pair, and what is said about the others."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from diarize.core.turns import Turn
from diarize.formats.rttm import write_rttm
from diarize.scoring import DiarizationScore, score_diarization, score_files
from diarize.scoring.intervals import _MANY, pair_speakers, sweep
from encoder.errors import CorpusError, FormatError

MEETING = [Turn(0, 10, "A"), Turn(10, 20, "B"), Turn(18, 25, "A"), Turn(25, 30, "C")]
FOUND = [Turn(0, 11, "1"), Turn(11, 19, "2"), Turn(19, 26, "1"), Turn(28, 31, "3")]
TALK = [Turn(0, 8, "D")]
NO_UEM = "no UEM: each recording is scored over the extent of its turns"


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    reference, hypothesis = tmp_path / "ref", tmp_path / "hyp"
    (reference / "inside").mkdir(parents=True)
    hypothesis.mkdir()
    write_rttm({"meeting": MEETING}, reference / "m.rttm")
    write_rttm({"talk": TALK}, reference / "inside" / "t.RTTM")
    write_rttm({"meeting": FOUND, "talk": [Turn(0, 6, "x")]}, hypothesis / "all.rttm")
    (reference / "notes.txt").write_text("not an RTTM")
    return reference, hypothesis


def test_folders_pair_by_the_names_inside(folders: tuple[Path, Path]) -> None:
    report = score_files(*folders)
    assert [recording.uri for recording in report.recordings] == ["meeting", "talk"]
    assert report.recordings[0].der["full"] == DiarizationScore(32, 4, 1, 2)
    assert report.recordings[1].der["full"] == DiarizationScore(8, 2)
    assert report.der["full"] == DiarizationScore(40, 6, 1, 2)  # times add, rates do not average
    assert report.der["fair"] == DiarizationScore(29 + 7.5, 3.5 + 1.75, 0.75, 1.5)
    assert report.der["forgiving"] == DiarizationScore(26 + 7.5, 2 + 1.75, 0.75, 1.5)
    assert report.jer.rate == pytest.approx((3 / 19 + 2 / 10 + 4 / 6 + 2 / 8) / 4)
    assert [r.speakers_hypothesis for r in report.recordings] == [3, 1]
    assert (report.speaker_count_right, report.speaker_count_error) == (2, 0.0)
    assert report.notes == (NO_UEM,)


def test_a_lost_recording_counts_as_missed_and_is_named(folders: tuple[Path, Path]) -> None:
    reference, hypothesis = folders
    write_rttm({"meeting": FOUND, "stranger": TALK}, hypothesis / "all.rttm")
    report = score_files(reference, hypothesis)
    assert report.reference_only == ("talk",)
    assert report.hypothesis_only == ("stranger",)
    assert report.recordings[1].der["full"] == DiarizationScore(8, 8)
    assert report.der["full"] == DiarizationScore(40, 12, 1, 2)
    assert (report.speaker_count_right, report.speaker_count_error) == (1, 0.5)
    assert report.notes[:2] == (
        "no hypothesis for 'talk': scored as entirely missed",
        "no reference for 'stranger': left out",
    )


def test_an_empty_result_is_known_by_its_file_name(folders: tuple[Path, Path]) -> None:
    reference, hypothesis = folders
    write_rttm({"meeting": FOUND}, hypothesis / "all.rttm")
    write_rttm({"talk": []}, hypothesis / "talk.rttm")
    assert (hypothesis / "talk.rttm").read_text() == ""
    report = score_files(reference, hypothesis)
    assert report.reference_only == ()
    assert report.recordings[1].der["full"] == DiarizationScore(8, 8)
    assert report.recordings[1].speakers_hypothesis == 0


def test_two_single_recordings_pair_whatever_their_names(tmp_path: Path) -> None:
    write_rttm({"ES2004a.Mix-Headset": MEETING}, tmp_path / "r.rttm")
    write_rttm({"upload": FOUND}, tmp_path / "h.rttm")
    (tmp_path / "x.uem").write_text("upload 1 0 10\n")
    report = score_files(tmp_path / "r.rttm", tmp_path / "h.rttm", uem=tmp_path / "x.uem")
    assert report.der["full"] == DiarizationScore(10)
    assert report.notes == (
        "the reference 'ES2004a.Mix-Headset' is compared with the hypothesis 'upload'",
    )


def test_no_recording_in_common_is_an_error(folders: tuple[Path, Path]) -> None:
    reference, hypothesis = folders
    write_rttm({"meeting.wav": FOUND, "talk.wav": TALK}, hypothesis / "all.rttm")
    with pytest.raises(CorpusError, match=r"no recording is in both.*'meeting'.*'meeting\.wav'"):
        score_files(reference, hypothesis)


def test_a_uem_says_what_is_scored(folders: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "uems").mkdir()
    (tmp_path / "uems" / "x.uem").write_text("meeting 1 0 10\nother 1 0 5\n")
    report = score_files(*folders, uem=tmp_path / "uems")
    assert report.recordings[0].der["full"] == DiarizationScore(10)
    assert report.recordings[1].der["full"] == DiarizationScore(8, 2)
    assert report.notes == ("not in the UEM: 'talk': scored over the whole extent",)
    (tmp_path / "uems" / "talk.uem").write_text("")  # no line: says nothing about any recording
    assert score_files(*folders, uem=tmp_path / "uems") == report


def test_two_files_about_one_recording_are_refused(folders: tuple[Path, Path]) -> None:
    reference, hypothesis = folders
    write_rttm({"talk": TALK}, hypothesis / "old.rttm")
    with pytest.raises(CorpusError, match=r"all\.rttm.*old\.rttm.*both speak of 'talk'"):
        score_files(reference, hypothesis)


def test_missing_things_are_named(folders: tuple[Path, Path], tmp_path: Path) -> None:
    reference, _ = folders
    (tmp_path / "empty").mkdir()
    with pytest.raises(CorpusError, match=r"empty' holds no \*\.rttm file"):
        score_files(reference, tmp_path / "empty")
    with pytest.raises(FormatError, match="No such file"):
        score_files(reference, tmp_path / "none.rttm")
    with pytest.raises(CorpusError, match="cannot both be '-'"):
        score_files("-", "-")


def test_one_side_may_come_from_the_standard_input(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    reference, hypothesis = folders
    data = (hypothesis / "all.rttm").read_bytes()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert score_files(reference, "-") == score_files(reference, hypothesis)


def test_many_names_are_shortened(tmp_path: Path) -> None:
    write_rttm({f"r{n}": TALK for n in range(9)}, tmp_path / "r.rttm")
    write_rttm({"r0": TALK}, tmp_path / "h.rttm")
    notes = score_files(tmp_path / "r.rttm", tmp_path / "h.rttm").notes
    assert notes[0].startswith("no hypothesis for 'r1', 'r2', 'r3', 'r4', 'r5' and 3 more:")


def test_json_is_plain_and_holds_the_numbers(folders: tuple[Path, Path]) -> None:
    report = score_files(*folders)
    plain = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert plain["protocols"]["fair"] == {"collar_s": 0.25, "skip_overlap": False}
    meeting = plain["recordings"][0]
    assert meeting["uri"] == "meeting"
    assert meeting["der"]["full"] == {
        "rate": 7 / 32,
        "reference_s": 32.0,
        "missed_s": 4.0,
        "false_alarm_s": 1.0,
        "confusion_s": 2.0,
    }
    assert meeting["jer"] == report.recordings[0].jer.rate
    assert meeting["speakers"] == {"reference": 3, "hypothesis": 3}
    assert plain["total"]["der"]["full"]["rate"] == 9 / 40
    assert plain["total"]["recordings"] == 2
    assert plain["notes"] == [NO_UEM]


def one(tmp_path: Path, side: str, text: str) -> Path:
    path = tmp_path / f"{side}.rttm"
    path.write_text(text, encoding="utf-8")
    return path


LINE = "SPEAKER {} 1 {} {} <NA> <NA> {} <NA> <NA>\n".format


def test_names_that_read_the_same_pair(tmp_path: Path) -> None:
    composed, apart = "entrevue_Jos\u00e9", "entrevue_Jose\u0301"
    reference = one(tmp_path, "r", LINE(composed, 0, 10, "A") + LINE("b", 0, 10, "A"))
    hypothesis = one(tmp_path, "h", LINE(apart, 0, 10, "S") + LINE("b", 0, 10, "S"))
    (tmp_path / "x.uem").write_text(f"{apart} 1 0 5\nb 1 0 5\n", encoding="utf-8")
    report = score_files(reference, hypothesis, uem=tmp_path / "x.uem")
    assert report.der["full"] == DiarizationScore(10)
    assert report.notes == ()


def test_a_name_with_blanks_pairs_with_the_name_that_is_written_for_it(tmp_path: Path) -> None:
    reference = one(tmp_path, "r", LINE("my rec", 0, 10, "A") + LINE("b", 0, 10, "A"))
    write_rttm({"my rec": [Turn(0, 9, "x")], "b": [Turn(0, 10, "x")]}, tmp_path / "h.rttm")
    (tmp_path / "x.uem").write_text("my_rec 1 0 5\nb 1 0 10\n")
    report = score_files(reference, tmp_path / "h.rttm")
    assert report.der["full"] == DiarizationScore(20, 1)
    assert report.notes == (NO_UEM,)
    report = score_files(reference, tmp_path / "h.rttm", uem=tmp_path / "x.uem")
    assert report.der["full"] == DiarizationScore(15)


def test_where_two_names_are_written_alike_only_equal_ones_pair(tmp_path: Path) -> None:
    reference = one(tmp_path, "r", LINE("my rec", 0, 10, "A") + LINE("my_rec", 0, 9, "A"))
    hypothesis = one(tmp_path, "h", LINE("my_rec", 0, 9, "S") + LINE("x", 0, 9, "S"))
    report = score_files(reference, hypothesis)
    assert report.reference_only == ("my rec",)
    assert [r.der["full"].error_s for r in report.recordings] == [10, 0]


def test_without_reference_speech_the_parts_add_up_to_the_rate(tmp_path: Path) -> None:
    silent = one(tmp_path, "silent", "")
    report = score_files(silent, one(tmp_path, "h", LINE("a", 1, 4, "S")))
    score = report.der["full"]
    assert (score.rate, score.missed_rate, score.false_alarm_rate) == (1, 0, 1)
    assert report.notes[-1].startswith("no reference speech in 'silent': an error rate of 100 %")
    nothing = score_files(silent, one(tmp_path, "h", "")).der["full"]
    assert (nothing.rate, nothing.false_alarm_rate) == (0, 0)
    reference = one(tmp_path, "r", LINE("a", 0, 8, "A") + LINE("b", 0, 0, "A"))
    hypothesis = one(tmp_path, "h", LINE("a", 0, 6, "S") + LINE("b", 0, 2, "S"))
    report = score_files(reference, hypothesis)
    assert "no reference speech in 'b'" in report.notes[-1]
    assert [r.der["full"].rate for r in report.recordings] == [0.25, 1]
    total = report.der["full"]
    assert (total.rate, total.missed_rate, total.false_alarm_rate) == (0.5, 0.25, 0.25)


def test_only_common_recordings(tmp_path: Path) -> None:
    reference = one(tmp_path, "r", "".join(LINE(f"r{n}", 0, 10, "A") for n in range(9)))
    hypothesis = one(tmp_path, "h", LINE("r3", 0, 9, "S") + LINE("z", 0, 9, "S"))
    report = score_files(reference, hypothesis, common=True)
    assert [r.uri for r in report.recordings] == ["r3"]
    assert report.der["full"] == DiarizationScore(10, 1)
    assert len(report.reference_only) == 8
    assert report.notes[:2] == (
        "8 recordings without a hypothesis left out: 'r0', 'r1', 'r2', 'r4', 'r5' and 3 more",
        "no reference for 'z': left out",
    )
    everything = score_files(reference, hypothesis)
    assert everything.der["full"] == DiarizationScore(90, 81)
    assert everything.missed_entirely.der["full"] == DiarizationScore(80, 80)
    with pytest.raises(CorpusError, match="no recording is in both"):
        score_files(reference, one(tmp_path, "h", LINE("y", 0, 1, "S")), common=True)


def test_a_table_has_a_row_a_recording(folders: tuple[Path, Path]) -> None:
    report = score_files(*folders)
    meeting, talk = csv.DictReader(io.StringIO(report.to_csv()))
    assert meeting["recording"] == "meeting"
    assert [float(meeting[k]) for k in ("reference_s", "missed_s", "der_full")] == [32, 4, 7 / 32]
    assert float(talk["jer"]) == 0.25
    assert (meeting["speakers_reference"], meeting["speakers_hypothesis"]) == ("3", "3")


def test_many_speakers_who_overlap_are_paired_as_few_are() -> None:
    """So many that shared time is read from sums made once: here against plain arithmetic."""
    generator = np.random.default_rng(0)
    size = 450
    sides = []
    for _ in range(2):
        starts = generator.uniform(0, 100, size)
        sides.append(np.stack([starts, starts + generator.uniform(50, 200, size)], axis=1))
    turns = [[Turn(a, b, f"s{n:03d}") for n, (a, b) in enumerate(side)] for side in sides]
    swept = sweep(*turns)
    assert swept.reference.size * size > _MANY
    (a, b), (c, d) = (side.T for side in sides)
    shared = np.minimum.outer(b, d) - np.maximum.outer(a, c)
    pairs = pair_speakers(swept)
    assert len({r for r, _ in pairs}) == len({h for _, h in pairs}) == len(pairs)
    best = shared.clip(0)[linear_sum_assignment(-shared.clip(0))].sum()
    assert sum(shared[r, h] for r, h in pairs) == pytest.approx(best, abs=1e-6)
    perfect = score_diarization(turns[0], turns[0])
    assert perfect.error_s == 0
