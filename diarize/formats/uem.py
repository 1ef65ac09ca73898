"""UEM: the stretches of each recording that are to be scored.

    <recording> 1 <start> <end>

Convention: NIST's un-partitioned evaluation map, as read by md-eval. The channel is not used.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from diarize.core.output import write_atomic
from diarize.formats.text_lines import parse_times, printable_token, read_fields, to_ms
from encoder.errors import FormatError

__all__ = ["format_uem", "read_uem", "write_uem"]

_LEAST_FIELDS = 4


def read_uem(path: str | os.PathLike[str]) -> dict[str, list[tuple[float, float]]]:
    """(start_s, end_s) regions of each recording, sorted; "-" reads the standard input.

    Comments, blank lines, CRLF and a byte order mark are accepted; empty regions are ignored.
    Raises FormatError naming file, line and fault.
    """
    recordings: dict[str, list[tuple[float, float]]] = {}
    for where, fields in read_fields(path, "UEM"):
        if len(fields) < _LEAST_FIELDS:
            raise FormatError(
                f"{where} has {len(fields)} fields: write recording, channel, start and end"
            )
        start, end = parse_times(where, start=fields[2], end=fields[3])
        if end < start:
            raise FormatError(f"{where} ends at {end} s, before its start at {start} s")
        regions = recordings.setdefault(fields[0], [])
        if end > start:
            regions.append((float(start), float(end)))
    for regions in recordings.values():
        regions.sort()
    return recordings


def format_uem(regions_by_uri: Mapping[str, Iterable[tuple[float, float]]]) -> str:
    """The UEM text of some recordings; times in milliseconds, whitespace in names as "_"."""
    return "".join(
        f"{printable_token(uri)} 1 {to_ms(start_s) / 1000:.3f} {to_ms(end_s) / 1000:.3f}\n"
        for uri, regions in regions_by_uri.items()
        for start_s, end_s in sorted(regions)
    )


def write_uem(
    regions_by_uri: Mapping[str, Iterable[tuple[float, float]]], path: str | os.PathLike[str]
) -> None:
    """Write `format_uem` to a file in one step, or to the standard output for "-"; StoreError."""
    write_atomic(path, format_uem(regions_by_uri))
