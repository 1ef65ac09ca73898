"""Weights on disk: where they lie, how they are checked, how they are fetched.

A name or a path goes in; a file that was checked against the hash in its name, or the network it
holds with its features and fingerprint, comes out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from encoder.common.lazy import lazy_exports

if TYPE_CHECKING:
    from encoder.hub.download import fetch_onnx
    from encoder.hub.paths import find_onnx, find_weights
    from encoder.hub.weights_file import load_weights, save_weights

__all__ = [
    "fetch_onnx",
    "find_onnx",
    "find_weights",
    "load_weights",
    "save_weights",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "fetch_onnx": "encoder.hub.download",
        "find_onnx": "encoder.hub.paths",
        "find_weights": "encoder.hub.paths",
        "load_weights": "encoder.hub.weights_file",
        "save_weights": "encoder.hub.weights_file",
    },
)
