"""Windows (N, 2) of a recording, or a whole clip, to unit vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from encoder.common.lazy import lazy_exports

if TYPE_CHECKING:
    from diarize.embedding.clip_embedding import ClipEmbedder, ClipEmbedding, ClipEmbeddingConfig
    from diarize.embedding.embedders import load_embedder
    from diarize.embedding.extraction import embed_recording
    from diarize.embedding.windows import WindowConfig, Windows, cut_windows

__all__ = [
    "ClipEmbedder",
    "ClipEmbedding",
    "ClipEmbeddingConfig",
    "WindowConfig",
    "Windows",
    "cut_windows",
    "embed_recording",
    "load_embedder",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "ClipEmbedder": "diarize.embedding.clip_embedding",
        "ClipEmbedding": "diarize.embedding.clip_embedding",
        "ClipEmbeddingConfig": "diarize.embedding.clip_embedding",
        "WindowConfig": "diarize.embedding.windows",
        "Windows": "diarize.embedding.windows",
        "cut_windows": "diarize.embedding.windows",
        "embed_recording": "diarize.embedding.extraction",
        "load_embedder": "diarize.embedding.embedders",
    },
)
