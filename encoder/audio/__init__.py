"""Any media file to a mono wave (T,) at 16 kHz, on the clock of the file itself.

In comes a path, "-" or a binary file object; out come waves, or blocks of one in bounded memory.
PyAV decodes, and brings FFmpeg with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from encoder.common.lazy import lazy_exports

if TYPE_CHECKING:
    from encoder.audio.load import AudioWarning, load_audio, probe_duration, stream_audio
    from encoder.audio.media_files import media_below

__all__ = [
    "AudioWarning",
    "load_audio",
    "media_below",
    "probe_duration",
    "stream_audio",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "AudioWarning": "encoder.audio.load",
        "load_audio": "encoder.audio.load",
        "media_below": "encoder.audio.media_files",
        "probe_duration": "encoder.audio.load",
        "stream_audio": "encoder.audio.load",
    },
)
