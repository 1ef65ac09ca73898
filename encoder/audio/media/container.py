"""Files opened by PyAV, as what they are.

Bytes are read through a Python file, never by FFmpeg itself, and every FFmpeg protocol is
refused: a playlist cannot make this toolkit fetch other files or use the network. PyAV keeps
FFmpeg's own log quiet, so nothing is printed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Any

import av
from av.audio.stream import AudioStream
from av.container import InputContainer

from encoder.audio.media.file_view import FileView
from encoder.audio.media.sound_chunks import SoundBytes
from encoder.errors import AudioError

__all__ = ["UnreadableError", "check_read", "open_container", "tracks_in"]

_READ_BYTES = 1 << 16
# G.711 without a header, as telephone systems write it, is 8 kHz; FFmpeg would take it for 44.1.
_G711 = {
    suffix: demuxer
    for demuxer, suffixes in {"mulaw": "ul ulaw mulaw", "alaw": "al alaw"}.items()
    for suffix in suffixes.split()
}
_G711_RATE = 8000
# Bare samples: FFmpeg goes by the ending, and guesses the rate, or does not know them at all.
_RAW = re.compile("[su](8|16|24|32)([lb]e)?|f(32|64)[lb]e|vidc")
_RAW_SUFFIXES = frozenset(
    ["pcm", "raw", "sw", "sb", "ub", "uw", "s8", "u8", "s16", "s24", "s32", "f32", "vox"]
)
_STALE_S = 0.25  # so much behind the end that a header claims is sound, not a stray byte


def open_container(
    view: FileView, name: str, sound: SoundBytes | None, stack: ExitStack
) -> tuple[InputContainer, list[str]]:
    """A container that `stack` closes, and remarks on how it was opened.

    sound: what `find_sound_bytes` says of the file, None where its size does not matter.
    """
    suffix = Path(view.name).suffix.lower().lstrip(".")
    try:
        container = _open(view, stack)
    except (av.FFmpegError, OSError) as error:
        check_read(view, name)
        if suffix in _G711:
            return _open_g711(view, name, _G711[suffix], stack)
        if suffix in _RAW_SUFFIXES:
            raise _headerless(name) from error
        raise AudioError(
            f"{name} cannot be read as media ({error.strerror}): give an audio or video file "
            f"that a player can play, or convert it to WAV"
        ) from error
    kind = container.format.name
    if kind in _G711.values():
        return _open_g711(view, name, kind, stack)
    if _RAW.fullmatch(kind) or (suffix in _RAW_SUFFIXES and not tracks_in(container)):
        raise _headerless(name)
    if sound is None or sound.follows != "more":
        return container, []
    if kind == "wav":
        return _open_longer_wav(container, view, name, sound, stack)
    return container, [_unread(name, sound)]


class UnreadableError(AudioError):
    """A file that failed while it was read: what is missing is not its fault."""


def check_read(view: FileView, name: str) -> None:
    """UnreadableError if reading failed."""
    if view.error is not None:
        raise UnreadableError(
            f"{name} cannot be read any further ({view.error.strerror or view.error}): copy it to "
            "a disk that works, and try again"
        ) from view.error


def tracks_in(container: InputContainer) -> list[AudioStream]:
    """Every audio track, in the file's order; one without `codec_context` cannot be decoded."""
    return [stream for stream in container.streams.audio if isinstance(stream, AudioStream)]


def _open(
    view: FileView,
    stack: ExitStack,
    *,
    format: str | None = None,
    options: Mapping[str, str] = MappingProxyType({}),
) -> InputContainer:
    view.seek(0)
    container: Any = av.open(
        view,
        mode="r",
        format=format,
        buffer_size=_READ_BYTES,
        metadata_errors="replace",
        options={"protocol_whitelist": "none", **options},
    )
    opened: InputContainer = stack.enter_context(container)
    return opened


def _open_g711(
    view: FileView, name: str, kind: str, stack: ExitStack
) -> tuple[InputContainer, list[str]]:
    container = _open(view, stack, format=kind, options={"sample_rate": str(_G711_RATE)})
    law = "A-law" if kind == "alaw" else "mu-law"
    return container, [f"{name} has no header: it was read as {law} at {_G711_RATE} Hz"]


def _headerless(name: str) -> AudioError:
    return AudioError(
        f"{name} is sound without a header, which does not say its rate and kind: convert it with "
        "what you know of it, as in `ffmpeg -f s16le -ar 8000 -ac 1 -i IN out.wav`"
    )


def _open_longer_wav(
    container: InputContainer, view: FileView, name: str, sound: SoundBytes, stack: ExitStack
) -> tuple[InputContainer, list[str]]:
    """A WAV, with what follows a size that was never brought up to date, or that wrapped."""
    behind = sound.size - sound.end
    rate = int.from_bytes(sound.format[8:12], "little")  # bytes a second
    if not rate or behind < _STALE_S * rate:
        return container, []
    container.close()
    container = _open(view, stack, options={"ignore_length": "1"})
    told_s, more_s = (sound.end - sound.begin) / rate, behind / rate
    return container, [
        f"{name} is longer than its header says ({told_s:.1f} s): the {more_s:.1f} s behind that "
        "were read as well"
    ]


def _unread(name: str, sound: SoundBytes) -> str:
    return (
        f"{name} has {sound.size - sound.rest:,} bytes behind the end of its sound which are none "
        "of it: they were not read"
    )
