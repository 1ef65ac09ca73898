"""RTTM, the text format of diarization references and results.

    SPEAKER <recording> 1 <start> <duration> <NA> <NA> <speaker> <NA> <NA>

Convention: NIST, "RT-09 Rich Transcription Meeting Recognition Evaluation Plan", appendix A.
Written times are milliseconds. Start and end are rounded each, and the duration is their
difference: rounding start and duration apart would invent overlaps of 1 ms. Fields are separated
by whitespace, so whitespace in a recording's or speaker's name is written as "_". Other tools write
names with blanks: they are read as `diarize.formats.columns` says. Names are composed (NFC).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping

from diarize.core.output import write_atomic
from diarize.core.turns import Turn
from diarize.formats.columns import rttm_columns
from diarize.formats.text_lines import parse_times, printable_token, read_lines, to_ms
from encoder.errors import FormatError

__all__ = ["format_rttm", "read_rttm", "write_rttm"]

# The line types of the format; only SPEAKER lines carry turns. Anything else is no RTTM file.
_TYPES = re.compile(
    "SPEAKER|SPKR-INFO|SEGMENT|NOSCORE|NO_RT_METADATA|LEXEME|NON-LEX|NON-SPEECH"
    "|FILLER|EDIT|IP|SU|CB|A/P"
)


def read_rttm(path: str | os.PathLike[str]) -> dict[str, list[Turn]]:
    """Read the turns of each recording in an RTTM file.

    Comments (`;;`), blank lines, other line types, missing or extra last columns, CRLF and a byte
    order mark are accepted; lines of zero duration carry no turn. A file without lines gives {}.
    A name may hold blanks where tabs or the columns around it tell it whole; else the line is
    refused.

    Args:
        path: a UTF-8 file; "-" is the standard input.

    Returns:
        The sorted turns of each recording by its name, which is the second column.

    Raises:
        FormatError: the file cannot be read, or a line that is named with its fault.
    """
    recordings: dict[str, list[Turn]] = {}
    for where, line in read_lines(path, "RTTM"):
        first = line.split()[0]
        if not _TYPES.fullmatch(first.upper()):
            raise FormatError(
                f"{where} starts with {first!r}, which is no RTTM line type: give an RTTM file"
            )
        if first.upper() != "SPEAKER":
            continue
        columns = rttm_columns(where, line)
        start, duration = parse_times(where, start=columns.first, duration=columns.second)
        turns = recordings.setdefault(columns.recording, [])
        turn = Turn(float(start), float(start + duration), columns.speaker)
        if turn.end_s > turn.start_s:
            turns.append(turn)
    for turns in recordings.values():
        turns.sort()
    return recordings


def format_rttm(turns_by_uri: Mapping[str, Iterable[Turn]]) -> str:
    """The RTTM text of some recordings, in their order, turns sorted; "" if there are no turns.

    Turns that round to nothing are dropped. Raises FormatError if two names become one once
    their whitespace is replaced, ValueError for negative or non-finite times.
    """
    lines: list[str] = []
    uris: dict[str, str] = {}
    for uri, turns in turns_by_uri.items():
        recording = _unique_token(uri, uris)
        speakers: dict[str, str] = {}
        for turn in sorted(turns):
            start, end = to_ms(turn.start_s), to_ms(turn.end_s)
            speaker = _unique_token(turn.speaker, speakers)
            if end > start:
                lines.append(
                    f"SPEAKER {recording} 1 {start / 1000:.3f} {(end - start) / 1000:.3f}"
                    f" <NA> <NA> {speaker} <NA> <NA>\n"
                )
    return "".join(lines)


def write_rttm(turns_by_uri: Mapping[str, Iterable[Turn]], path: str | os.PathLike[str]) -> None:
    """Write turns as an RTTM file, the complete file or none.

    Times are rounded to milliseconds, and turns that round to nothing are dropped; recordings keep
    their order and turns are sorted.

    Args:
        turns_by_uri: the turns of each recording by its name.
        path: a file, whose folder exists; "-" is the standard output.

    Raises:
        FormatError: two names are one once whitespace is written as "_".
        StoreError: the file cannot be written.
        ValueError: a time is negative or not finite.
    """
    write_atomic(path, format_rttm(turns_by_uri))


def _unique_token(name: str, taken: dict[str, str]) -> str:
    token = printable_token(name)
    if taken.setdefault(token, name) != name:
        raise FormatError(
            f"the names {taken[token]!r} and {name!r} are both written as {token!r}: rename one"
        )
    return token
