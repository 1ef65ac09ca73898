"""Average linkage on a sparse graph: groups merge in rounds, all that are surely next at once.

The mean cosine over all pairs of members of two groups is the inner product of the groups' mean
vectors. So means and a list of candidate pairs are all that is kept, and every similarity is the
exact one of average linkage. In a round, all groups merge that are each other's most similar one:
average linkage does that sooner or later, whatever else merges (Bruynooghe 1977). A pair below the
limit need not be kept: what two merged groups have in common with a third one is never more than
the better of the two had. When no pair is left, the nearest means are looked up again, for pairs
that the first lookup missed. Where no lookup misses any, the result is that of average linkage.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from diarize.clustering.linkage.nearest_neighbours import EXACT_ROWS, nearest_neighbours
from diarize.core.vectors import Labels, Vectors

__all__ = [
    "Labels",
    "Vectors",
    "merge_graph",
    "merge_groups",
]

Similar = NDArray[np.floating]
LOOKUPS = 20  # of the nearest means, at most
TOO_FEW = 0.001  # of the groups merged: another lookup is not worth its time
BLOCK_PAIRS = 16_384


def merge_graph(unit: Vectors, *, neighbours: int, min_similarity: float) -> Labels:
    """Unit vectors (N, D) -> labels (N,) 0..K-1: average linkage down to a mean cosine.

    neighbours: candidates looked up for each row, and later for each group.

    BackendUnavailable where N asks for faiss and it is not installed.
    """
    rows, group = _without_copies(unit)
    sizes = np.bincount(group)
    return merge_groups(rows, sizes, group, neighbours=neighbours, min_similarity=min_similarity)


def merge_groups(
    means: Vectors,
    sizes: NDArray[Any],
    labels: Labels,
    *,
    neighbours: int,
    min_similarity: float = -np.inf,
    target: int = 1,
) -> Labels:
    """As `merge_graph`, for rows that are in groups: means (K, D), sizes (K,), labels (N,) with -1
    for rows in none. It stops at `target` groups, with the most similar merges made."""
    for _ in range(LOOKUPS):
        K = len(means)
        if target >= K:
            break
        found, similar = nearest_neighbours(means, neighbours)
        # With one full list at most, no pair of groups has missed each other.
        complete = K <= EXACT_ROWS and (similar >= min_similarity).all(axis=1).sum() < 2
        pairs, similar = _candidates(found, similar, min_similarity)
        del found
        means, sizes, into = _merge(means, sizes, pairs, similar, min_similarity, target)
        labels = np.where(labels < 0, -1, into[labels])
        if complete or K - len(means) <= K * TOO_FEW:
            break
    return labels


def _without_copies(unit: Vectors) -> tuple[Vectors, Labels]:
    """The different rows (M, D) and which of them each row (N,) is.

    Copies of a file are common in large folders. Hundreds of them would have one another for
    neighbours and no other rows, in a graph that takes very many rounds.
    """
    number: dict[bytes, int] = {}
    rows = np.ascontiguousarray(unit)
    digests = (blake2b(row, digest_size=16).digest() for row in rows)
    group = np.fromiter((number.setdefault(d, len(number)) for d in digests), np.int64, len(rows))
    if len(number) == len(rows):
        return rows, group
    return rows[np.unique(group, return_index=True)[1]], group


def _candidates(found: Labels, similar: Similar, min_similarity: float) -> tuple[Labels, Similar]:
    """Neighbours (K, k) -> pairs (P, 2), a < b, of groups that may merge; similarities (P,)."""
    good = (similar >= min_similarity) & (found >= 0)
    rows = np.nonzero(good)[0]
    return _once(np.sort(np.stack([rows, found[good]], axis=1), axis=1), similar[good])


def _once(pairs: Labels, similar: Similar) -> tuple[Labels, Similar]:
    _, first = np.unique((pairs[:, 0] << 32) + pairs[:, 1], return_index=True)
    return pairs[first], similar[first]


def _merge(
    means: Vectors,
    sizes: NDArray[Any],
    pairs: Labels,
    similar: Similar,
    min_similarity: float,
    target: int,
) -> tuple[Vectors, NDArray[Any], Labels]:
    """Merge along the pairs until none is left: means (K', D), sizes (K',), and groups (K,)."""
    first_means, first_sizes = means, np.array(sizes, means.dtype)
    means, sizes = means.copy(), first_sizes.copy()
    K = len(means)
    into = np.arange(K)
    best, leading = np.empty(K, similar.dtype), np.empty(K, np.uint64)  # every round's scratch
    tree = []
    while len(pairs):
        chosen = _mutual(pairs, similar, best, leading)
        kept, gone = pairs[chosen].T
        tree.append((gone, kept, similar[chosen]))
        into[gone] = kept
        touched = _absorb(means, sizes, gone, kept)
        pairs, similar = _carried(pairs, similar, into, touched, means, min_similarity)
    merges = sum(len(gone) for gone, _, _ in tree)
    if K - merges < target:  # undo the least similar
        gone, kept, at = (np.concatenate(parts) for parts in zip(*tree, strict=True))
        made = np.argsort(-at, kind="stable")[: K - target]
        into = np.arange(K)
        into[gone[made]] = kept[made]
    while not np.array_equal(onward := into[into], into):
        into = onward
    roots, into = np.unique(into, return_inverse=True)
    if K - merges >= target:
        return means[roots], sizes[roots], into.astype(np.int64)
    total = np.bincount(into, first_sizes)
    shares = csr_matrix((first_sizes / total[into], (into, np.arange(K))), dtype=means.dtype)
    return np.asarray(shares @ first_means), total, into.astype(np.int64)


def _mutual(
    pairs: Labels, similar: Similar, best: Similar, leading: NDArray[np.uint64]
) -> NDArray[np.bool_]:
    """The pairs (P,) that are the most similar one to both their groups; at least one is.

    Equals are told apart by scattered numbers: if the first of equals were taken, many rows would
    choose one partner, and a round would merge no more than two of them.
    """
    low, high = pairs.T
    best[pairs] = -np.inf
    np.maximum.at(best, low, similar)
    np.maximum.at(best, high, similar)
    top = np.flatnonzero((similar == best[low]) | (similar == best[high]))
    low, high, similar = low[top], high[top], similar[top]
    lot = _scattered(low, high)
    leading[low] = leading[high] = 0
    for end in (low, high):
        own = similar == best[end]
        np.maximum.at(leading, end[own], lot[own])
    both = (similar == best[low]) & (similar == best[high])
    both &= (lot == leading[low]) & (lot == leading[high])
    chosen = np.zeros(len(pairs), bool)
    chosen[top[both]] = True
    return chosen


def _scattered(low: Labels, high: Labels) -> NDArray[np.uint64]:
    """A number for every pair, different for all pairs: the key of the pair, mixed bijectively."""
    lot = (low.astype(np.uint64) << np.uint64(32)) + high.astype(np.uint64)
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        lot = (lot ^ (lot >> np.uint64(33))) * np.uint64(factor)
    return lot ^ (lot >> np.uint64(33))


def _absorb(
    means: Vectors, sizes: NDArray[np.floating], gone: Labels, kept: Labels
) -> NDArray[np.bool_]:
    """Put the groups `gone` into `kept`, in place; says of every group whether it was touched."""
    total = sizes[gone] + sizes[kept]
    means[kept] *= (sizes[kept] / total)[:, None]
    means[kept] += means[gone] * (sizes[gone] / total)[:, None]
    sizes[kept] = total
    touched = np.zeros(len(sizes), bool)
    touched[gone] = touched[kept] = True
    return touched


def _carried(
    pairs: Labels,
    similar: Similar,
    into: Labels,
    touched: NDArray[np.bool_],
    means: Vectors,
    min_similarity: float,
) -> tuple[Labels, Similar]:
    """The pairs between the groups that are left, with the similarities of touched groups anew."""
    stale = touched[pairs].any(axis=1)
    moved = np.sort(into[pairs[stale]], axis=1)
    moved = moved[moved[:, 0] != moved[:, 1]]
    moved, fresh = _once(moved, np.empty(len(moved), similar.dtype))
    for start in range(0, len(moved), BLOCK_PAIRS):
        a, b = moved[start : start + BLOCK_PAIRS].T
        fresh[start : start + BLOCK_PAIRS] = np.einsum("pd,pd->p", means[a], means[b])
    good = fresh >= min_similarity
    pairs = np.concatenate([pairs[~stale], moved[good]])
    return pairs, np.concatenate([similar[~stale], fresh[good]])
