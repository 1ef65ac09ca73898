"""The columns of RTTM and UEM lines whose names may hold blanks.

A line that fits at its tabs is read so. Else the columns beside a name tell how long it is: in RTTM
the two times and the `<NA> <NA>` behind them, in UEM the two times; a channel is a number or a
letter. A line that could be read in two ways is refused: half a name is another name.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from diarize.formats.text_lines import is_number, tabbed_fields
from encoder.common.names import name_key
from encoder.errors import FormatError

__all__ = ["Columns", "rttm_columns", "uem_columns"]

_NONE = "<NA>"
_CHANNEL = re.compile(r"\d+|[A-Za-z]|<?NA>?", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
_RTTM_LEAST, _RTTM_MOST, _UEM_LEAST = 8, 10, 4
_STEP = "part the columns by tabs, or write the name without blanks"


class Columns(NamedTuple):
    """What a line says, as it is written: start and duration in RTTM, start and end in UEM."""

    recording: str
    first: str
    second: str
    speaker: str = ""


def uem_columns(where: str, line: str) -> Columns:
    """The columns of a UEM line; FormatError if they are too few or fit in two ways."""
    fields = tabbed_fields(line)
    if len(fields) < _UEM_LEAST or not (
        fields[0] and is_number(fields[2]) and is_number(fields[3])
    ):
        fields = line.split()
        if len(fields) < _UEM_LEAST:
            raise FormatError(
                f"{where} has {len(fields)} fields: write recording, channel, start and end"
            )
        channel = _channel(where, fields, start=1, behind=0)
        fields = [" ".join(fields[:channel]), *fields[channel:]]
    return Columns(name_key(fields[0]), fields[2], fields[3])


def rttm_columns(where: str, line: str) -> Columns:
    """The columns of a SPEAKER line; FormatError if they are too few or fit in two ways."""
    fields = tabbed_fields(line)
    if len(fields) < _RTTM_LEAST or not (
        fields[1] and fields[7] and is_number(fields[3]) and is_number(fields[4])
    ):
        fields = line.split()
        if len(fields) < _RTTM_LEAST:
            raise FormatError(
                f"{where} has {len(fields)} fields: a SPEAKER line has at least {_RTTM_LEAST}"
            )
        channel = _channel(where, fields, start=2, behind=3)
        speaker = _speaker(where, fields[channel + 5 :])
        if fields[channel + 3 : channel + 5] != [_NONE, _NONE] and (
            " " in speaker or len(fields) - channel > _RTTM_MOST - 2
        ):
            raise FormatError(f"{where} has more fields than the columns of RTTM: {_STEP}")
        fields = [fields[0], " ".join(fields[1:channel]), *fields[channel : channel + 5], speaker]
    return Columns(name_key(fields[1]), fields[3], fields[4], name_key(fields[7]))


def _channel(where: str, fields: list[str], *, start: int, behind: int) -> int:
    """Where the channel stands: two times follow it, and then at least `behind` fields.

    It is `start` where no times are found: whoever reads them there says what is wrong.
    """
    places = [
        place
        for place in range(start, len(fields) - 2 - behind)
        if is_number(fields[place + 1]) and is_number(fields[place + 2])
    ]
    if behind:
        pairs = [p for p in places if fields[p + 3 : p + 5] == [_NONE, _NONE]]
        places = pairs or places
    places = [p for p in places if _CHANNEL.fullmatch(fields[p])] or places
    if len(places) > 1:
        names = (" ".join(fields[start - 1 : place]) for place in places[:2])
        raise FormatError(
            f"{where} may be about the recording {' or '.join(map(repr, names))}: {_STEP}"
        )
    return places[0] if places else start


def _speaker(where: str, tail: list[str]) -> str:
    """The name at the head of the last columns: speaker, and perhaps confidence and lookahead.

    Behind a name these two are `<NA>` or numbers. Of "Speaker 2" the number belongs to the name; it
    can only be a confidence if it has a decimal point or is 1.
    """
    end = next((k for k in range(1, len(tail)) if tail[k] == _NONE), len(tail))
    open_columns = 2 - (len(tail) - end)  # those of the two that no <NA> takes
    words = tail[:end]
    doubtful = False
    while len(words) > 1 and is_number(words[-1]):
        whole = _WHOLE.fullmatch(words[-1]) is not None
        if open_columns <= 0:
            doubtful = not whole
            break
        if whole and words[-1] != "1":
            doubtful = True
            break
        words = words[:-1]
        open_columns -= 1
    if doubtful:
        raise FormatError(
            f"{where} has {' '.join(tail[:end])!r} where a speaker is named, which may be a name "
            f"or a name and a number: {_STEP}"
        )
    return " ".join(words)
