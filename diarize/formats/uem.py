"""UEM files: which stretches of each recording are scored.

    <recording> 1 <start> <end>

Convention: NIST's un-partitioned evaluation map, as read by md-eval. The channel is not used.
A name may hold blanks, as `diarize.formats.columns` says.
"""

from __future__ import annotations

import os

from diarize.formats.columns import uem_columns
from diarize.formats.text_lines import parse_times, read_lines
from encoder.errors import FormatError

__all__ = ["read_uem"]


def read_uem(path: str | os.PathLike[str]) -> dict[str, list[tuple[float, float]]]:
    """(start_s, end_s) regions of each recording, sorted; "-" reads the standard input.

    Comments, blank lines, CRLF and a byte order mark are accepted; empty regions are ignored.
    Raises FormatError naming file, line and fault.
    """
    recordings: dict[str, list[tuple[float, float]]] = {}
    for where, line in read_lines(path, "UEM"):
        columns = uem_columns(where, line)
        start, end = parse_times(where, start=columns.first, end=columns.second)
        if end < start:
            raise FormatError(f"{where} ends at {end} s, before its start at {start} s")
        regions = recordings.setdefault(columns.recording, [])
        if end > start:
            regions.append((float(start), float(end)))
    for regions in recordings.values():
        regions.sort()
    return recordings
