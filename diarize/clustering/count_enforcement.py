"""Changing a labelling: to an allowed number of speakers, without tiny or twin clusters."""

from __future__ import annotations

import numpy as np

from diarize.clustering.linkage.sparse_linkage import merge_groups
from diarize.clustering.splitting import split_clusters
from diarize.core.vectors import Labels, Vectors, group_means

__all__ = ["dissolve", "enforce_count", "join_nearest", "merge_similar"]


MAX_COMPARED = 2_000  # clusters that are all compared with one another
FEWER_COMPARED = 32  # of many clusters, each with so many nearest ones
BLOCK_ROWS = 8_192


def enforce_count(unit: Vectors, labels: Labels, minimum: int, maximum: int | None) -> Labels:
    """Merge or split the clusters of unit vectors (N, D) until minimum <= K <= maximum.

    Too many: the two clusters with the most similar members on average become one, again and again.
    Too few: the cluster whose members are least similar is split in two by average linkage.
    Rows labelled -1 stay out. K never exceeds the number of labelled rows.
    """
    known, compact = np.unique(labels, return_inverse=True)
    labels = compact.astype(np.int64) - int((known < 0).sum())
    K = int((known >= 0).sum())
    if maximum is not None and maximum < K:
        means, sizes = group_means(unit, labels, K), np.bincount(labels[labels >= 0])
        neighbours = K - 1 if K <= MAX_COMPARED else FEWER_COMPARED
        return merge_groups(means, sizes, labels, neighbours=neighbours, target=maximum)
    return split_clusters(unit, labels, minimum) if minimum > K else labels


def dissolve(unit: Vectors, labels: Labels, smallest: int, *, keep: int | None = None) -> Labels:
    """Give the rows of clusters below `smallest` rows to the nearest other cluster.

    At least the largest cluster stays; with `keep`, only the `keep` largest do. Labels (N,) >= 0.
    """
    sizes = np.bincount(labels)
    order = np.argsort(-sizes, kind="stable")
    stays = [k for k in order[:keep] if sizes[k] >= smallest] or [order[0]]
    return join_nearest(unit, np.where(np.isin(labels, stays), labels, -1))


def merge_similar(unit: Vectors, labels: Labels, ratio: float) -> Labels:
    """Join clusters that are hardly less similar than their own members are among themselves.

    Two clusters are joined, the most similar first, while the mean cosine between them is at least
    `ratio` times the mean of the two mean cosines inside them (pairs of a row with itself aside).
    """
    labels = np.unique(labels, return_inverse=True)[1].astype(np.int64)
    sizes = np.bincount(labels)
    means = group_means(unit, labels, len(sizes))
    while (K := len(sizes)) > 1:
        between = means @ means.T
        inside = (np.diag(between) * sizes**2 - sizes) / np.maximum(sizes * (sizes - 1), 1)
        excess = between - ratio * (inside[:, None] + inside[None, :]) / 2
        np.fill_diagonal(excess, -np.inf)
        a, b = sorted(divmod(int(excess.argmax()), K))
        if excess[a, b] < 0:
            break
        labels[labels == b] = a
        labels[labels > b] -= 1
        means[a] = (means[a] * int(sizes[a]) + means[b] * int(sizes[b])) / int(sizes[a] + sizes[b])
        sizes[a] += sizes[b]
        means, sizes = np.delete(means, b, axis=0), np.delete(sizes, b)
    return labels


def join_nearest(unit: Vectors, labels: Labels) -> Labels:
    """Give rows labelled -1 the label of the nearest cluster's mean; some row must have a label."""
    left_out = np.flatnonzero(labels < 0)
    if not len(left_out):
        return labels
    known, compact = np.unique(labels, return_inverse=True)
    known = known[1:]
    centroids = group_means(unit, compact - 1, len(known))
    centroids /= np.linalg.norm(centroids, axis=1, keepdims=True) + 1e-12
    labels = labels.copy()
    step = min(BLOCK_ROWS, max(1, MAX_COMPARED**2 // len(known)))
    for start in range(0, len(left_out), step):
        rows = left_out[start : start + step]
        labels[rows] = known[(unit[rows] @ centroids.T).argmax(axis=1)]
    return labels
