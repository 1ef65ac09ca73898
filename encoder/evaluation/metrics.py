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
    "drawn_pairs",
    "eer",
    "equal_error",
    "identification_accuracy",
    "min_dcf",
    "most_similar",
    "operating_points",
    "pair_similarities",
    "verification_trials",
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
    """Equal error rate of scores (N,) with truth (N,); CorpusError without both kinds of trial."""
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
    return float(most_similar(anchors, candidates, correct).mean())


def most_similar(
    anchors: NDArray[np.floating],
    candidates: NDArray[np.floating],
    correct: NDArray[np.integer],
) -> NDArray[np.bool_]:
    """Whether each anchor (N, D) is more similar to its candidate `correct` (N,) than to all
    others of the C candidates (N, C, D)."""
    similarity = np.einsum("nd,ncd->nc", anchors, candidates)
    rows = np.arange(len(anchors))
    right = similarity[rows, correct]
    similarity[rows, correct] = -np.inf
    return np.asarray(right > similarity.max(axis=1))


def verification_trials(
    embeddings: NDArray[np.floating], speakers: NDArray[np.integer]
) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
    """All pairs of unit embeddings (N, D): their cosines (P,) and whether the speakers match."""
    rows, columns = np.triu_indices(len(speakers), k=1)
    cosines = (embeddings @ embeddings.T)[rows, columns]
    return cosines, np.asarray(speakers)[rows] == np.asarray(speakers)[columns]


def pair_similarities(
    vectors: NDArray[np.floating], first: ArrayLike, second: ArrayLike
) -> NDArray[np.floating]:
    """Cosines (P,) of pairs of unit vectors (N, D): of rows (P,) with rows (P,). In parts, because
    a million pairs' vectors would fill the memory."""
    a, b = np.asarray(first), np.asarray(second)
    return np.concatenate(
        [
            np.einsum("nd,nd->n", vectors[a[at : at + 4096]], vectors[b[at : at + 4096]])
            for at in range(0, len(a), 4096)
        ]
    )


def drawn_pairs(
    speakers: NDArray[np.integer], most: int, *, seed: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows (P,) and (P,) of at most `most` different pairs of N utterances, drawn by chance.

    Of one speaker as many as there are, up to half of `most`; the others are of two. So the error
    rates are those of all pairs but for chance, and the memory does not grow with N squared.
    """
    rng = np.random.default_rng(seed)
    order = np.argsort(speakers, kind="stable")
    _, starts, counts = np.unique(
        np.asarray(speakers)[order], return_index=True, return_counts=True
    )
    same = int((counts * (counts - 1) // 2).sum())
    if same <= most // 2:
        parts = [
            start + np.stack(np.triu_indices(count, k=1))
            for start, count in zip(starts, counts, strict=True)
        ]
        own = np.concatenate(parts, axis=1)
    else:
        own = _drawn_inside(rng, starts, counts, most // 2)
    others = _drawn_between(rng, starts, counts, most - own.shape[1])
    first, second = np.concatenate([own, others], axis=1)
    return order[first], order[second]


def _drawn_inside(
    rng: np.random.Generator, starts: NDArray[np.int64], counts: NDArray[np.int64], most: int
) -> NDArray[np.int64]:
    """Pairs (2, P) of sorted rows of one speaker, all equally likely; none twice."""
    pairs = counts * (counts - 1)
    who = rng.choice(len(counts), size=most, p=pairs / pairs.sum())
    first = rng.integers(counts[who])
    second = rng.integers(counts[who] - 1)
    second += second >= first
    return _once(starts[who] + first, starts[who] + second)


def _drawn_between(
    rng: np.random.Generator, starts: NDArray[np.int64], counts: NDArray[np.int64], most: int
) -> NDArray[np.int64]:
    """Pairs (2, P) of sorted rows of two speakers, all equally likely; none twice."""
    rest = counts.sum() - counts
    if not (counts * rest).any():
        return np.zeros((2, 0), np.int64)
    who = rng.choice(len(counts), size=most, p=counts * rest / (counts * rest).sum())
    first = starts[who] + rng.integers(counts[who])
    second = rng.integers(rest[who])
    second += np.where(second >= starts[who], counts[who], 0)
    return _once(first, second)


def _once(first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.unique(np.sort(np.stack([first, second]), axis=0), axis=1)
