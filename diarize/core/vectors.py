"""Vectors (N, D): means of groups, and unit norm, which a mean of unit vectors has not."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from encoder.common.vectors import unit_rows

__all__ = ["group_means", "unit_rows"]

Vectors = NDArray[np.floating]
Labels = NDArray[np.int64]


def group_means(unit: Vectors, labels: Labels, K: int) -> Vectors:
    """Mean vectors (K, D) of the rows (N, D) labelled 0..K-1; rows labelled -1 are in none."""
    rows = np.flatnonzero(labels >= 0)
    shares = (1 / np.maximum(np.bincount(labels[rows], minlength=K), 1)).astype(unit.dtype)
    entries = (shares[labels[rows]], (labels[rows], rows))
    return np.asarray(csr_matrix(entries, shape=(K, len(unit))) @ unit)
