"""Unit vectors of means: a mean of unit vectors is shorter than one."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["unit_rows"]

FloatT = TypeVar("FloatT", bound=np.floating)


def unit_rows(rows: NDArray[FloatT]) -> NDArray[FloatT]:
    """(D,) or (N, D) -> the same with norm 1 along D, in the same precision.

    A row of zeros stays one: it is like nothing.
    """
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    return rows / np.maximum(norms, 1e-12)
