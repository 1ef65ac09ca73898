"""How far a measure could be off by the choice of speakers: bootstrap intervals.

Utterances of one speaker stand or fall together, so speakers are drawn with replacement, not
trials (Poh and Bengio 2007, "Performance generalisation in biometric authentication using joint
user-specific and sample bootstraps"). A replicate in which a speaker was drawn m times has each of
their same-speaker trials m times, and a trial of two speakers m * n times. Trials are sorted once;
a replicate costs a cumulative sum over their weights.

With few speakers the intervals lean towards low errors: a set drawn with replacement holds fewer
different pairs, and a minimum over thresholds (minDCF) finds it easier to be low.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from encoder.errors import CorpusError
from encoder.evaluation.metrics import equal_error, operating_points

__all__ = ["Interval", "Replicates", "interval_of", "resample_shares", "resample_trials"]

LEVEL = 0.95
_AT_ONCE = 1_000_000  # drawn speakers that are held in memory


class Interval(NamedTuple):
    """Between these two lie 95 % of the replicates."""

    low: float
    high: float


class Replicates(NamedTuple):
    """Measures of R drawn sets of speakers: eer (R,), min_dcf (R,) by target prior.

    Not a number where speakers were drawn that have no trials of both kinds.
    """

    eer: NDArray[np.float64]
    min_dcf: dict[float, NDArray[np.float64]]


def interval_of(replicates: ArrayLike) -> Interval | None:
    """The 95 % percentile interval of replicates (R,); None if fewer than half are numbers."""
    values = np.asarray(replicates, np.float64)
    if np.isfinite(values).mean() < 0.5:
        return None
    outside = 50 * (1 - LEVEL)
    low, high = np.nanpercentile(values, [outside, 100 - outside])
    return Interval(float(low), float(high))


def resample_trials(
    scores: ArrayLike,
    is_target: ArrayLike,
    speakers: tuple[ArrayLike, ArrayLike] | None,
    *,
    p_targets: Sequence[float] = (0.01,),
    replicates: int = 500,
    seed: int = 0,
) -> Replicates:
    """EER and minimum detection costs of scores (N,) with truth (N,) over drawn speakers.

    speakers: the two speakers (N,) and (N,) of each trial; None draws trials instead, which
        promises too much where speakers have several.

    The same arguments give the same replicates. CorpusError without both kinds of trial.
    """
    truth = np.asarray(is_target, bool)
    points = operating_points(scores, truth)
    if speakers is None:
        names, sides = np.arange(len(truth)), np.stack([np.arange(len(truth))] * 2)
    else:
        together = np.concatenate([np.asarray(side).astype(str) for side in speakers])
        names, codes = np.unique(together, return_inverse=True)
        sides = codes.reshape(2, -1)
    ranked = points.order
    first, second = sides[0][ranked], sides[1][ranked]
    targets, others = truth[ranked], ~truth[ranked]
    own, (left, right) = first[targets], (first[others], second[others])
    # Before each operating point lie this many targets and others, in order of their scores.
    targets_before, others_before = points.targets_before, points.others_before
    # Of points that reject the same targets the last accepts the fewest others.
    cheap = np.flatnonzero(np.append(np.diff(targets_before) > 0, True))
    rng = np.random.default_rng(seed)
    rates = np.full(replicates, np.nan)
    costs = np.full((len(p_targets), replicates), np.nan)
    priors = np.asarray(p_targets, np.float64)[:, None]
    blind = np.minimum(priors, 1 - priors)[:, 0]
    for number in range(replicates):
        times = rng.integers(len(names), size=len(names))
        drawn = np.bincount(times, minlength=len(names)).astype(np.int32)
        target_sums = _sums(drawn[own])
        weight = drawn[left] if speakers is None else drawn[left] * drawn[right]
        other_sums = _sums(weight)
        if target_sums[-1] == 0 or other_sums[-1] == 0:
            continue
        sums = target_sums / target_sums[-1], 1 - other_sums / other_sums[-1]
        around = _crossing(*sums, targets_before, others_before)
        rates[number] = equal_error(
            sums[0][targets_before[around]], sums[1][others_before[around]]
        )[0]
        rejected, accepted = sums[0][targets_before[cheap]], sums[1][others_before[cheap]]
        costs[:, number] = (priors * rejected + (1 - priors) * accepted).min(axis=1) / blind
    return Replicates(rates, dict(zip(p_targets, costs, strict=True)))


def resample_shares(
    right: ArrayLike, total: ArrayLike, *, replicates: int = 500, seed: int = 0
) -> NDArray[np.float64]:
    """Shares (R,) right over drawn speakers, from what each got `right` (K,) of its `total` (K,).

    CorpusError if there is nothing in all.
    """
    rights, totals = np.asarray(right, np.float64), np.asarray(total, np.float64)
    if totals.sum() <= 0:
        raise CorpusError("a share needs at least one trial: 0 were given")
    rng = np.random.default_rng(seed)
    shares = np.full(replicates, np.nan)
    step = max(1, _AT_ONCE // len(totals))
    for at in range(0, replicates, step):
        drawn = rng.integers(len(totals), size=(min(step, replicates - at), len(totals)))
        sums = totals[drawn].sum(axis=1)
        some = sums > 0
        shares[at : at + step][some] = rights[drawn[some]].sum(axis=1) / sums[some]
    return shares


def _crossing(
    rejected: NDArray[np.float64],
    accepted: NDArray[np.float64],
    targets_before: NDArray[np.int64],
    others_before: NDArray[np.int64],
) -> slice:
    """The two neighbouring operating points that the error rates cross between, by bisection."""
    low, high = 0, len(targets_before) - 1
    while high - low > 1:
        middle = (low + high) // 2
        if rejected[targets_before[middle]] >= accepted[others_before[middle]]:
            high = middle
        else:
            low = middle
    return slice(low, high + 1)


def _sums(weights: NDArray[np.int32]) -> NDArray[np.int64]:
    """Cumulative sums that begin with 0."""
    sums = np.zeros(len(weights) + 1, np.int64)
    np.cumsum(weights, out=sums[1:])
    return sums
