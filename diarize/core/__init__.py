"""What every room of the package shares: regions (n, 2) in samples, turns in seconds, labels and
their names, means of vectors, the bounds on the number of speakers, files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from encoder.common.lazy import lazy_exports

if TYPE_CHECKING:
    from diarize.core.labels import by_first_appearance, speaker_name
    from diarize.core.output import write_atomic
    from diarize.core.speaker_count import SpeakerCount
    from diarize.core.turns import UNKNOWN, Turn, merge_touching, speaking_time

__all__ = [
    "UNKNOWN",
    "SpeakerCount",
    "Turn",
    "by_first_appearance",
    "merge_touching",
    "speaker_name",
    "speaking_time",
    "write_atomic",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "UNKNOWN": "diarize.core.turns",
        "SpeakerCount": "diarize.core.speaker_count",
        "Turn": "diarize.core.turns",
        "by_first_appearance": "diarize.core.labels",
        "merge_touching": "diarize.core.turns",
        "speaker_name": "diarize.core.labels",
        "speaking_time": "diarize.core.turns",
        "write_atomic": "diarize.core.output",
    },
)
