"""The probability that each turn has the right speaker.

It grows with the margin, by which a turn is more similar to the rest of its own speaker than to the
next speaker, and with the length of the turn. A calibration, fitted on real conversations
(`recipes/calibrate/turns.py`), makes a probability of both; it lies in the file of the embedder's
calibration of similarities.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diarize.core.turns import UNKNOWN, Turn
from diarize.embedding.windows import Windows
from encoder.calibration.score_calibration import LONGEST_S, SHORTEST_S, Calibration, sigmoid
from encoder.common.vectors import unit_rows
from encoder.errors import CheckpointError, CorpusError

__all__ = [
    "TurnCalibration",
    "fit_turns",
    "leave_doubtful",
    "turn_confidence",
    "turn_evidence",
    "turn_margins",
]

BLOCK = 4096  # windows or turns at a time: a long recording has many
LEAST_REST_S = 0.3  # a speaker with less beside the turn has nothing to compare it with
STORED = "turns"  # the name of the three numbers in the file of a calibration


@dataclass(frozen=True)
class TurnCalibration:
    """Log odds that a turn has the right speaker, from its margin and its length:

    slope * margin + per_log_second * ln(seconds) + offset
    """

    slope: float
    per_log_second: float
    offset: float

    @classmethod
    def of(cls, calibration: Calibration | None) -> TurnCalibration | None:
        """The one in the file of an embedder's calibration; None without. CheckpointError for one
        that is damaged."""
        stored = None if calibration is None else calibration.further.get(STORED)
        if stored is None:
            return None
        try:
            numbers = [float(number) for number in stored]
            if not (len(numbers) == 3 and np.isfinite(numbers).all()):
                raise ValueError("give three finite numbers")
        except (TypeError, ValueError) as error:
            assert calibration is not None
            raise CheckpointError(
                f"the calibration of {calibration.fingerprint} has the turns {stored!r} ({error}): "
                "fit it anew"
            ) from error
        return cls(*numbers)

    def stored_in(self, calibration: Calibration) -> Calibration:
        """The embedder's calibration with this one in its file."""
        return replace(calibration, further={**calibration.further, STORED: list(astuple(self))})

    def probability(self, margin: ArrayLike, turn_s: ArrayLike) -> NDArray[np.float64]:
        """P(right speaker) of turns of `turn_s` seconds that are by `margin` more similar to their
        speaker than to the next one; shapes broadcast."""
        seconds = np.clip(np.asarray(turn_s, np.float64), SHORTEST_S, LONGEST_S)
        margin = np.asarray(margin, np.float64)
        return sigmoid(self.slope * margin + self.per_log_second * np.log(seconds) + self.offset)


def turn_confidence(
    windows: Windows,
    embeddings: NDArray[np.floating],
    labels: NDArray[np.int64],
    turns: NDArray[np.int64],
    calibration: Calibration | None,
    *,
    lengths_s: NDArray[np.float64],
) -> NDArray[np.float64]:
    """P(right speaker) of each turn, (number of turns,); NaN without a calibration for turns.

    embeddings (N, D) unit vectors, labels (N,), turns (N,): the turn that each window is in, from
    0, -1 for windows in none. lengths_s: of all turns. A turn without a window has the margin 0.
    """
    of_turns = TurnCalibration.of(calibration)
    if calibration is None or of_turns is None:
        return np.full(len(lengths_s), np.nan)
    return of_turns.probability(
        *turn_evidence(windows, embeddings, labels, turns, calibration, lengths_s=lengths_s)
    )


