"""Tables of users: CSV or TSV with a header, in UTF-8 with or without a byte order mark.

What parts the columns is told by the header: a tab, a comma, or the semicolon that spreadsheets
write where the comma is a decimal point.
"""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TextIO

from encoder.errors import FormatError, ToolkitError

__all__ = ["TableRow", "delimiter_of", "number_in", "read_table", "read_text"]


class TableRow(NamedTuple):
    """A line below the header. where: "line 3 of the manifest 'm.tsv'"; fields: by column."""

    where: str
    fields: dict[str, str]


def read_text(
    path: Path,
    *,
    what: str = "",
    step: str = "give the path of a table",
    unreadable: type[ToolkitError] = FormatError,
) -> str:
    """The text of a file, without a byte order mark; errors as for `read_table`."""
    with _reading(path, what, step, unreadable):
        return path.read_bytes().decode("utf-8-sig")


def read_table(
    path: Path,
    columns: Sequence[str],
    *,
    quoted: bool = True,
    renamed: Mapping[str, str] | None = None,
    complete: bool = False,
    what: str = "",
    step: str = "give the path of a table",
    unreadable: type[ToolkitError] = FormatError,
) -> Iterator[TableRow]:
    """The rows of a table that has these `columns` and perhaps others, read as they are taken.

    Rows that are empty throughout are passed over.

    quoted: also between tabs quotes may enclose a field, as RFC 4180 has it for commas; else they
        are characters as others there.
    renamed: other names of columns, and how they are called here.
    complete: every row has all columns of the header and no more; else only those of `columns`.
    what: how errors call the file ("the manifest "); step: what to do about one that cannot be
        read, which raises `unreadable`.

    FormatError names the file, the line and the column where the table is broken.
    """
    with (
        _reading(path, what, step, unreadable),
        # newline="": line ends inside quotes belong to the field.
        path.open(newline="", encoding="utf-8-sig") as handle,
    ):
        delimiter = delimiter_of(handle.readline(), {*columns, *(renamed or {})})
        handle.seek(0)
        lines = _records(handle, delimiter, quoted, f"{what}{str(path)!r}")
        where, titles = next(lines, (f"line 1 of {what}{str(path)!r}", []))
        header = _header(titles, columns, renamed or {}, where)
        for where, values in lines:
            if not any(values):
                continue
            fields = dict(zip(header, values, strict=False))
            for column in header if complete else columns:
                if column not in fields:
                    raise FormatError(
                        f"{where} lacks the column {column!r}, for it has fewer fields than "
                        "the first line: complete it"
                    )
            if complete and len(values) > len(header):
                raise FormatError(
                    f"{where} has more fields than the first line: quote the one that holds "
                    f"{delimiter!r}"
                )
            yield TableRow(where, fields)


def _records(
    handle: TextIO, delimiter: str, quoted: bool, source: str
) -> Iterator[tuple[str, list[str]]]:
    """("line 3 of SOURCE", fields) of each line. Only commas and semicolons always need quotes."""
    if delimiter == "\t" and not quoted:
        for number, line in enumerate(handle, start=1):
            yield f"line {number} of {source}", line.rstrip("\r\n").split("\t")
        return
    reader = csv.reader(handle, delimiter=delimiter)
    try:
        for fields in reader:
            yield f"line {reader.line_num} of {source}", fields
    except csv.Error as error:
        raise FormatError(
            f"line {reader.line_num} of {source} cannot be read ({error}): is it a table?"
        ) from error


def _header(
    titles: Sequence[str], columns: Sequence[str], renamed: Mapping[str, str], where: str
) -> Sequence[str]:
    """The names of the columns, where each of `columns` stands once."""
    header = [renamed.get(name, name) for name in titles]
    for column in columns:
        if header.count(column) != 1:
            how = "has twice" if column in header else "lacks"
            raise FormatError(
                f"{where} {how} the column {column!r}: it must name {', '.join(columns)}"
            )
    return header


def delimiter_of(header: str, columns: Collection[str]) -> str:
    """What parts a first line so that it has most of the columns; a tab if nothing does."""

    def found(delimiter: str) -> int:
        names = {name.strip('"') for name in header.rstrip("\r\n").split(delimiter)}
        return len(names & set(columns)) + (delimiter in header)

    return max("\t,;", key=found)


def number_in(row: TableRow, column: str) -> float:
    """The number in a column; FormatError if it is none."""
    text = row.fields[column]
    try:
        return float(text)
    except ValueError as error:
        raise FormatError(f"{row.where} has {text!r} for {column}: give a number") from error


@contextlib.contextmanager
def _reading(path: Path, what: str, step: str, unreadable: type[ToolkitError]) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: no UTF-8, or a zero byte in the path
        if isinstance(error, UnicodeDecodeError):
            raise FormatError(f"{what}{str(path)!r} is not UTF-8 text: save it as UTF-8") from error
        reason = getattr(error, "strerror", None) or str(error)
        raise unreadable(f"cannot read {what}{str(path)!r} ({reason}): {step}") from error
