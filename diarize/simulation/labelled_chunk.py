"""What training asks of those who make conversations."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["ChunkSource", "LabelledChunk"]


class LabelledChunk(NamedTuple):
    """`wave` (T,) float32; `activity` (T // 160, K) bool, whether each of K speaks in 10 ms;
    `speakers` (K,) int64, the number by which each is known."""

    wave: NDArray[np.float32]
    activity: NDArray[np.bool_]
    speakers: NDArray[np.int64]


class ChunkSource(Protocol):
    """Labelled chunks without end, for instance `mixing.Simulator`."""

    def chunk(self, rng: np.random.Generator) -> LabelledChunk:
        """The next one; it depends on `rng` alone."""
        ...
