"""RTTM: what is written can be read, by us and by pyannote, and damage is named."""

import io
import math
import unicodedata
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diarize.core.turns import Turn
from diarize.formats.rttm import format_rttm, read_rttm, write_rttm
from encoder.errors import FormatError, StoreError

CORPUS = Path(__file__).parents[4] / "shared" / "corpus" / "conversations"

unhurried = settings(deadline=None)  # the machine may be busy
names = (
    st.text(min_size=1, max_size=8)
    .filter(lambda n: not any(c.isspace() for c in n))
    .map(lambda n: unicodedata.normalize("NFC", n))
)
ms_turns = st.lists(
    st.builds(
        lambda start, length, speaker: Turn(start / 1000, (start + length) / 1000, speaker),
        st.integers(0, 10**8),
        st.integers(1, 10**6),
        names,
    ),
    min_size=1,
    max_size=10,
)
any_turns = st.lists(
    st.builds(
        lambda start, length: Turn(start, start + length, "A"), st.floats(0, 1e5), st.floats(0, 9)
    ),
    max_size=20,
)


def read_text(tmp_path: Path, text: str | bytes) -> dict[str, list[Turn]]:
    path = tmp_path / "some.rttm"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_rttm(path)


def reread(text: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Turn]]:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    return read_rttm("-")


@unhurried
@given(st.dictionaries(names, ms_turns, max_size=4))
def test_round_trip_of_milliseconds_is_exact(recordings: dict[str, list[Turn]]) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        again = reread(format_rttm(recordings), monkeypatch)
    assert again == {uri: sorted(turns) for uri, turns in recordings.items()}


@unhurried
@given(any_turns)
def test_both_ends_are_rounded_half_up(turns: list[Turn]) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        again = reread(format_rttm({"x": turns}), monkeypatch).get("x", [])
    expected = sorted((round_ms(t.start_s), round_ms(t.end_s)) for t in turns)
    assert [(t.start_s, t.end_s) for t in again] == [(a, b) for a, b in expected if b > a]


def round_ms(seconds: float) -> float:
    """Half up, by exact arithmetic on the product."""
    return math.floor(Fraction(seconds * 1000) + Fraction(1, 2)) / 1000


@unhurried
@given(st.lists(st.floats(0.0001, 3), min_size=2, max_size=30))
def test_touching_turns_stay_touching_and_no_overlap_is_invented(steps: list[float]) -> None:
    times = [sum(steps[:n]) for n in range(len(steps) + 1)]
    turns = [Turn(a, b, "AB"[n % 2]) for n, (a, b) in enumerate(pairwise(times))]
    with pytest.MonkeyPatch.context() as monkeypatch:
        again = reread(format_rttm({"x": turns}), monkeypatch).get("x", [])
    assert all(a.end_s == b.start_s for a, b in pairwise(again))


def test_one_line_as_the_format_wants_it() -> None:
    # 0.0625 s is 62.5 ms exactly, also in binary: half up. The last turn rounds to nothing.
    turns = [Turn(0.0625, 2.25, "SPEAKER_00"), Turn(9, 9.0004, "B")]
    assert format_rttm({"meeting": turns}) == (
        "SPEAKER meeting 1 0.063 2.187 <NA> <NA> SPEAKER_00 <NA> <NA>\n"
    )


def test_pyannote_reads_what_we_write(tmp_path: Path) -> None:
    from pyannote.database.util import load_rttm

    turns = [Turn(0, 1.5, "A"), Turn(0, 1.5, "B"), Turn(1.25, 4, "C")]
    write_rttm({"meeting": turns}, tmp_path / "x.rttm")
    annotation = load_rttm(str(tmp_path / "x.rttm"))["meeting"]
    assert sorted(
        (segment.start, segment.end, label)
        for segment, _, label in annotation.itertracks(yield_label=True)
    ) == [tuple(turn) for turn in turns]


def test_spaces_in_names_become_underscores(tmp_path: Path) -> None:
    write_rttm({"my meeting": [Turn(0, 1, "Ada\u00a0Love lace")]}, tmp_path / "x.rttm")
    assert read_rttm(tmp_path / "x.rttm") == {"my_meeting": [Turn(0, 1, "Ada_Love_lace")]}


def test_an_empty_name_still_fills_its_column(tmp_path: Path) -> None:
    write_rttm({"": [Turn(0, 1, "")]}, tmp_path / "x.rttm")
    assert read_rttm(tmp_path / "x.rttm") == {"_": [Turn(0, 1, "_")]}


def test_names_that_would_become_one_are_refused() -> None:
    with pytest.raises(FormatError, match=r"'a_b' and 'a b' are both written as 'a_b'"):
        format_rttm({"a_b": [], "a b": []})
    with pytest.raises(FormatError, match="rename one"):
        format_rttm({"x": [Turn(0, 1, "a b"), Turn(1, 2, "a\tb")]})


