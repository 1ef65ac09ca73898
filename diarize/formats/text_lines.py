"""What the line formats share: reading text, numbering its lines, exact times."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from encoder.errors import FormatError

__all__ = ["parse_times", "printable_token", "read_fields", "to_ms"]


def read_fields(path: str | os.PathLike[str], kind: str) -> Iterator[tuple[str, list[str]]]:
    """Yield (where, fields) for each line that is neither blank nor a `;;` comment.

    `where` names file and line for an error message. "-" reads the standard input. Raises
    FormatError if the file cannot be read or is not UTF-8 text.
    """
    name = os.fspath(path)
    shown = "the standard input" if name == "-" else repr(name)
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FormatError(
            f"cannot read {shown} ({reason}): give the path of a {kind} file"
        ) from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError(f"{shown} is not UTF-8 text: is it a {kind} file?") from error
    # Not splitlines(): it also splits at characters that may stand inside a name.
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for number, line in enumerate(lines, start=1):
        fields = line.split()
        if fields and not fields[0].startswith(";;"):
            yield f"line {number} of {shown}", fields


def parse_times(where: str, **named: str) -> tuple[Decimal, ...]:
    """Non-negative finite times in seconds, as exact decimals; FormatError names a bad one.

    Decimals, because 0.1 + 0.2 must touch a turn that starts at 0.3.
    """
    values = []
    for name, text in named.items():
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise FormatError(f"{where} has the {name} {text!r}: write a number of seconds")
        if value < 0:
            raise FormatError(f"{where} has the {name} {text}: it cannot be negative")
        values.append(Decimal(text))
    return tuple(values)


def to_ms(seconds: float) -> int:
    """Whole milliseconds, half up. Raises ValueError for a negative or non-finite time."""
    if not (math.isfinite(seconds) and seconds >= 0):
        raise ValueError(f"a time of {seconds} s cannot be written")
    return math.floor(seconds * 1000 + 0.5)


def printable_token(name: str) -> str:
    """`name` as one whitespace-free field: each whitespace character becomes "_"."""
    return "".join("_" if character.isspace() else character for character in name) or "_"
