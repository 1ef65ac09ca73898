"""Jaccard error rate: the mean over reference speakers of 1 - intersection / union.

Every speaker weighs the same, however little is said. A reference speaker without a partner
counts 1; a hypothesis speaker without one counts nothing.

Source: Ryant et al., "The Second DIHARD Diarization Challenge", Interspeech 2019, and its
evaluation plan. Regions, collar and pairing are as for the DER (`diarize.scoring.protocols`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from diarize.core.turns import Turn
from diarize.scoring.intervals import Sweep, pair_speakers, sweep
from diarize.scoring.protocols import FULL, Protocol

__all__ = ["JaccardScore", "measure_jer", "score_jaccard"]


@dataclass(frozen=True)
class JaccardScore:
    """Numbers of speakers with scored time, and the sum of the reference speakers' errors.

    Scores add; each reference speaker of each recording then weighs the same.
    """

    reference_speakers: int = 0
    hypothesis_speakers: int = 0
    error: float = 0.0

    @property
    def rate(self) -> float:
        """The JER in [0, 1]. Without reference speakers: 1 if anyone was found, else 0.

        pyannote.metrics gives 1 in both cases.
        """
        if self.reference_speakers > 0:
            return self.error / self.reference_speakers
        return 1.0 if self.hypothesis_speakers > 0 else 0.0

    def __add__(self, other: JaccardScore) -> JaccardScore:
        return JaccardScore(
            self.reference_speakers + other.reference_speakers,
            self.hypothesis_speakers + other.hypothesis_speakers,
            self.error + other.error,
        )


def score_jaccard(
    reference: Iterable[Turn],
    hypothesis: Iterable[Turn],
    *,
    uem: Iterable[tuple[float, float]] | None = None,
    protocol: Protocol = FULL,
) -> JaccardScore:
    """Compare one recording's result with its reference, as `score_diarization` does.

    Agrees with `pyannote.metrics.diarization.JaccardErrorRate` to 1e-6. Where several pairings
    share equally much time, the JER depends on which is taken, and the two may take different ones.
    """
    swept = sweep(reference, hypothesis, uem=uem, protocol=protocol)
    return measure_jer(swept, pair_speakers(swept))


def measure_jer(swept: Sweep, pairs: Iterable[tuple[int, int]]) -> JaccardScore:
    """The score of time already swept, with its speakers paired."""
    present = swept.reference.any(axis=0)
    error = float(present.sum())
    truth, result = swept.by_speaker()
    for r, h in pairs:
        differing = swept.seconds @ (truth[r] ^ result[h])
        error += float(differing / (swept.seconds @ (truth[r] | result[h]))) - 1
    return JaccardScore(int(present.sum()), int(swept.hypothesis.any(axis=0).sum()), error)
