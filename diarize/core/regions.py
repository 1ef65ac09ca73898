"""Regions (n, 2): stretches of a recording in int64 samples, half open."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["Regions", "united"]

Regions = Sequence[NDArray[np.int64]]


def united(regions: Regions) -> NDArray[np.int64]:
    """The regions (n, 2) of several speakers as those of one, sorted and not touching."""
    spans = np.concatenate([np.zeros((0, 2), np.int64), *regions])
    spans = spans[np.argsort(spans[:, 0], kind="stable")]
    ends = np.maximum.accumulate(spans[:, 1])
    begins = np.concatenate([[True], spans[1:, 0] > ends[:-1]])[: len(spans)]
    last = np.concatenate([begins[1:], [True]])[: len(spans)]
    return np.stack([spans[begins, 0], ends[last]], axis=1)
