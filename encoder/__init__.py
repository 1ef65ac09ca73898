"""Deep Speaker embeddings: from sound to unit vectors, and the training that makes them.

    from encoder import Encoder, load_audio
    vector = Encoder.from_pretrained().embed(load_audio("clip.wav"))     # (192,), unit norm

Names are imported when first used, so that `import encoder` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from encoder.audio.load import load_audio, stream_audio
    from encoder.errors import ToolkitError
    from encoder.inference.encoder import Encoder

__all__ = ["Encoder", "ToolkitError", "load_audio", "stream_audio"]

_HOMES = {
    "Encoder": "encoder.inference.encoder",
    "ToolkitError": "encoder.errors",
    "load_audio": "encoder.audio.load",
    "stream_audio": "encoder.audio.load",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'encoder' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
