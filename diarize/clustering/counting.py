"""How many speakers there are, read off the recording itself.

`count_by_eigengap`: normalised maximum eigengap (Park et al. 2020, arXiv 2003.02405). Each row
keeps its p most similar others; the number of near-zero eigenvalues of the graph's Laplacian, seen
as the largest gap, is the number of groups; p is the one for which the gap is clearest for its
size.

`count_by_silhouette`: cuts the dendrogram at every k and takes the one whose clusters are tightest
against their nearest neighbour (Rousseeuw 1987); one speaker unless the best cut is clear enough.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diarize.clustering.counts import cut_tree

__all__ = ["count_by_eigengap", "count_by_silhouette", "silhouettes"]

MAX_ROWS = 800  # of a recording's windows are looked at, because the eigengap costs O(N^3)


def count_by_eigengap(unit: NDArray[np.floating], most: int) -> int:
    """Number of groups among unit vectors (N, D), 1..most."""
    unit = _thinned(unit)
    N = len(unit)
    similarity = unit @ unit.T
    order = np.argsort(-similarity, axis=1)
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


def count_by_silhouette(
    unit: NDArray[np.floating], tree: NDArray[np.floating], most: int, *, minimum: float = 0.15
) -> int:
    """Number of clusters 1..most; below `minimum` silhouette there is one speaker."""
    scores = silhouettes(unit, tree, most)
    if len(scores) == 0 or scores.max() < minimum:
        return 1
    return int(scores.argmax()) + 2


def silhouettes(
    unit: NDArray[np.floating], tree: NDArray[np.floating], most: int
) -> NDArray[np.floating]:
    """Mean silhouette of the cuts into 2..most clusters, on cosine distance; (most - 1,)."""
    scores = []
    for k in range(2, min(most, len(unit) - 1) + 1):
        labels = cut_tree(tree, k)
        members = np.eye(k)[labels]  # (N, k)
        sizes = members.sum(axis=0)
        distance = 1 - unit @ (unit.T @ members) / sizes  # mean distance to each cluster
        own_size = sizes[labels]
        own = distance[np.arange(len(unit)), labels] * own_size / np.maximum(own_size - 1, 1)
        distance[np.arange(len(unit)), labels] = np.inf
        other = distance.min(axis=1)
        score = np.where(
            own_size > 1, (other - own) / np.maximum(np.maximum(own, other), 1e-9), 0.0
        )
        scores.append(score.mean())
    return np.array(scores)


def _thinned(unit: NDArray[np.floating]) -> NDArray[np.floating]:
    """Every n-th row, so that at most MAX_ROWS are left."""
    return unit[:: -(-len(unit) // MAX_ROWS)]
