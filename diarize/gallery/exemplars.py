"""Which exemplars of a speaker are worth keeping."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["thin_out"]


def thin_out(vectors: NDArray[np.float32], most: int) -> NDArray[np.int64]:
    """Unit vectors (E, D) -> the rows to keep, at most `most`, in their order.

    One after another the row that is nearest to another goes: of the nearest two the one that has
    the nearer third, the later if they are alike.
    """
    similarity = vectors.astype(np.float64) @ vectors.astype(np.float64).T
    np.fill_diagonal(similarity, -np.inf)
    keep = np.arange(len(vectors))
    while len(keep) > max(most, 0):
        first, second = sorted(np.unravel_index(similarity.argmax(), similarity.shape))
        thirds = [np.delete(similarity[row], [first, second]) for row in (first, second)]
        nearer_first = thirds[0].max(initial=-np.inf) > thirds[1].max(initial=-np.inf)
        drop = first if nearer_first else second
        similarity = np.delete(np.delete(similarity, drop, axis=0), drop, axis=1)
        keep = np.delete(keep, drop)
    return keep