def turn_evidence(
    windows: Windows,
    embeddings: NDArray[np.floating],
    labels: NDArray[np.int64],
    turns: NDArray[np.int64],
    calibration: Calibration,
    *,
    lengths_s: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The margin of each turn and the seconds it is of, as `turn_confidence` uses them: those of
    its windows or, without any, 0 and the length of the turn."""
    inside = turns >= 0
    with_windows, number = np.unique(turns[inside], return_inverse=True)
    numbers = np.full(len(turns), -1, np.int64)
    numbers[inside] = number
    margins, seconds = np.zeros(len(lengths_s)), lengths_s.copy()
    margins[with_windows], seconds[with_windows] = turn_margins(
        windows, embeddings, labels, numbers, calibration
    )
    return margins, seconds


def leave_doubtful(
    turns: Sequence[Turn], confidence: NDArray[np.float64], minimum: float
) -> list[Turn]:
    """The turns, those whose confidence, (len(turns),), is below `minimum` with UNKNOWN speaker."""
    sure = ~(confidence < minimum)
    return [
        turn if kept else turn._replace(speaker=UNKNOWN)
        for turn, kept in zip(turns, sure, strict=True)
    ]


def turn_margins(
    windows: Windows,
    embeddings: NDArray[np.floating],
    labels: NDArray[np.int64],
    turns: NDArray[np.int64],
    calibration: Calibration,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Similarity to the rest of the own speaker less that to the nearest other one, and seconds.

    Where there is no rest or no other speaker, the similarity with even odds that the turn is an
    unknown speaker's takes its place. Vectors are means, weighted by the windows' territories.
    """
    count, K = int(turns.max(initial=-1)) + 1, int(labels.max(initial=-1)) + 1
    inside = np.flatnonzero(turns >= 0)
    seconds = windows.territory_s
    of_turn, of_speaker = (np.zeros((n, np.shape(embeddings)[1])) for n in (count, K))
    for start in range(0, len(inside), BLOCK):
        some = inside[start : start + BLOCK]
        weighted = embeddings[some] * seconds[some, None]
        np.add.at(of_turn, turns[some], weighted)
        np.add.at(of_speaker, labels[some], weighted)
    turn_s = np.asarray(np.bincount(turns[inside], seconds[inside], count), np.float64)
    own = np.empty(count, np.int64)
    own[turns[inside]] = labels[inside]
    rest_s = np.bincount(labels[inside], seconds[inside], K)[own] - turn_s

    unknown = calibration.even_odds(turn_s, rest_s)
    to_own, nearest = np.empty(count), np.empty(count)
    speakers = unit_rows(of_speaker)
    for start in range(0, count, BLOCK):
        part = slice(start, start + BLOCK)
        turn, mine = unit_rows(of_turn[part]), own[part]
        to_own[part] = (turn * unit_rows(of_speaker[mine] - of_turn[part])).sum(axis=1)
        to_others = turn @ speakers.T
        to_others[np.arange(len(mine)), mine] = -np.inf
        nearest[part] = to_others.max(axis=1, initial=-np.inf)
    to_own = np.where(rest_s >= LEAST_REST_S, to_own, unknown)
    return to_own - np.where(np.isfinite(nearest), nearest, unknown), turn_s


def fit_turns(
    margins: NDArray[np.float64],
    turn_s: NDArray[np.float64],
    right: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> TurnCalibration:
    """The calibration that makes n turns most likely (logistic regression).

    margins, turn_s: (n,) as `turn_margins` gives them. right: (n,) share of each turn's time that
    has the right speaker. weights: (n,) what each turn counts for. CorpusError if all are right, or
    all wrong.
    """
    from sklearn.linear_model import LogisticRegression

    if not 0 < (right * weights).sum() < weights.sum():
        raise CorpusError(
            f"{len(right)} turns are all right or all wrong: a confidence needs some of both"
        )
    measured = np.stack([margins, np.log(np.clip(turn_s, SHORTEST_S, LONGEST_S))], axis=1)
    model = LogisticRegression(C=np.inf, max_iter=1000).fit(
        np.concatenate([measured, measured]),
        np.repeat([True, False], len(measured)),
        sample_weight=np.concatenate([right * weights, (1 - right) * weights]),
    )
    slope, per_log_second = model.coef_[0]
    return TurnCalibration(float(slope), float(per_log_second), float(model.intercept_[0]))
