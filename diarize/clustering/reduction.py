"""Fewer rows for clusterers that need O(N^2) memory.

Long recordings are cut into blocks of neighbouring rows; inside a block the most similar rows are
merged by average linkage until the whole fits. Neighbours in time are mostly one voice, so little
is lost; every original row takes the label of the group it went into.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage

__all__ = ["reduce_rows"]

BLOCK = 1_000


def reduce_rows(
    unit: NDArray[np.floating], limit: int
) -> tuple[NDArray[np.floating], NDArray[np.int64]]:
    """Unit vectors (N, D) -> unit vectors (M, D) with M <= max(limit, N / BLOCK), and groups (N,).

    With N <= limit nothing changes.
    """
    N = len(unit)
    if limit >= N:
        return unit, np.arange(N)
    groups = np.empty(N, np.int64)
    centroids: list[NDArray[np.floating]] = []
    for start in range(0, N, BLOCK):
        block = unit[start : start + BLOCK]
        wanted = max(1, len(block) * limit // N)
        if len(block) > 1:
            tree = linkage(block, method="average", metric="cosine")
            local = fcluster(tree, t=wanted, criterion="maxclust") - 1
        else:
            local = np.zeros(1, np.int64)
        groups[start : start + len(block)] = local + len(centroids)
        for k in range(local.max() + 1):
            mean = block[local == k].mean(axis=0)
            centroids.append(mean / (np.linalg.norm(mean) + 1e-12))
    return np.stack(centroids), groups
