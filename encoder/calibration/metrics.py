"""How honest probabilities of "the same speaker" are.

Conventions: even odds beforehand, so both kinds of trial weigh the same however many there are,
unless weights (N,) say otherwise (`balanced_weights`, for instance, by data set).
Cllr is the cost in bits of Brummer and du Preez 2006: 0 is perfect, 1 is what knowing nothing
costs; its minimum is what the same order of scores would cost with the best monotone calibration.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from encoder.errors import CorpusError

__all__ = ["balanced_weights", "cllr", "expected_calibration_error", "min_cllr"]

_LEAST = 1e-15  # the probability that a sure mistake is counted as


def cllr(
    probabilities: ArrayLike, is_target: ArrayLike, *, weights: ArrayLike | None = None
) -> float:
    """Cost in bits of probabilities (N,) with truth (N,); CorpusError without both kinds."""
    chance, truth, weighing = _checked(probabilities, is_target, weights)
    chance = np.clip(chance, _LEAST, 1 - _LEAST)
    right = np.where(truth, chance, 1 - chance)
    return float(-(weighing * np.log2(right)).sum())


def min_cllr(scores: ArrayLike, is_target: ArrayLike, *, weights: ArrayLike | None = None) -> float:
    """The smallest Cllr that any rising map of scores (N,) to probabilities has."""
    from sklearn.isotonic import IsotonicRegression

    ranked, truth, weighing = _checked(scores, is_target, weights)
    best = IsotonicRegression(y_min=0.0, y_max=1.0)
    fitted = best.fit(ranked, truth.astype(float), weighing).predict(ranked)
    return cllr(fitted, truth, weights=weighing)


def expected_calibration_error(
    probabilities: ArrayLike,
    is_target: ArrayLike,
    *,
    bins: int = 10,
    weights: ArrayLike | None = None,
) -> float:
    """Mean distance between predicted probabilities (N,) and observed frequencies.

    Over `bins` equally wide bins of the probability, weighing each by its share of the trials.
    With weights, is_target may be shares in [0, 1] of what came true, and of one kind only.
    """
    truth: NDArray[np.floating | np.bool_]
    if weights is None:
        chance, truth, weighing = _checked(probabilities, is_target, None)
    else:
        chance, truth, weighing = (
            np.asarray(some, np.float64) for some in (probabilities, is_target, weights)
        )
        _numbers(chance)
        weighing = weighing / weighing.sum()
    place = np.minimum((chance * bins).astype(np.int64), bins - 1)
    gaps = np.bincount(place, weighing * (chance - truth), bins)
    return float(np.abs(gaps).sum())


def balanced_weights(is_target: ArrayLike, groups: ArrayLike | None = None) -> NDArray[np.float64]:
    """Weights (N,) with sum 1: every group weighs the same, and in it both kinds of trial.

    groups: (N,) for instance data sets; None is one group. CorpusError for a group without trials
    of both kinds.
    """
    truth = np.asarray(is_target, bool)
    names, codes = np.unique(
        np.zeros(len(truth)) if groups is None else np.asarray(groups), return_inverse=True
    )
    kinds = 2 * codes + truth
    counts = np.bincount(kinds, minlength=2 * len(names))
    if len(names) == 0 or (counts == 0).any():
        targets = int(truth.sum())
        raise CorpusError(
            f"a calibration needs trials of both kinds in every group: {targets} same-speaker, "
            f"{len(truth) - targets} different-speaker in {len(names)} groups"
        )
    return np.asarray(1 / counts[kinds] / len(counts), np.float64)


def _checked(
    values: ArrayLike, is_target: ArrayLike, weights: ArrayLike | None
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]:
    """Values and truth as arrays, and weights with sum 1: None makes both kinds weigh the same."""
    found, truth = np.asarray(values, np.float64), np.asarray(is_target, bool)
    if truth.all() or not truth.any():
        raise CorpusError(
            f"a calibration needs trials of both kinds: {int(truth.sum())} same-speaker, "
            f"{int((~truth).sum())} different-speaker"
        )
    _numbers(found)
    weighing = balanced_weights(truth) if weights is None else np.asarray(weights, np.float64)
    return found, truth, weighing / weighing.sum()


def _numbers(found: NDArray[np.float64]) -> None:
    if np.isnan(found).any():
        raise CorpusError(f"{int(np.isnan(found).sum())} of {len(found)} scores are not numbers")
