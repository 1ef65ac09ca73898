"""Verification trials: pairs of utterances, all or drawn, and their similarities."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["drawn_pairs", "pair_similarities", "verification_trials"]


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
