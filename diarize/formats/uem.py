"""UEM files: which stretches of each recording are scored.

    <recording> 1 <start> <end>

Convention: NIST's un-partitioned evaluation map, as read by md-eval. The channel is not used.
"""

from __future__ import annotations

import os

from diarize.formats.text_lines import parse_times, read_fields
from encoder.errors import FormatError

__all__ = ["read_uem"]

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
