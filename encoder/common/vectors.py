"""Unit norm, which a mean of unit vectors has not."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["unit_rows"]

FloatT = TypeVar("FloatT", bound=np.floating)


def unit_rows(rows: NDArray[FloatT]) -> NDArray[FloatT]:
    """(D,) or (..., D) -> the same with norm 1 along D, in the same precision.

    A row of zeros stays one: it has similarity 0 to every other.
    """
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    return rows / np.maximum(norms, 1e-12)
