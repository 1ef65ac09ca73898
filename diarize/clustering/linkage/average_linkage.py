"""The tree of average linkage on cosine distance, of rows or of groups of rows.

For rows, scipy's linkage on distances from matrix products. For groups there is no such function:
scipy counts every leaf once, though the mean over all pairs of rows needs the sizes. The mean
cosine between two groups is the inner product of their mean vectors, so those and the sizes are a
start from which the rest of the tree is that of the rows (nearest-neighbour chains, Murtagh 1983).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import linkage

from diarize.core.vectors import Labels, Vectors

__all__ = ["average_tree", "cosine_distances", "cut_tree"]


BLOCK_ROWS = 256


def average_tree(
    means: Vectors,
    sizes: NDArray[Any] | None = None,
) -> NDArray[np.floating]:
    """Unit vectors (N, D), N >= 1 -> scipy linkage (N - 1, 4), heights in cosine distance.

    With sizes (N,) a leaf is a group of so many unit vectors, and means are their means, of any
    length: the tree has the heights that it has for the rows themselves.
    """
    if len(means) < 2:
        return np.empty((0, 4))
    sizes = np.ones(len(means)) if sizes is None else np.asarray(sizes)
    if (sizes == 1).all():
        return linkage(cosine_distances(means), method="average")
    return _weighted(means, sizes)


def cosine_distances(unit: Vectors) -> NDArray[np.float64]:
    """1 - cosine of all pairs of unit vectors (N, D), in scipy's condensed order; never below 0.

    As scipy's `pdist`, but by matrix products.
    """
    N = len(unit)
    distances = np.empty(N * (N - 1) // 2)
    at = 0
    for start in range(0, N, BLOCK_ROWS):
        block = unit[start : start + BLOCK_ROWS] @ unit[start:].T
        for row, cosines in enumerate(block):
            count = len(cosines) - row - 1
            np.subtract(1.0, cosines[row + 1 :], out=distances[at : at + count])
            at += count
    return np.clip(distances, 0.0, 2.0, out=distances)


def cut_tree(tree: NDArray[np.floating], k: int) -> Labels:
    """Labels (N,) 0..k-1 from a scipy linkage (N - 1, 4): exactly min(k, N) clusters.

    scipy's own `maxclust` may return fewer where merges tie; this undoes the last k - 1 merges.
    """
    N = len(tree) + 1
    made = N - min(k, N)
    root = np.arange(N + made)
    root[tree[:made, :2].astype(np.int64)] = np.arange(N, N + made)[:, None]
    while not np.array_equal(onward := root[root], root):
        root = onward
    return np.unique(root[:N], return_inverse=True)[1].astype(np.int64)


def _weighted(means: Vectors, sizes: NDArray[Any]) -> NDArray[np.floating]:
    M = len(means)
    similar = means @ means.T
    np.fill_diagonal(similar, -np.inf)
    weight = np.array(sizes, np.float64)
    gone = np.zeros(M, bool)
    merges = np.empty((M - 1, 2), np.int64)
    heights, top = np.empty(M - 1), np.zeros(M)
    chain: list[int] = []
    first = 0
    for step in range(M - 1):
        if not chain:
            while gone[first]:
                first += 1
            chain.append(first)
        while True:  # each is the most similar one to the one before it
            a = chain[-1]
            row = similar[a]
            b = int(row.argmax())
            if len(chain) > 1 and row[b] <= row[chain[-2]]:
                break
            chain.append(b)
        a, b = chain.pop(), chain.pop()
        merges[step] = a, b
        # No lower than what it joins, in spite of rounding, or sorting would part them.
        top[b] = heights[step] = max(1 - row[b], top[a], top[b])
        share = float(weight[a] / (weight[a] + weight[b]))
        weight[b] += weight[a]
        joined = similar[b] * (1 - share)
        joined += similar[a] * share
        joined[b] = -np.inf
        similar[b] = similar[:, b] = joined
        similar[:, a] = -np.inf
        gone[a] = True
    return _as_scipys(merges, heights)


def _as_scipys(merges: Labels, heights: NDArray[np.floating]) -> NDArray[np.floating]:
    """Merges of groups a into b, (M - 1, 2) -> the same by height, with scipy's numbers."""
    M = len(merges) + 1
    order = np.argsort(heights, kind="stable")
    number = list(range(M))  # of the branch that a group's leaf is in
    size = [1] * M
    tree = np.empty((M - 1, 4))
    for step, (a, b) in enumerate(merges[order].tolist()):
        size[b] += size[a]
        tree[step] = *sorted((number[a], number[b])), heights[order[step]], size[b]
        number[b] = M + step
    return tree
