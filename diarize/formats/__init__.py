"""Text formats of turns, regions to score, clips and trials.

Takes files from this toolkit, from others and from hand, with or without a byte order mark; gives
plain values. Errors name file, line and fault. Writes RTTM, tables of clips and lists of trials.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from encoder.common.lazy import lazy_exports

if TYPE_CHECKING:
    from diarize.formats.clip_table import ClipRow, read_clip_labels
    from diarize.formats.rttm import read_rttm, write_rttm
    from diarize.formats.trial_lists import read_identification, read_trials
    from diarize.formats.uem import read_uem

__all__ = [
    "ClipRow",
    "read_clip_labels",
    "read_identification",
    "read_rttm",
    "read_trials",
    "read_uem",
    "write_rttm",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "ClipRow": "diarize.formats.clip_table",
        "read_clip_labels": "diarize.formats.clip_table",
        "read_identification": "diarize.formats.trial_lists",
        "read_rttm": "diarize.formats.rttm",
        "read_trials": "diarize.formats.trial_lists",
        "read_uem": "diarize.formats.uem",
        "write_rttm": "diarize.formats.rttm",
    },
)
