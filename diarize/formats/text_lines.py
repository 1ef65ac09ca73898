"""What the line formats share: reading text, numbering its lines, exact times."""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path

from encoder.common.names import name_key
from encoder.errors import FormatError

__all__ = ["is_number", "parse_times", "printable_token", "read_lines", "tabbed_fields", "to_ms"]

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
LONGEST_S = 1e10  # later than any clock says; floats still tell microseconds there


def read_lines(path: str | os.PathLike[str], kind: str) -> Iterator[tuple[str, str]]:
    """Yield (where, line) for each line that is neither blank nor a `;;` comment.

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
        content = line.strip()
        if content and not content.startswith(";;"):
            yield f"line {number} of {shown}", line


def tabbed_fields(line: str) -> list[str]:
    """The fields of a line between its tabs, each blank in them a single one; none without tabs."""
    return [" ".join(field.split()) for field in line.split("\t")] if "\t" in line else []


def is_number(text: str) -> bool:
    """Whether the text is a finite decimal number, as times are written."""
    return _NUMBER.fullmatch(text) is not None and math.isfinite(float(text))


def parse_times(where: str, **named: str) -> tuple[Decimal, ...]:
    """Non-negative times in seconds, as exact decimals; FormatError names a bad one.

    Decimals, because 0.1 + 0.2 must touch a turn that starts at 0.3.
    """
    values = []
    for name, text in named.items():
        try:
            value = Decimal(text if is_number(text) else "NaN")
        except InvalidOperation:  # of an exponent that no decimal has
            value = Decimal("NaN")
        if value.is_nan():
            raise FormatError(f"{where} has the {name} {text!r}: write a number of seconds")
        if value < 0:
            raise FormatError(f"{where} has the {name} {text}: it cannot be negative")
        if value > LONGEST_S:
            raise FormatError(
                f"{where} has the {name} {text}: give seconds, at most {LONGEST_S:.0f}"
            )
        values.append(value)
    return tuple(values)


def to_ms(seconds: float) -> int:
    """Whole milliseconds, half up. Raises ValueError for a negative or non-finite time."""
    if not (math.isfinite(seconds) and seconds >= 0):
        raise ValueError(f"a time of {seconds} s cannot be written")
    return math.floor(seconds * 1000 + 0.5)


def printable_token(name: str) -> str:
    """`name`, composed, as one whitespace-free field: each whitespace character becomes "_"."""
    return "".join("_" if character.isspace() else character for character in name_key(name)) or "_"
