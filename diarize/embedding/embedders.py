"""Embedders: what turns windows of a wave into vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from encoder.hub.download import fetch_onnx
from encoder.hub.paths import find_onnx

if TYPE_CHECKING:
    from torch import Tensor

    from encoder.inference.window_embedder import Stretch

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

    def embed_stretches(self, stretches: Iterable[Stretch]) -> Iterator[NDArray[np.float32]]:
        """For each stretch of overlapping windows their unit vectors (N, D), in order."""
        ...


def load_embedder(name_or_path: str, *, device: str) -> Embedder:
    """The embedder of that name:

    - `deepspeaker-small`, `weights.safetensors`: the Deep Speaker encoder of a name or path;
    - `onnx:model.onnx`, `onnx:NAME`: a speaker model that others trained, with its .toml beside;
    - `onnx:hf:OWNER/REPOSITORY/FILE.onnx`: the same from the hub, downloaded on first use.

    CheckpointError, ConfigError or BackendUnavailable say why one cannot be had.
    """
    kind, _, where = name_or_path.partition("onnx:")
    if kind or not where:
        from encoder.inference.encoder import Encoder  # torch is slow to import

        return Encoder.from_pretrained(name_or_path, device=device)
    is_hub = where.startswith("hf:")
    path = fetch_onnx(where.removeprefix("hf:")) if is_hub else find_onnx(where)
    from encoder.inference.onnx_encoder import OnnxEncoder

    return OnnxEncoder.from_file(path, device=device)
