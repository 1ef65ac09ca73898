"""Tables come with line numbers and without a byte order mark, or are refused with the line."""

import pytest

from encoder.common.tables import number_in, read_table, read_text
from encoder.errors import CorpusError, FormatError


def table(tmp_path, content):
    path = tmp_path / "t.tsv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_rows_know_their_line(tmp_path, mark, end):
    path = table(tmp_path, f"{mark}a\tb\n1\tx\n\n2\ty\tmore\n".replace("\n", end))
    rows = list(read_table(path, ["a"]))
    assert [row.fields for row in rows] == [{"a": "1", "b": "x"}, {"a": "2", "b": "y"}]
    assert [row.where for row in rows] == [f"line {n} of {str(path)!r}" for n in (2, 4)]
    assert [number_in(row, "a") for row in rows] == [1.0, 2.0]
    assert read_text(path).startswith("a\tb")


def test_quotes_are_quotes_or_characters(tmp_path):
    path = table(tmp_path, 'a\tb\n"x\ny"\t1\n')
    (row,) = read_table(path, ["a", "b"])
    assert row.fields == {"a": "x\ny", "b": "1"}
    rows = read_table(path, ["a"], quoted=False)
    assert [row.fields["a"] for row in rows] == ['"x', 'y"']
    (row,) = read_table(table(tmp_path, 'a,b\n"x, y",1\n'), ["a", "b"], quoted=False)
    assert row.fields == {"a": "x, y", "b": "1"}


@pytest.mark.parametrize(
    "content",
    [
        "a\tb\n1,5\tx;y\n",
        'a,b\n"1,5",x;y\n',
        'a;b\n1,5;"x;y"\n;\n',  # as spreadsheets write it in half of Europe, with an empty row
        '"a";"b"\r\n"1,5";"x;y"\r\n',
        'b;other, with a comma;a\n"x;y";;1,5\n',
    ],
)
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_the_header_tells_what_parts_the_columns(tmp_path, content, mark):
    (row,) = read_table(table(tmp_path, mark + content), ["a", "b"])
    assert {name: row.fields[name] for name in "ab"} == {"a": "1,5", "b": "x;y"}


def test_columns_may_have_other_names(tmp_path):
    (row,) = read_table(table(tmp_path, "x,b\n1,2\n"), ["a", "b"], renamed={"x": "a"})
    assert row.fields == {"a": "1", "b": "2"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", r"line 1 of the list '.*t\.tsv' lacks the column 'a': it must name a, b$"),
        ("a\tb\ta\n1\t2\t3\n", r"line 1 of the list '.*t\.tsv' has twice the column 'a'"),
        ("x" * 200_000 + "\n", "line 1 of the list .* cannot be read"),
        ("a\n1\n", r"line 1 of the list '.*t\.tsv' lacks the column 'b'"),
        ("a\tb\n1\t2\n1\n", r"line 3 of the list '.*t\.tsv' lacks the column 'b', for it has"),
        (b"a\tb\n\xff\t2\n", r"the list '.*t\.tsv' is not UTF-8 text: save it as UTF-8$"),
        (
            "a\tb\n" + "x" * 200_000 + "\t1\n",
            r"line 2 of the list .* cannot be read \(field larger",
        ),
    ],
)
def test_what_is_broken(tmp_path, content, words):
    with pytest.raises(FormatError, match=words):
        list(read_table(table(tmp_path, content), ["a", "b"], what="the list "))


def test_other_columns_may_be_left_out_unless_rows_must_be_complete(tmp_path):
    path = table(tmp_path, "a\tb\n1\n")
    assert [row.fields for row in read_table(path, ["a"])] == [{"a": "1"}]
    with pytest.raises(FormatError, match=r"line 2 .* fewer fields than the first line"):
        list(read_table(path, ["a"], complete=True))
    path = table(tmp_path, "a,b\nmy, file.wav,Ann\n")
    with pytest.raises(FormatError, match=r"line 2 .* more fields than the first line: quote the"):
        list(read_table(path, ["a", "b"], complete=True))


def test_a_word_is_no_number(tmp_path):
    (row,) = read_table(table(tmp_path, "a\nlong\n"), ["a"])
    with pytest.raises(FormatError, match=r"line 2 of .* has 'long' for a: give a number"):
        number_in(row, "a")


@pytest.mark.parametrize("name", ["absent.tsv", ".", "zero\0byte"])
def test_what_cannot_be_read(tmp_path, name):
    with pytest.raises(CorpusError, match=r"cannot read the list .*: sit down$"):
        list(
            read_table(
                tmp_path / name, [], what="the list ", step="sit down", unreadable=CorpusError
            )
        )
    with pytest.raises(FormatError, match="cannot read"):
        read_text(tmp_path / name)
