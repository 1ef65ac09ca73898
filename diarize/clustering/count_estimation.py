"""How many speakers there are, estimated from the recording itself.

`pair_threshold`: the cosines of all pairs of windows are a mixture of two kinds, one speaker and
two. Otsu's threshold (Otsu 1979) parts the kinds wherever they lie in this recording, which a fixed
threshold cannot: on a telephone line all similarities are large, across a room none are.

`count_by_silhouette`: cuts the dendrogram at every k and takes the one whose clusters are tightest
against their nearest neighbour (Rousseeuw 1987); one speaker unless the best cut is clear enough.

`count_by_eigengap`: normalised maximum eigengap (Park et al. 2020, arXiv 2003.02405). Each row
keeps its p most similar others; the number of near-zero eigenvalues of the graph's Laplacian, seen
as the largest gap, is the number of groups; p is the one for which the gap is clearest for its
size.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from diarize.core.vectors import group_means

__all__ = ["count_by_eigengap", "count_by_silhouette", "pair_threshold", "silhouettes"]

Cut = Callable[[int], NDArray[np.int64]]

MAX_ROWS = 800  # of a recording's windows are looked at: pairs are O(N^2), the eigengap O(N^3)


def pair_threshold(unit: NDArray[np.floating]) -> float:
    """The cosine that best parts same-speaker from different-speaker pairs of (N, D), N >= 2.

    It maximises the variance between the two kinds, over every place where sorted cosines differ.
    """
    unit = _thinned(unit)
    cosines = np.sort((unit @ unit.T)[np.triu_indices(len(unit), k=1)])
    P = len(cosines)
    below = np.arange(1, P)
    sums = np.cumsum(cosines)
    between = (sums[-1] * below / P - sums[:-1]) ** 2 / (below * (P - below) / P)
    between = np.where(np.diff(cosines) > 1e-12, between, -1.0)
    if P < 2 or between.max() < 0:
        return float(cosines[0]) - 1e-9  # all equal: nothing to part
    at = int(between.argmax())
    return float((cosines[at] + cosines[at + 1]) / 2)


def count_by_silhouette(
    unit: NDArray[np.floating], cut: Cut, most: int, *, minimum: float = 0.15
) -> int:
    """Number of clusters 1..most; below `minimum` silhouette there is one speaker."""
    scores = silhouettes(unit, cut, most)
    if len(scores) == 0 or scores.max() < minimum:
        return 1
    return int(scores.argmax()) + 2


def silhouettes(unit: NDArray[np.floating], cut: Cut, most: int) -> NDArray[np.floating]:
    """Mean silhouette of the cuts into 2..most clusters, on cosine distance; (most - 1,).

    cut: from a number of clusters to labels (N,).
    """
    scores = []
    for k in range(2, min(most, len(unit) - 1) + 1):
        labels = cut(k)
        sizes = np.bincount(labels)
        if len(sizes) < k:
            break
        distance = 1 - unit @ group_means(unit, labels, k).T  # mean distance to each cluster
        own_size = sizes[labels]
        rows = np.arange(len(unit))
        own = distance[rows, labels] * own_size / np.maximum(own_size - 1, 1)
        distance[rows, labels] = np.inf
        other = distance.min(axis=1)
        larger = np.maximum(np.maximum(own, other), 1e-9)
        scores.append(np.where(own_size > 1, (other - own) / larger, 0.0).mean())
    return np.array(scores)


def count_by_eigengap(unit: NDArray[np.floating], most: int) -> int:
    """Number of groups among unit vectors (N, D), 1..most."""
    unit = _thinned(unit)
    N = len(unit)
    order = np.argsort(-(unit @ unit.T), axis=1)
    best_ratio, best_k = np.inf, 1
    # Fewer than a handful of neighbours leaves a graph in pieces that mean nothing.
    for p in np.unique(np.linspace(max(4, N // 50), max(5, N // 4), 10).astype(int)):
        if p >= N:
            break
        graph = np.zeros((N, N))
        np.put_along_axis(graph, order[:, :p], 1.0, axis=1)
        graph = (graph + graph.T) / 2
        laplacian = np.diag(graph.sum(axis=1)) - graph
        # All of them: solvers for a few stumble over the many equal zeros of a clear graph.
        values = np.linalg.eigvalsh(laplacian)
        gaps = np.diff(values[: most + 1])
        k = int(gaps.argmax()) + 1
        ratio = p / N / (gaps.max() / (values[-1] + 1e-9) + 1e-9)
        if ratio < best_ratio:
            best_ratio, best_k = ratio, k
    return best_k


def _thinned(unit: NDArray[np.floating]) -> NDArray[np.floating]:
    """Every n-th row, so that at most MAX_ROWS are left."""
    return unit[:: -(-len(unit) // MAX_ROWS)]
