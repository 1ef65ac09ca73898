"""How sure the speaker of each turn is.

A turn is sure if its voice is much nearer to the rest of its own speaker than to the next one. Long
turns are surer than short ones. The embedder's calibration makes of both the share of such turns
that had the right speaker in real conversations (`recipes/calibrate/turns.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from diarize.core.turns import UNKNOWN, Turn
from diarize.core.vectors import unit_rows
from diarize.embedding.windows import Windows
from encoder.calibration.score_calibration import LONGEST_S, SHORTEST_S, Calibration
from encoder.errors import CorpusError

__all__ = ["fit_turns", "leave_doubtful", "turn_confidence", "turn_margins"]

BLOCK = 4096  # windows or turns at a time: a long recording has many
LEAST_REST_S = 0.3  # a speaker with less beside the turn has nothing to compare it with


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
    0, -1 for windows in none. lengths_s: of all turns. One without a window is as sure as one whose
    voice is no nearer to its own speaker than to the next.
    """
    if calibration is None or calibration.turns is None:
        return np.full(len(lengths_s), np.nan)
    inside = turns >= 0
    with_windows, number = np.unique(turns[inside], return_inverse=True)
    numbers = np.full(len(turns), -1, np.int64)
    numbers[inside] = number
    margins, seconds = turn_margins(windows, embeddings, labels, numbers, calibration)
    found = calibration.turn_probability(0.0, lengths_s)
    found[with_windows] = calibration.turn_probability(margins, seconds)
    return found


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

    Where there is no rest or no other speaker, the similarity at which the turn might as well be a
    stranger's takes its place. Vectors are means, weighted by the time that each window speaks for.
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

    stranger = calibration.even_odds(turn_s, rest_s)
    to_own, nearest = np.empty(count), np.empty(count)
    speakers = unit_rows(of_speaker)
    for start in range(0, count, BLOCK):
        part = slice(start, start + BLOCK)
        voice, mine = unit_rows(of_turn[part]), own[part]
        to_own[part] = (voice * unit_rows(of_speaker[mine] - of_turn[part])).sum(axis=1)
        to_others = voice @ speakers.T
        to_others[np.arange(len(mine)), mine] = -np.inf
        nearest[part] = to_others.max(axis=1, initial=-np.inf)
    to_own = np.where(rest_s >= LEAST_REST_S, to_own, stranger)
    return to_own - np.where(np.isfinite(nearest), nearest, stranger), turn_s


def fit_turns(
    calibration: Calibration,
    margins: NDArray[np.float64],
    turn_s: NDArray[np.float64],
    right: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> Calibration:
    """The calibration with the `turns` that make T turns most likely (logistic regression).

    margins, turn_s: (T,) as `turn_margins` gives them. right: (T,) share of each turn's time that
    has the right speaker. weights: (T,) what each turn counts for. CorpusError if all are right, or
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
    offset = model.intercept_[0]
    return replace(calibration, turns=(float(slope), float(per_log_second), float(offset)))
