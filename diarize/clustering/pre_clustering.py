"""Fewer rows for clusterers that need O(N^2) memory: what is surely one speaker is one group.

Neighbours in time are mostly one speaker. So long recordings are cut into blocks of neighbouring
rows, and every block gets a tree of average linkage; of all merges in all blocks, the most similar
half is made, as far as it is surely one speaker (more similar than Otsu's threshold for the pairs
of this recording). This is repeated, with blocks that hold the groups of an ever longer time, until
few enough are left. Where nothing sure remains, most groups are odd windows (noise, two speakers at
once): those that change least by it join the most similar group of their block.
"""

from __future__ import annotations

import numpy as np

from diarize.clustering.count_estimation import pair_threshold
from diarize.clustering.linkage.average_linkage import average_tree, cut_tree
from diarize.core.labels import by_first_appearance
from diarize.core.vectors import Labels, Vectors, group_means

__all__ = ["reduce_rows"]


BLOCK = 500
TOO_FEW = 0.1  # of the groups merged: nearly nothing sure is left


def reduce_rows(unit: Vectors, limit: int) -> Labels:
    """Unit vectors (N, D) -> groups (N,) 0..M-1 by first appearance, M <= limit; limit >= 1.

    With N <= limit every row is a group.
    """
    group = np.arange(len(unit))
    if len(unit) <= limit:
        return group
    means, sizes, farthest = unit, np.ones(len(unit), np.int64), 1 - pair_threshold(unit)
    while (M := len(means)) > limit:
        into = _sure(means, sizes, max(limit, M // 2), farthest)
        if into.max() + 1 > max(limit, M * (1 - TOO_FEW)):
            into = _odd(means, sizes, max(limit, M // 2))
        group = into[group]
        sizes = np.bincount(group)
        means = group_means(unit, group, len(sizes))
    return group


def _sure(means: Vectors, sizes: Labels, target: int, farthest: float) -> Labels:
    """Which of `target` groups or more each of the groups (M,) goes into."""
    M = len(means)
    starts = range(0, M, BLOCK)
    blocks = [slice(at, min(at + BLOCK, M)) for at in starts]
    trees = [average_tree(means[b], sizes[b]) for b in blocks]
    heights = np.concatenate([tree[:, 2] for tree in trees])
    owner = np.repeat(np.arange(len(trees)), [len(tree) for tree in trees])
    made = np.argsort(heights, kind="stable")[: M - target]
    made = made[heights[made] <= farthest]
    # In a tree heights ascend: those made are its first ones.
    counts = np.bincount(owner[made], minlength=len(trees))
    parts = [
        cut_tree(tree, len(tree) + 1 - count) for tree, count in zip(trees, counts, strict=True)
    ]
    return by_first_appearance(
        np.concatenate([part + at for part, at in zip(parts, starts, strict=True)])
    )


def _odd(means: Vectors, sizes: Labels, target: int) -> Labels:
    """Which of `target` groups each of the groups (M,) goes into; a block keeps one at least."""
    M = len(means)
    cost, into = np.empty(M), np.arange(M)
    for at in range(0, M, BLOCK):
        own = sizes[at : at + BLOCK]
        cost[at : at + BLOCK] = own * (1 - _to_others(means, at).max(axis=1))
        cost[at + int(own.argmax())] = np.inf
    goes = np.zeros(M, bool)
    goes[np.argsort(cost, kind="stable")[: M - target]] = True
    for at in range(0, M, BLOCK):
        gone = goes[at : at + BLOCK]
        similar = _to_others(means, at)[gone]
        similar[:, gone] = -np.inf
        into[at : at + BLOCK][gone] = at + similar.argmax(axis=1)
    return by_first_appearance(into)


def _to_others(means: Vectors, at: int) -> Vectors:
    """Mean cosines between the groups of a block; -inf with itself."""
    block = means[at : at + BLOCK]
    similar = block @ block.T
    np.fill_diagonal(similar, -np.inf)
    return similar
