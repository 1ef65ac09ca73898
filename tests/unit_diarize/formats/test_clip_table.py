"""Tables of clips: written, read back, and refused with the line that is wrong."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diarize.formats.clip_table import (
    ClipRow,
    format_csv,
    read_clip_labels,
    rows_as_json,
)
from encoder.errors import FormatError

ROWS = [
    ClipRow("a/one.wav", "SPEAKER_00", 0.71239, 0.98765, 3.0, 2.4),
    ClipRow("=SUM(A1), 'x' \"y\".wav", "SPEAKER_01", None, None, 1.0, 0.7, "heard only the first"),
    ClipRow("broken.wav", None, note="'broken.wav' is empty: record it again"),
]


def test_the_text_is_this():
    assert format_csv(ROWS) == (
        "path,speaker,similarity,probability,seconds,speech_s,note\n"
        '"a/one.wav","SPEAKER_00",0.7124,0.9877,3.0,2.4,""\n'
        '"=SUM(A1), \'x\' ""y"".wav","SPEAKER_01","","",1.0,0.7,"heard only the first"\n'
        '"broken.wav","","","",0.0,0.0,"\'broken.wav\' is empty: record it again"\n'
    )


names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
numbers = st.none() | st.floats(-1, 1).map(lambda x: round(x, 4))
seconds = st.floats(0, 300).map(lambda x: round(x, 3))


@given(
    st.lists(
        st.builds(ClipRow, names, st.none() | names, numbers, numbers, seconds, seconds, names)
    )
)
def test_what_is_written_is_read_back(tmp_path_factory, rows):
    plain = csv.DictReader(io.StringIO(format_csv(rows), newline=""))
    read = [{key: value or None for key, value in line.items()} for line in plain]
    expected = [
        {key: None if value in (None, "") else str(value) for key, value in line.items()}
        for line in rows_as_json(rows)
    ]
    assert read == expected
    path = tmp_path_factory.mktemp("csv") / "clips.csv"
    path.write_bytes(
        format_csv(one_each := list({row.path: row for row in rows}.values())).encode()
    )
    assert read_clip_labels(path) == {row.path: row.speaker for row in one_each if row.speaker}


def test_labels_from_each_kind_of_file(tmp_path):
    expected = {row.path: row.speaker for row in ROWS if row.speaker}
    (tmp_path / "c.csv").write_text(format_csv(ROWS))
    (tmp_path / "c.json").write_text(json.dumps({"clips": rows_as_json(ROWS), "version": "1"}))
    by_hand = (
        "\ufeffspeaker\tother\tpath\r\nanna\t1\ta/one.wav\r\n\tx\tb.wav\r\nanna\t1\ta/one.wav\r\n"
    )
    (tmp_path / "c.TSV").write_bytes(by_hand.encode())
    assert read_clip_labels(tmp_path / "c.csv") == expected
    assert read_clip_labels(str(tmp_path / "c.json")) == expected
    assert read_clip_labels(tmp_path / "c.TSV") == {"a/one.wav": "anna"}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("c.csv", "path,speaker\na.wav,x\na.wav,y\n", ["line 3", "a.wav", "'x'", "'y'"]),
        ("c.csv", "path,who\na.wav,x\n", ["lacks", "'speaker'"]),
        ("c.csv", "", ["lacks the column 'path'"]),
        ("c.csv", "path,speaker\na.wav\n", ["line 2", "fewer fields"]),
        ("c.tsv", b"path\tspeaker\n\xff\tx\n", ["UTF-8"]),
        ("c.json", "[1]", ["no JSON of clips"]),
        ("c.json", "{", ["no JSON of clips"]),
        ("c.json", '{"clips": [3]}', ["no JSON of clips"]),
        ("c.json", '{"clips": [{"speaker": "x"}]}', ["clip 1", "'path'"]),
        ("none.csv", None, ["none.csv", "No such file"]),
    ],
)
def test_what_cannot_be_read(tmp_path, name, content, words):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(FormatError) as caught:
        read_clip_labels(path)
    assert all(word in str(caught.value) for word in [*words, str(path)])


def test_one_clip_and_one_speaker_in_several_spellings(tmp_path):
    path = tmp_path / "x.csv"
    rows = ["x/1.wav,Jos\u00e9", "./x/1.wav,Jose\u0301", "x\\2.wav,Jose\u0301"]
    path.write_text("\n".join(["path,speaker", *rows]), encoding="utf-8")
    assert read_clip_labels(path) == {"x/1.wav": "Jos\u00e9", "x\\2.wav": "Jos\u00e9"}
    path.write_text("path,speaker\nx/1.wav,A\nx//1.wav,B\n", encoding="utf-8")
    with pytest.raises(FormatError, match=r"line 3 .* says that 'x//1\.wav' is 'B', but .* 'A'"):
        read_clip_labels(path)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("name", ["x.csv", "x.tsv", "x.txt"])
def test_the_ending_does_not_say_what_parts_the_columns(tmp_path, name, delimiter):
    (tmp_path / name).write_text(f"path{delimiter}speaker\na.wav{delimiter}A\n", encoding="utf-8")
    assert read_clip_labels(tmp_path / name) == {"a.wav": "A"}
