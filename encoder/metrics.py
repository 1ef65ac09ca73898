"""Verification and identification measures.

Conventions: a score is larger for pairs that are more likely the same speaker; rates are fractions
in [0, 1]. Equal scores are accepted together. EER is where the false acceptance and false rejection
curves cross, interpolated between the two nearest operating points.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from encoder.errors import ConfigError, CorpusError

__all__ = ["Eer", "eer", "identification_accuracy", "min_dcf", "verification_trials"]


class Eer(NamedTuple):
    """Equal error rate (fraction), and the threshold whose two error rates lie closest together
    when scores >= threshold are accepted."""

    rate: float
    threshold: float


class _OperatingPoints(NamedTuple):
    """Error rates (P,) from "accept everything" to "accept nothing", and the thresholds (P,) that
    give them: scores >= threshold are accepted, and the last is infinite."""

    rejected_targets: NDArray[np.float64]
    accepted_others: NDArray[np.float64]
    thresholds: NDArray[np.float64]


def eer(scores: NDArray[np.floating], is_target: NDArray[np.bool_]) -> Eer:
    """Equal error rate of scores (N,) with truth (N,); CorpusError without both kinds of trial."""
    points = _operating_points(scores, is_target)
    rejected_targets = points.rejected_targets
    difference = rejected_targets - points.accepted_others  # rises from -1 to 1
    after = int(np.argmax(difference >= 0))
    before = after - 1
    part = -difference[before] / (difference[after] - difference[before])
    rate = rejected_targets[before] + part * (rejected_targets[after] - rejected_targets[before])
    closest = after if difference[after] < -difference[before] else before
    return Eer(float(rate), float(points.thresholds[closest]))


def min_dcf(
    scores: NDArray[np.floating],
    is_target: NDArray[np.bool_],
    *,
    p_target: float = 0.01,
    c_miss: float = 1.0,
    c_false_alarm: float = 1.0,
) -> float:
    """Smallest detection cost over all thresholds for scores (N,) with truth (N,), as NIST's
    speaker recognition evaluations normalise it: 1 is what deciding blindly would cost.

    p_target: prior of a same-speaker trial. c_miss, c_false_alarm: costs of the two errors.
    CorpusError without both kinds of trial, ConfigError for a prior or cost that cannot be.
    """
    if not (0 < p_target < 1 and c_miss > 0 and c_false_alarm > 0):
        raise ConfigError(
            f"p_target {p_target}, c_miss {c_miss} and c_false_alarm {c_false_alarm} cannot be: "
            "give a prior between 0 and 1 and costs above 0"
        )
    points = _operating_points(scores, is_target)
    miss, false_alarm = c_miss * p_target, c_false_alarm * (1 - p_target)
    costs = miss * points.rejected_targets + false_alarm * points.accepted_others
    return float(costs.min() / min(miss, false_alarm))


def _operating_points(
    scores: NDArray[np.floating], is_target: NDArray[np.bool_]
) -> _OperatingPoints:
    scores, is_target = np.asarray(scores, np.float64), np.asarray(is_target, bool)
    targets, others = int(is_target.sum()), int((~is_target).sum())
    if targets == 0 or others == 0:
        raise CorpusError(
            f"error rates need trials of both kinds: {targets} same-speaker, "
            f"{others} different-speaker"
        )
    if np.isnan(scores).any():
        raise CorpusError(f"{int(np.isnan(scores).sum())} of {len(scores)} scores are not numbers")
    order = np.argsort(scores, kind="stable")
    ranked, truth = scores[order], is_target[order]
    # Operating points only between different scores: equal scores are accepted together.
    cut = np.append(np.flatnonzero(np.diff(ranked)) + 1, len(ranked))
    rejected_targets = np.concatenate([[0], np.cumsum(truth)[cut - 1]]) / targets
    accepted_others = 1 - np.concatenate([[0], np.cumsum(~truth)[cut - 1]]) / others
    thresholds = np.concatenate([ranked[:1], ranked[cut[:-1]], [np.inf]])
    return _OperatingPoints(rejected_targets, accepted_others, thresholds)


def identification_accuracy(
    anchors: NDArray[np.floating],
    candidates: NDArray[np.floating],
    correct: NDArray[np.integer],
) -> float:
    """Share of anchors (N, D) with one most similar of C candidates (N, C, D): `correct` (N,).

    The paper's protocol has C = 100: one utterance of the anchor's speaker and 99 of others. A tie
    is a miss, or a network that gives one vector for everything could score 100 %.
    """
    if len(anchors) == 0:
        raise CorpusError("an identification accuracy needs at least one anchor: 0 were given")
    similarity = np.einsum("nd,ncd->nc", anchors, candidates)
    rows = np.arange(len(anchors))
    right = similarity[rows, correct]
    similarity[rows, correct] = -np.inf
    return float((right > similarity.max(axis=1)).mean())


def verification_trials(
    embeddings: NDArray[np.floating], speakers: NDArray[np.integer]
) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
    """All pairs of unit embeddings (N, D): their cosines (P,) and whether the speakers match."""
    rows, columns = np.triu_indices(len(speakers), k=1)
    cosines = (embeddings @ embeddings.T)[rows, columns]
    return cosines, np.asarray(speakers)[rows] == np.asarray(speakers)[columns]
