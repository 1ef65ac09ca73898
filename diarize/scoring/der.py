"""Diarization error rate: the share of reference speech that is missed, invented or given away.

Conventions and sources are in `diarize.scoring.protocols`. In a segment with r reference and h
hypothesis speakers, of whom c are paired with each other,

    missed = max(0, r - h)   false alarm = max(0, h - r)   confusion = min(r, h) - c

count for its length. Overlapped speech therefore counts once per speaker, and the rate can
exceed 1. A result is times, which add over recordings; a rate comes last.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from diarize.core.turns import Turn
from diarize.scoring.intervals import Sweep, pair_speakers, sweep
from diarize.scoring.protocols import FULL, Protocol

__all__ = ["DiarizationScore", "measure_der", "score_diarization"]


@dataclass(frozen=True)
class DiarizationScore:
    """Seconds of reference speech and of each error, all >= 0. Scores add.

    Args:
        reference_s: speech of the reference; where speakers overlap, that of each counts.
        missed_s: speech of the reference without a speaker in the hypothesis.
        false_alarm_s: speech of the hypothesis without a speaker in the reference.
        confusion_s: speech that has the wrong speaker.
    """

    reference_s: float = 0.0
    missed_s: float = 0.0
    false_alarm_s: float = 0.0
    confusion_s: float = 0.0

    @property
    def error_s(self) -> float:
        """All errors, in seconds."""
        return self.missed_s + self.false_alarm_s + self.confusion_s

    @property
    def rate(self) -> float:
        """The DER as a fraction >= 0. Without reference speech: 0 if nothing is wrong, else 1.

        The 1 is pyannote.metrics' convention too; the added seconds of several recordings are
        not touched by it.
        """
        return self._share(self.error_s)

    @property
    def missed_rate(self) -> float:
        """What missed speech adds to the DER."""
        return self._share(self.missed_s)

    @property
    def false_alarm_rate(self) -> float:
        """What invented speech adds to the DER; all of it without reference speech."""
        return self._share(self.false_alarm_s)

    @property
    def confusion_rate(self) -> float:
        """What speech of the wrong speaker adds to the DER."""
        return self._share(self.confusion_s)

    def _share(self, seconds: float) -> float:
        whole = self.reference_s if self.reference_s > 0 else self.error_s
        return seconds / whole if whole > 0 else 0.0

    def __add__(self, other: DiarizationScore) -> DiarizationScore:
        return DiarizationScore(
            self.reference_s + other.reference_s,
            self.missed_s + other.missed_s,
            self.false_alarm_s + other.false_alarm_s,
            self.confusion_s + other.confusion_s,
        )


def score_diarization(
    reference: Iterable[Turn],
    hypothesis: Iterable[Turn],
    *,
    uem: Iterable[tuple[float, float]] | None = None,
    protocol: Protocol = FULL,
) -> DiarizationScore:
    """Compare one recording's result with its reference.

    Speaker names need not agree: the best one-to-one pairing is found.

    Agrees with `pyannote.metrics.diarization.DiarizationErrorRate(collar=2 * protocol.collar_s,
    skip_overlap=protocol.skip_overlap)` to 1e-6 s.

    >>> reference = [Turn(0, 10, "A"), Turn(10, 20, "B"), Turn(18, 25, "A"), Turn(25, 30, "C")]
    >>> hypothesis = [Turn(0, 11, "1"), Turn(11, 19, "2"), Turn(19, 26, "1"), Turn(28, 31, "3")]
    >>> score_diarization(reference, hypothesis)
    DiarizationScore(reference_s=32.0, missed_s=4.0, false_alarm_s=1.0, confusion_s=2.0)

    Args:
        reference: the true turns, in any order.
        hypothesis: the turns to score, in any order.
        uem: (start_s, end_s) of the regions to score; None scores the extent of all turns, so
            silence that should have been kept silent beyond them is not seen.
        protocol: what is left out of scoring; nothing by default.

    Returns:
        Seconds of speech and of each error.

    Raises:
        ValueError: a time is not finite.
    """
    swept = sweep(reference, hypothesis, uem=uem, protocol=protocol)
    return measure_der(swept, pair_speakers(swept))


def measure_der(swept: Sweep, pairs: Iterable[tuple[int, int]]) -> DiarizationScore:
    """The score of time already swept, with its speakers paired."""
    wanted = swept.reference.sum(axis=1)
    given = swept.hypothesis.sum(axis=1)
    # Counted by segment, not as a difference of sums: a perfect result must be exactly 0.
    correct = np.zeros_like(wanted)
    truth, result = swept.by_speaker()
    for r, h in pairs:
        correct += truth[r] & result[h]
    return DiarizationScore(
        reference_s=float(swept.seconds @ wanted),
        missed_s=float(swept.seconds @ np.maximum(wanted - given, 0)),
        false_alarm_s=float(swept.seconds @ np.maximum(given - wanted, 0)),
        confusion_s=float(swept.seconds @ (np.minimum(wanted, given) - correct)),
    )