@pytest.mark.parametrize("turn", [Turn(-1, 1, "A"), Turn(0, math.nan, "A"), Turn(0, math.inf, "A")])
def test_impossible_times_are_not_written(turn: Turn) -> None:
    with pytest.raises(ValueError, match="cannot be written"):
        format_rttm({"x": [turn]})


def test_reading_is_tolerant(tmp_path: Path) -> None:
    text = (
        b"\xef\xbb\xbf;; made by hand\r\n"
        b"SPKR-INFO m 1 <NA> <NA> <NA> unknown A <NA>\r\n"
        b"\r\n"
        b"  SPEAKER m 1 2.0 1 <NA> <NA> B <NA> <NA> <NA> more\r\n"
        b"SPEAKER\tm\t1\t0.1\t0.2\t<NA>\t<NA>\tA\r\n"
        b"SPEAKER m 1 5 0.000 <NA> <NA> A <NA> <NA>\r\n"
        b"SPEAKER n 1 5 0 <NA> <NA> A <NA> <NA>"
    )
    assert read_text(tmp_path, text) == {"m": [Turn(0.1, 0.3, "A"), Turn(2, 3, "B")], "n": []}


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_lines_end_as_on_any_system(tmp_path: Path, newline: str) -> None:
    lines = ["SPEAKER m 1 0 1 <NA> <NA> A", "SPEAKER m 1 1 1 <NA> <NA> B"]
    assert read_text(tmp_path, newline.join(lines)) == {"m": [Turn(0, 1, "A"), Turn(1, 2, "B")]}
    with pytest.raises(FormatError, match=r"^line 3 of"):
        read_text(tmp_path, newline.join([*lines, "SPEAKER"]))


def test_ends_are_added_exactly(tmp_path: Path) -> None:
    # In floats, 0.1 + 0.2 > 0.3: an overlap nobody wrote.
    text = "SPEAKER m 1 0.1 0.2 <NA> <NA> A\nSPEAKER m 1 0.3 0.1234567 <NA> <NA> B\n"
    first, second = read_text(tmp_path, text)["m"]
    assert first.end_s == second.start_s == 0.3
    assert second.end_s == 0.4234567


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("SPEAKER m 1 0 -1 <NA> <NA> A", "the duration -1: it cannot be negative"),
        ("SPEAKER m 1 -0.5 1 <NA> <NA> A", "the start -0.5: it cannot be negative"),
        ("SPEAKER m 1 nan 1 <NA> <NA> A", "the start 'nan': write a number"),
        ("SPEAKER m 1 0 inf <NA> <NA> A", "the duration 'inf': write a number"),
        ("SPEAKER m 1 0 1e999 <NA> <NA> A", "the duration '1e999': write a number"),
        ("SPEAKER m 1 0,5 1 <NA> <NA> A", "the start '0,5': write a number"),
        ("SPEAKER m 1 0 1 <NA> <NA>", "has 7 fields"),
        ("start,end,speaker", "starts with 'start,end,speaker', which is no RTTM line type"),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, line: str, fault: str) -> None:
    text = f";; fine\nSPEAKER m 1 0 1 <NA> <NA> A\n{line}\n"
    with pytest.raises(FormatError, match=fault) as caught:
        read_text(tmp_path, text)
    assert str(caught.value).startswith(f"line 3 of '{tmp_path / 'some.rttm'}'")


def test_other_files_are_refused_as_such(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"some\.rttm' is not UTF-8 text: is it a RTTM file"):
        read_text(tmp_path, b"RIFF\xff\xfe\x00\x00WAVE")
    with pytest.raises(FormatError, match="No such file or directory"):
        read_rttm(tmp_path / "missing.rttm")
    with pytest.raises(FormatError, match="Is a directory"):
        read_rttm(tmp_path)


def test_dash_writes_to_the_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    write_rttm({"m": [Turn(0, 1, "A")]}, "-")
    assert capsys.readouterr().out == "SPEAKER m 1 0.000 1.000 <NA> <NA> A <NA> <NA>\n"


def test_a_missing_folder_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="create its folder first"):
        write_rttm({}, tmp_path / "no" / "x.rttm")


@pytest.mark.corpus
def test_real_references_survive_a_round_trip(tmp_path: Path) -> None:
    if not CORPUS.is_dir():
        pytest.skip("the corpus is not beside the repository (../shared/corpus)")
    files = sorted(CORPUS.glob("*.rttm"))
    assert len(files) >= 10
    for file in files:
        recordings = read_rttm(file)
        assert list(recordings) == [file.stem]
        assert recordings[file.stem]
        write_rttm(recordings, tmp_path / "again.rttm")
        assert read_rttm(tmp_path / "again.rttm") == recordings
