"""Trained networks at work: wave (T,) and windows (N, 2) to unit vectors (N, D).

Every embedder is a `WindowEmbedder`: the networks of this toolkit, ONNX models, plain functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from encoder.common.lazy import lazy_exports

if TYPE_CHECKING:
    from encoder.inference.encoder import Encoder
    from encoder.inference.extraction import crop_vectors
    from encoder.inference.onnx_encoder import OnnxEncoder
    from encoder.inference.window_embedder import (
        BatchedEmbedder,
        FunctionEmbedder,
        Stretch,
        WindowEmbedder,
    )

__all__ = [
    "BatchedEmbedder",
    "Encoder",
    "FunctionEmbedder",
    "OnnxEncoder",
    "Stretch",
    "WindowEmbedder",
    "crop_vectors",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "BatchedEmbedder": "encoder.inference.window_embedder",
        "Encoder": "encoder.inference.encoder",
        "FunctionEmbedder": "encoder.inference.window_embedder",
        "OnnxEncoder": "encoder.inference.onnx_encoder",
        "Stretch": "encoder.inference.window_embedder",
        "WindowEmbedder": "encoder.inference.window_embedder",
        "crop_vectors": "encoder.inference.extraction",
    },
)
