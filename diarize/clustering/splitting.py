"""Splitting clusters, the loosest first, until there are enough of them."""

from __future__ import annotations

import heapq
from typing import NamedTuple

import numpy as np
from scipy.cluster.hierarchy import leaves_list

from diarize.clustering.linkage.average_linkage import average_tree
from diarize.clustering.pre_clustering import reduce_rows
from diarize.core.vectors import Labels, Vectors, group_means

__all__ = ["split_clusters"]


MAX_ROWS = 3_000  # that average linkage gets at most


class _Branch(NamedTuple):
    """Some rows and their place in a tree: a part of a tree is the tree of the part."""

    rows: Labels  # (n,) in the order of the tree's leaves
    leaf: Labels  # (n,) which leaf a row is at, ascending
    tree: Vectors | None = None  # not known yet
    node: int = 0


def split_clusters(unit: Vectors, labels: Labels, minimum: int) -> Labels:
    """Unit vectors (N, D), labels (N,) 0..K-1 or -1 -> labels with at least `minimum` clusters.

    The cluster whose members are least similar is split in two by average linkage, again and again,
    until there are enough or every labelled row is alone.
    """
    labels = labels.copy()
    K = int(labels.max(initial=-1)) + 1
    order = np.argsort(labels, kind="stable")
    members = np.split(order, np.searchsorted(labels[order], np.arange(K)))[1:]
    waiting = [
        (_cohesion(unit[rows]), label, _Branch(rows, np.arange(len(rows))))
        for label, rows in enumerate(members)
        if len(rows) > 1
    ]
    heapq.heapify(waiting)
    while waiting and minimum > K:
        _, label, branch = heapq.heappop(waiting)
        one, other = _halves(unit, branch)
        labels[other.rows] = K
        for name, half in ((label, one), (K, other)):
            if len(half.rows) > 1:
                heapq.heappush(waiting, (_cohesion(unit[half.rows]), name, half))
        K += 1
    return labels


def _halves(unit: Vectors, branch: _Branch) -> tuple[_Branch, _Branch]:
    rows, leaf, tree, node = branch if branch.tree is not None else _grown(unit, branch.rows)
    assert tree is not None
    M = len(tree) + 1
    children = [int(child) for child in tree[node - M, :2]]
    first = 1 if children[0] < M else int(tree[children[0] - M, 3])
    cut = int(np.searchsorted(leaf, leaf[0] + first))
    parts = (slice(None, cut), slice(cut, None))
    one, other = (
        _Branch(rows[part], leaf[part], tree if child >= M else None, child)
        for part, child in zip(parts, children, strict=True)
    )
    return one, other


def _grown(unit: Vectors, rows: Labels) -> _Branch:
    """The tree of some rows, whose leaves are groups of rows where there are very many."""
    own = unit[rows]
    group = reduce_rows(own, MAX_ROWS)
    sizes = np.bincount(group)
    tree = average_tree(group_means(own, group, len(sizes)), sizes)
    leaf = np.argsort(leaves_list(tree))[group]
    order = np.argsort(leaf, kind="stable")
    return _Branch(rows[order], leaf[order], tree, 2 * len(tree))


def _cohesion(rows: Vectors) -> float:
    """Mean cosine over all pairs of the rows: the squared length of their mean."""
    return float(np.square(rows.mean(axis=0)).sum())
