"""Verification and identification measures.

Conventions: a score is larger for pairs that are more likely the same speaker; rates are fractions
in [0, 1]. Equal scores are accepted together. EER is where the false acceptance and false rejection
curves cross, interpolated between the two nearest operating points.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from encoder.errors import ConfigError, CorpusError

__all__ = [
    "Eer",
    "OperatingPoints",
    "eer",
    "equal_error",
    "min_dcf",
    "most_similar",
    "operating_points",
]


class Eer(NamedTuple):
    """Equal error rate (fraction), and the threshold whose two error rates lie closest together
    when scores >= threshold are accepted."""

    rate: float
    threshold: float


class OperatingPoints(NamedTuple):
    """Error rates (P,) from "accept everything" to "accept nothing", and the thresholds (P,) that
    give them: scores >= threshold are accepted, and the last is infinite.

    order: (N,) the trials by rising score; targets_before, others_before: (P,) how many trials of
    each kind are rejected.
    """

    rejected_targets: NDArray[np.float64]
    accepted_others: NDArray[np.float64]
    thresholds: NDArray[np.float64]
    order: NDArray[np.int64]
    targets_before: NDArray[np.int64]
    others_before: NDArray[np.int64]


def eer(scores: NDArray[np.floating], is_target: NDArray[np.bool_]) -> Eer:
    """Equal error rate of verification trials.

    Args:
        scores: (N,) larger for pairs that are more likely of one speaker.
        is_target: (N,) whether it is one speaker.

    Returns:
        The rate, a fraction in [0, 1], and the threshold.

    Raises:
        CorpusError: There are no trials of one kind, or a score is not a number.
    """
    points = operating_points(scores, is_target)
    rate, closest = equal_error(points.rejected_targets, points.accepted_others)
    return Eer(rate, float(points.thresholds[closest]))


def equal_error(
    rejected_targets: NDArray[np.float64], accepted_others: NDArray[np.float64]
) -> tuple[float, int]:
    """Where two error rates (P,) over rising thresholds cross: the rate, and the point nearest."""
    # The difference rises from -1 to 1.
    after = int(np.searchsorted(rejected_targets - accepted_others, 0.0))
    before = after - 1
    below, above = (rejected_targets[i] - accepted_others[i] for i in (before, after))
    part = -below / (above - below)
    rate = rejected_targets[before] + part * (rejected_targets[after] - rejected_targets[before])
    return float(rate), after if above < -below else before


def min_dcf(
    scores: NDArray[np.floating],
    is_target: NDArray[np.bool_],
    *,
    p_target: float = 0.01,
    c_miss: float = 1.0,
    c_false_alarm: float = 1.0,
) -> float:
    """Smallest detection cost over all thresholds, as NIST's speaker recognition evaluations
    normalise it: 1 is what deciding blindly would cost.

    Args:
        scores: (N,) larger for pairs that are more likely of one speaker.
        is_target: (N,) whether it is one speaker.
        p_target: Prior of a same-speaker trial, in (0, 1).
        c_miss: Cost of a rejected same-speaker trial.
        c_false_alarm: Cost of an accepted different-speaker trial.

    Returns:
        The normalised cost, in [0, 1].

    Raises:
        CorpusError: There are no trials of one kind, or a score is not a number.
        ConfigError: The prior or a cost cannot be.
    """
    if not (0 < p_target < 1 and c_miss > 0 and c_false_alarm > 0):
        raise ConfigError(
            f"p_target {p_target}, c_miss {c_miss} and c_false_alarm {c_false_alarm} cannot be: "
            "give a prior between 0 and 1 and costs above 0"
        )
    points = operating_points(scores, is_target)
    miss, false_alarm = c_miss * p_target, c_false_alarm * (1 - p_target)
    costs = miss * points.rejected_targets + false_alarm * points.accepted_others
    return float(costs.min() / min(miss, false_alarm))


def operating_points(scores: ArrayLike, is_target: ArrayLike) -> OperatingPoints:
    """Both error rates of scores (N,) with truth (N,) at every threshold; CorpusError without both
    kinds of trial."""
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
    targets_before = np.concatenate([[0], np.cumsum(truth)[cut - 1]])
    others_before = np.concatenate([[0], np.cumsum(~truth)[cut - 1]])
    thresholds = np.concatenate([ranked[:1], ranked[cut[:-1]], [np.inf]])
    return OperatingPoints(
        targets_before / targets,
        1 - others_before / others,
        thresholds,
        order,
        targets_before,
        others_before,
    )


def most_similar(
    anchors: NDArray[np.floating],
    candidates: NDArray[np.floating],
    correct: NDArray[np.integer],
) -> NDArray[np.bool_]:
    """Whether each anchor (N, D) is more similar to its candidate `correct` (N,) than to all
    others of the C candidates (N, C, D).

    A tie is a miss, or a network that gives one vector for everything could score 100 %.
    """
    similarity = np.einsum("nd,ncd->nc", anchors, candidates)
    rows = np.arange(len(anchors))
    right = similarity[rows, correct]
    similarity[rows, correct] = -np.inf
    return np.asarray(right > similarity.max(axis=1))
