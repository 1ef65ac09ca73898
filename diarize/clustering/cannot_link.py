"""Pairs of rows that are different speakers, and keeping such pairs apart.

Whoever is heard beside somebody else in one stretch of sound is not that somebody. So pairs of rows
may be forbidden to share a label. Where a labelling breaks that, rows joined by pairs are placed
anew: all in different clusters, with the largest sum of cosines (Kuhn 1955), if there are as many
clusters as rows; else one after another, the one with the fewest choices first (Brelaz 1979).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from diarize.core.vectors import Labels, Vectors, group_means

__all__ = ["among", "as_matrix", "between_groups", "checked_pairs", "keep_apart"]

Pairs = NDArray[np.int64]


def checked_pairs(cannot_link: ArrayLike | None, N: int) -> Pairs:
    """Pairs (P, 2) of the rows 0..N-1, none for None; ValueError for what are no such pairs."""
    if cannot_link is None:
        return np.empty((0, 2), np.int64)
    pairs = np.asarray(cannot_link)
    if pairs.size == 0:
        return np.empty((0, 2), np.int64)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or not np.issubdtype(pairs.dtype, np.integer):
        raise ValueError(f"cannot_link is {pairs.dtype} {pairs.shape}: give integers (P, 2)")
    wrong = (pairs < 0).any(axis=1) | (pairs >= N).any(axis=1) | (pairs[:, 0] == pairs[:, 1])
    if wrong.any():
        raise ValueError(
            f"cannot_link has the pair {pairs[wrong][0].tolist()}: give two different rows of {N}"
        )
    return pairs.astype(np.int64)


def among(pairs: Pairs, chosen: NDArray[np.bool_]) -> Pairs:
    """The pairs whose rows are both chosen (N,), in numbers of the chosen rows."""
    number = np.cumsum(chosen) - 1
    return number[pairs[chosen[pairs].all(axis=1)]]


def between_groups(pairs: Pairs, group: Labels) -> Pairs:
    """Pairs of rows -> pairs a < b of the groups (N,) that they are in, each once; none with -1."""
    found = np.sort(group[pairs], axis=1)
    return np.unique(found[(found[:, 0] != found[:, 1]) & (found[:, 0] >= 0)], axis=0)


def as_matrix(pairs: Pairs, N: int) -> NDArray[np.bool_]:
    """Which of N rows may not go with which (N, N)."""
    forbidden = np.zeros((N, N), bool)
    forbidden[pairs[:, 0], pairs[:, 1]] = forbidden[pairs[:, 1], pairs[:, 0]] = True
    return forbidden


def keep_apart(unit: Vectors, labels: Labels, pairs: Pairs) -> Labels:
    """Labels (N,) of unit vectors (N, D) -> labels that no forbidden pair shares.

    Rows labelled -1 stay out. Where there are too few clusters for that, as few pairs as can be
    easily had share one; rows that no broken pair leads to keep their label.
    """
    pairs = pairs[(labels[pairs] >= 0).all(axis=1)]
    broken = pairs[labels[pairs[:, 0]] == labels[pairs[:, 1]]]
    if not len(broken):
        return labels
    known, compact = np.unique(labels, return_inverse=True)
    noise = int((known < 0).sum())
    known = known[noise:]
    means = group_means(unit, compact.astype(np.int64) - noise, len(known))
    means /= np.linalg.norm(means, axis=1, keepdims=True) + 1e-12
    N = len(labels)
    graph = csr_matrix((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(N, N))
    part = connected_components(graph, directed=False)[1]
    concerned = np.flatnonzero(np.isin(part, part[broken[:, 0]]))
    own = pairs[np.isin(part[pairs[:, 0]], part[broken[:, 0]])]
    labels = labels.copy()
    for rows, links in _parts(concerned, own, part):
        chosen = _placed(unit[rows] @ means.T, as_matrix(np.searchsorted(rows, links), len(rows)))
        labels[rows] = known[chosen]
    return labels


def _parts(rows: Labels, pairs: Pairs, part: Labels) -> list[tuple[Labels, Pairs]]:
    """Rows (ascending) and pairs of each part (N,) of the graph."""
    rows = rows[np.argsort(part[rows], kind="stable")]
    pairs = pairs[np.argsort(part[pairs[:, 0]], kind="stable")]
    numbers = np.unique(part[rows])
    return list(
        zip(
            np.split(rows, np.searchsorted(part[rows], numbers[1:])),
            np.split(pairs, np.searchsorted(part[pairs[:, 0]], numbers[1:])),
            strict=True,
        )
    )


def _placed(cosines: Vectors, forbidden: NDArray[np.bool_]) -> Labels:
    """Cosines (n, K) of rows to clusters, which rows may not meet (n, n) -> clusters (n,)."""
    n, K = cosines.shape
    if n <= K:
        from scipy.optimize import linear_sum_assignment

        return np.asarray(linear_sum_assignment(cosines, maximize=True)[1], np.int64)
    chosen = np.full(n, -1, np.int64)
    taken = np.zeros((n, K), bool)
    best = cosines.max(axis=1)
    for _ in range(n):
        choices = np.where(chosen < 0, K - taken.sum(axis=1), K + 1)
        row = int(np.lexsort((-best, choices))[0])
        free = np.where(taken[row], -np.inf, cosines[row])
        chosen[row] = int((cosines[row] if taken[row].all() else free).argmax())
        taken[forbidden[row], chosen[row]] = True
    return chosen
