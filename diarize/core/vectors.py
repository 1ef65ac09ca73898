"""Vectors (N, D) and labels (N,), and the means of groups. Unit norm, which a mean of unit vectors
has not, is made by `encoder.common.vectors.unit_rows`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

__all__ = ["Labels", "Vectors", "group_means"]

Vectors = NDArray[np.floating]
Labels = NDArray[np.int64]


def group_means(unit: Vectors, labels: Labels, K: int) -> Vectors:
    """Mean vectors (K, D) of the rows (N, D) labelled 0..K-1; rows labelled -1 are in none."""
    rows = np.flatnonzero(labels >= 0)
    shares = (1 / np.maximum(np.bincount(labels[rows], minlength=K), 1)).astype(unit.dtype)
    entries = (shares[labels[rows]], (labels[rows], rows))
    return np.asarray(csr_matrix(entries, shape=(K, len(unit))) @ unit)
