"""Regions (n, 2): stretches of a recording in int64 samples, half open.

Turns in seconds are joined by `diarize.core.turns.merge_touching`, with a tolerance for floating
point noise; the scorer keeps regions that only touch, whose border counts (`diarize.scoring`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["Regions", "merge_regions"]

Regions = Sequence[NDArray[np.int64]]


def merge_regions(regions: NDArray[np.int64], *, closer_than: int = 1) -> NDArray[np.int64]:
    """Regions (n, 2) in any order -> sorted ones, none less than `closer_than` samples apart.

    With 1 those that overlap or touch become one region.
    """
    spans = regions[np.argsort(regions[:, 0], kind="stable")]
    ends = np.maximum.accumulate(spans[:, 1])
    begins = np.concatenate([[True], spans[1:, 0] - ends[:-1] >= closer_than])[: len(spans)]
    last = np.concatenate([begins[1:], [True]])[: len(spans)]
    return np.stack([spans[begins, 0], ends[last]], axis=1)
