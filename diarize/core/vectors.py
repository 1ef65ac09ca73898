"""Vectors (N, D): means of groups, and unit norm, which a mean of unit vectors has not."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

__all__ = ["group_means", "unit_rows"]

FloatT = TypeVar("FloatT", bound=np.floating)
Vectors = NDArray[np.floating]
Labels = NDArray[np.int64]


def unit_rows(rows: NDArray[FloatT]) -> NDArray[FloatT]:
    """(D,) or (N, D) -> the same with norm 1 along D, in the same precision.

    A row of zeros stays one: it is like nothing.
    """
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    return rows / np.maximum(norms, 1e-12)


def group_means(unit: Vectors, labels: Labels, K: int) -> Vectors:
    """Mean vectors (K, D) of the rows (N, D) labelled 0..K-1; rows labelled -1 are in none."""
    rows = np.flatnonzero(labels >= 0)
    shares = (1 / np.maximum(np.bincount(labels[rows], minlength=K), 1)).astype(unit.dtype)
    entries = (shares[labels[rows]], (labels[rows], rows))
    return np.asarray(csr_matrix(entries, shape=(K, len(unit))) @ unit)
