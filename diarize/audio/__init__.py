"""A recording as the stages read it. In: a media file, standard input or a wave (T,). Out: blocks
(T,) at one level, as often as a stage asks for them, in bounded memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from encoder.common.lazy import lazy_exports

if TYPE_CHECKING:
    from diarize.audio.level import LevelMeter, level_out
    from diarize.audio.recording import Recording, open_recording

__all__ = [
    "LevelMeter",
    "Recording",
    "level_out",
    "open_recording",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "LevelMeter": "diarize.audio.level",
        "Recording": "diarize.audio.recording",
        "level_out": "diarize.audio.level",
        "open_recording": "diarize.audio.recording",
    },
)
