"""Embedders: what turns windows of a wave into vectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Embedder", "load_embedder"]


class Embedder(Protocol):
    """Vectors are comparable only between embedders of one fingerprint."""

    fingerprint: str

    @property
    def minimum_samples(self) -> int:
        """The shortest window it takes."""
        ...

    def embed_windows(
        self,
        wave: Tensor,
        bounds: NDArray[np.int64],
        *,
        on_done: Callable[[int, int], None] | None = None,
    ) -> NDArray[np.float32]:
        """Wave (T,) and windows (N, 2) -> (N, D) unit vectors."""
        ...


def load_embedder(name_or_path: str, *, device: str) -> Embedder:
    """The Deep Speaker encoder of that name or path."""
    from encoder.inference import Encoder  # torch is slow to import

    return Encoder.from_pretrained(name_or_path, device=device)
