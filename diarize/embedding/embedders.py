"""Embedders by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from encoder.hub.download import fetch_onnx
from encoder.hub.paths import find_onnx

if TYPE_CHECKING:
    from encoder.inference.window_embedder import WindowEmbedder

__all__ = ["load_embedder"]


def load_embedder(name_or_path: str, *, device: str) -> WindowEmbedder:
    """The embedder of that name:

    - `deepspeaker-small`, `weights.safetensors`: the Deep Speaker encoder of a name or path;
    - `onnx:model.onnx`, `onnx:NAME`: a speaker model that others trained, with its .toml beside;
    - `onnx:hf:OWNER/REPOSITORY/FILE.onnx`: the same from the hub, downloaded on first use; with `@`
      and its SHA-256 behind it no other file will do.

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
