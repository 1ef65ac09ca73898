"""Turns: who speaks from when to when.

A turn is what the pipeline, the formats and the scorer exchange. Its times are seconds, half open
[start_s, end_s); the pipeline counts in samples and converts once, at its end. Nothing here needs
numpy; pyannote.core is imported only where its `Annotation` is made, because that import is slow.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pyannote.core import Annotation

__all__ = [
    "LONGEST",
    "SAME_INSTANT_S",
    "UNKNOWN",
    "Turn",
    "merge_touching",
    "speaking_time",
    "to_annotation",
]

LONGEST = "longest"  # asks for whoever speaks longest
UNKNOWN = "UNKNOWN"  # the speaker of a turn whose confidence is too low
SAME_INSTANT_S = 1e-9  # times closer than this are one instant, but for floating point noise


class Turn(NamedTuple):
    """What one speaker says without a pause; sorts by start, then end, then speaker.

    Args:
        start_s: seconds from the beginning of the recording, 0 or more.
        end_s: seconds from the beginning of the recording; the turn ends before it.
        speaker: name of the speaker, `UNKNOWN` if the confidence is too low.
    """

    start_s: float
    end_s: float
    speaker: str

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.end_s - self.start_s


def merge_touching(turns: Iterable[Turn], *, gap_s: float = 0.0) -> list[Turn]:
    """Join the turns of one speaker that overlap, touch, or lie at most `gap_s` apart.

    Returns sorted turns; empty ones (end_s <= start_s) are dropped. Turns of different speakers
    never change each other.
    """
    last: dict[str, Turn] = {}
    merged: list[Turn] = []
    for turn in sorted(turns):
        if turn.end_s <= turn.start_s:
            continue
        before = last.get(turn.speaker)
        if before is not None and turn.start_s - before.end_s <= gap_s + SAME_INSTANT_S:
            last[turn.speaker] = before._replace(end_s=max(before.end_s, turn.end_s))
            continue
        if before is not None:
            merged.append(before)
        last[turn.speaker] = turn
    return sorted([*merged, *last.values()])


def speaking_time(turns: Iterable[Turn]) -> dict[str, float]:
    """Seconds of speech per speaker, in order of first appearance.

    A stretch that several turns of one speaker cover counts once.
    """
    ordered = sorted(turn for turn in turns if turn.end_s > turn.start_s)
    seconds = dict.fromkeys((turn.speaker for turn in ordered), 0.0)
    for turn in merge_touching(ordered):
        seconds[turn.speaker] += turn.duration_s
    return seconds


def to_annotation(turns: Iterable[Turn], uri: str | None = None) -> Annotation:
    """The turns as a pyannote `Annotation`, which notebooks draw as a timeline.

    Turns shorter than pyannote's precision (1 microsecond) are left out by pyannote.
    """
    from pyannote.core import Annotation, Segment

    annotation = Annotation(uri=uri)
    for track, turn in enumerate(turns):
        # A track of its own: two speakers on one segment would replace each other.
        annotation[Segment(turn.start_s, turn.end_s), track] = turn.speaker
    return annotation
