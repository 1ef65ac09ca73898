"""Media files as containers with tracks: opened, a track chosen, its packets decoded to frames.

In comes a path, "-" or a binary file object; out come frames with the times written in the file,
and what its header promises. With `encoder/audio` the only room that imports PyAV.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from encoder.common.lazy import lazy_exports

if TYPE_CHECKING:
    from encoder.audio.media.decoding import Piece, decode, samples_of
    from encoder.audio.media.opening import Media, open_media

__all__ = ["Media", "Piece", "decode", "open_media", "samples_of"]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "Media": "encoder.audio.media.opening",
        "Piece": "encoder.audio.media.decoding",
        "decode": "encoder.audio.media.decoding",
        "open_media": "encoder.audio.media.opening",
        "samples_of": "encoder.audio.media.decoding",
    },
)
