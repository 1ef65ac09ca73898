"""Tables of users: CSV or TSV with a header, in UTF-8 with or without a byte order mark."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from encoder.errors import FormatError, ToolkitError

__all__ = ["TableRow", "number_in", "read_table", "read_text"]


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
    delimiter: str = "\t",
    quoted: bool = True,
    complete: bool = False,
    what: str = "",
    step: str = "give the path of a table",
    unreadable: type[ToolkitError] = FormatError,
) -> Iterator[TableRow]:
    """The rows of a table that has these `columns` and perhaps others, read as they are taken.

    quoted: quotes may enclose a field, as RFC 4180 has it; else they are characters as others.
    complete: every row has all columns of the header; else only those of `columns`.
    what: how errors call the file ("the manifest "); step: what to do about one that cannot be
        read, which raises `unreadable`.

    FormatError names the file, the line and the column where the table is broken.
    """
    with (
        _reading(path, what, step, unreadable),
        # newline="": line ends inside quotes belong to the field.
        path.open(newline="", encoding="utf-8-sig") as handle,
    ):
        quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
        reader = csv.DictReader(handle, delimiter=delimiter, quoting=quoting)
        try:
            header = reader.fieldnames or ()
            for column in columns:
                if column not in header:
                    raise FormatError(
                        f"line 1 of {what}{str(path)!r} lacks the column {column!r}: "
                        f"it must name {', '.join(columns)}"
                    )
            needed = header if complete else columns
            for row in reader:
                where = f"line {reader.line_num} of {what}{str(path)!r}"
                fields = {k: v for k, v in row.items() if k is not None and v is not None}
                for column in needed:
                    if column not in fields:
                        raise FormatError(
                            f"{where} lacks the column {column!r}, for it has fewer fields than "
                            "the first line: complete it"
                        )
                yield TableRow(where, fields)
        except csv.Error as error:
            raise FormatError(
                f"line {reader.line_num + 1} of {what}{str(path)!r} cannot be read ({error}): "
                "is it a table?"
            ) from error


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
