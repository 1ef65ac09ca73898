"""Names with blanks are read whole, or their line is refused; never is one cut to another name."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diarize.formats.columns import Columns, rttm_columns, uem_columns
from diarize.formats.rttm import read_rttm, write_rttm
from diarize.formats.uem import read_uem
from diarize.scoring import score_files
from encoder.errors import FormatError

HEAD = "SPEAKER rec 1 0.5 10 <NA> <NA> "


@pytest.mark.parametrize(
    ("tail", "speaker"),
    [
        ("A", "A"),
        ("A <NA>", "A"),
        ("A <NA> <NA>", "A"),
        ("A <NA> <NA> <NA> more", "A"),
        ("A 0.95", "A"),
        ("A 0.95 <NA>", "A"),
        ("A 1 <NA>", "A"),  # the ten columns of the format: a confidence of 1
        ("A 0.9 0.1", "A"),
        ("<NA> <NA> <NA>", "<NA>"),
        ("7 <NA> <NA>", "7"),
        ("Speaker 0 <NA> <NA>", "Speaker 0"),
        ("Speaker 1 <NA> <NA>", "Speaker 1"),
        ("Ann Berg", "Ann Berg"),
        ("Ann Berg <NA>", "Ann Berg"),
        ("Ann van Berg <NA> <NA>", "Ann van Berg"),
        ("Ann Berg 0.5 <NA>", "Ann Berg"),
        ("Speaker 1 0.5 0.5", "Speaker 1"),
        ("Ann  Berg <NA> <NA>", "Ann Berg"),
    ],
)
def test_a_speaker_is_read_whole(tail, speaker):
    assert rttm_columns("line 1", HEAD + tail) == Columns("rec", "0.5", "10", speaker)


@pytest.mark.parametrize(
    "tail", ["Speaker 0", "Speaker 0 <NA>", "Ann 2.0 <NA> <NA>", "Ann 3 0.9", "A 95 <NA>"]
)
def test_a_number_that_may_belong_to_the_name_is_refused(tail):
    words = r"line 4 has '(Speaker|Ann|A) [\d.]+( 0.9)?' where a speaker is named, which may be"
    with pytest.raises(FormatError, match=words):
        rttm_columns("line 4", HEAD + tail)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("SPEAKER my rec 1 0 10 <NA> <NA> Ann <NA> <NA>", Columns("my rec", "0", "10", "Ann")),
        ("SPEAKER my rec 1 1 0 10 <NA> <NA> Ann B", Columns("my rec 1", "0", "10", "Ann B")),
        ("SPEAKER 5 1 0 10 <NA> <NA> A", Columns("5", "0", "10", "A")),
        ("SPEAKER my rec 1 0 10 x y Ann <NA> <NA>", Columns("my rec", "0", "10", "Ann")),
        ("SPEAKER rec chan 0 10 <NA> <NA> A", Columns("rec", "0", "10", "A")),
        ("SPEAKER rec 1 0 10 word lex A 0.5 <NA>", Columns("rec", "0", "10", "A")),
        ("SPEAKER\tmy rec\t1\t0\t10\t\t\tAnn B\t\t", Columns("my rec", "0", "10", "Ann B")),
        ("SPEAKER\trec\t1\t0\t10\t<NA>\t<NA>\tA 0", Columns("rec", "0", "10", "A 0")),
        ("SPEAKER rec 1\t0 10 <NA> <NA> A 0 <NA> <NA>", Columns("rec", "0", "10", "A 0")),
        ("SPEAKER\t\trec\t1\t0\t10\t<NA>\t<NA>\tA", Columns("rec", "0", "10", "A")),
        ("SPEAKER rec 1 0 10 <NA> <NA> A <NA> <NA>\t", Columns("rec", "0", "10", "A")),
    ],
)
def test_a_recording_is_read_whole(line, found):
    assert rttm_columns("line 1", line) == found


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("SPEAKER my 2 1 0 10 x y Ann", "line 3 may be about the recording 'my' or 'my 2': part"),
        ("SPEAKER rec 1 0 10 x y Ann B <NA>", "line 3 has more fields than the columns of RTTM"),
        ("SPEAKER rec 1 0 10 two words y Ann <NA> <NA>", "line 3 has more fields than"),
    ],
)
def test_a_line_that_fits_in_two_ways_is_refused(line, words):
    with pytest.raises(FormatError, match=words):
        rttm_columns("line 3", line)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("my rec 1 5 20", Columns("my rec", "5", "20")),
        ("my rec\t1\t5\t20", Columns("my rec", "5", "20")),
        ("my 2\t1\t5\t20", Columns("my 2", "5", "20")),
        ("a b c NA 0 1 extra", Columns("a b c", "0", "1")),
        ("rec 1 0 1", Columns("rec", "0", "1")),
    ],
)
def test_a_region_knows_its_recording(line, found):
    assert uem_columns("line 1", line) == found


@pytest.mark.parametrize("line", ["my 2 1 5 20", "rec 1 5 20 30"])
def test_a_region_of_one_of_two_recordings_is_refused(line):
    with pytest.raises(FormatError, match=r"line 2 may be about the recording '\w+' or '\w+ \d'"):
        uem_columns("line 2", line)


words = st.text("abcXYZ12.<>é_-", min_size=1, max_size=5)
phrases = st.lists(words, min_size=1, max_size=3).map(" ".join)


@given(recording=phrases, speaker=phrases)
def test_the_usual_line_gives_its_names_whole_or_is_refused(recording, speaker):
    line = f"SPEAKER {recording} 1 0.250 1.500 <NA> <NA> {speaker} <NA> <NA>"
    try:
        found = rttm_columns("line 1", line)
    except FormatError as error:
        assert "line 1 " in str(error)
    else:
        assert found == Columns(recording, "0.250", "1.500", speaker)


@given(recording=phrases, speaker=phrases)
def test_tabs_give_every_name_whole(recording, speaker):
    line = f"SPEAKER\t{recording}\t1\t0.250\t1.500\t<NA>\t<NA>\t{speaker}\t<NA>\t<NA>"
    assert rttm_columns("line 1", line) == Columns(recording, "0.250", "1.500", speaker)


def test_two_speakers_are_not_scored_as_one(tmp_path):
    turn = "SPEAKER rec 1 {} 10.0 <NA> <NA> {} <NA> <NA>\n".format
    (tmp_path / "r.rttm").write_text(turn(0, "Speaker 0") + turn(10, "Speaker 1"))
    (tmp_path / "h.rttm").write_text(turn(0, "S0") + turn(10, "S1"))
    report = score_files(tmp_path / "r.rttm", tmp_path / "h.rttm")
    assert report.der["full"].rate == 0
    assert report.recordings[0].speakers_reference == 2


def test_names_are_composed(tmp_path):
    """As macOS writes names, and as most others do."""
    composed, apart = "Jos\u00e9", unicodedata.normalize("NFD", "Jos\u00e9")
    turn = "SPEAKER {} 1 {} 1 <NA> <NA> {} <NA> <NA>\n".format
    text = turn(apart, 0, apart) + turn(composed, 1, composed)
    (tmp_path / "x.rttm").write_text(text, encoding="utf-8")
    (turns,) = read_rttm(tmp_path / "x.rttm").values()
    assert {turn.speaker for turn in turns} == {composed}
    (tmp_path / "x.uem").write_text(f"{apart} 1 0 1\n{composed} 1 2 3\n", encoding="utf-8")
    assert read_uem(tmp_path / "x.uem") == {composed: [(0.0, 1.0), (2.0, 3.0)]}
    write_rttm({apart: turns}, tmp_path / "y.rttm")
    assert apart not in (tmp_path / "y.rttm").read_text(encoding="utf-8")
    with pytest.raises(FormatError, match="are both written as"):
        write_rttm({apart: turns, composed: turns}, tmp_path / "y.rttm")


@pytest.mark.parametrize(
    ("time", "words"),
    [
        ("1e-99999999999999999999", "write a number of seconds"),
        ("1.7e308", "give seconds, at most 10000000000"),
        ("1_0", "write a number"),
        ("\u0661", "write a number"),
    ],
)
@pytest.mark.parametrize("column", [3, 4])
def test_times_that_no_clock_says(tmp_path, time, words, column):
    fields = ["SPEAKER", "m", "1", "0", "1", "<NA>", "<NA>", "A"]
    fields[column] = time
    (tmp_path / "x.rttm").write_text(" ".join(fields), encoding="utf-8")
    with pytest.raises(FormatError, match=rf"line 1 of .*{words}"):
        read_rttm(tmp_path / "x.rttm")
    (tmp_path / "x.uem").write_text(f"m 1 {' '.join(fields[3:5])}\n", encoding="utf-8")
    with pytest.raises(FormatError, match=rf"line 1 of .*{words}"):
        read_uem(tmp_path / "x.uem")


def test_the_smallest_and_the_largest_times_are_read(tmp_path):
    (tmp_path / "x.uem").write_text("m 1 1e-300 1\nm 1 .5 1e10\n")
    assert read_uem(tmp_path / "x.uem") == {"m": [(1e-300, 1.0), (0.5, 1e10)]}
