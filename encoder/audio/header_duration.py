"""What a media file's header promises, so that a file cut off in the middle is noticed.

Only a count written when the recording was finished is a promise. A length read off the last
page (ogg, mpegts) or estimated from the bit rate (aac, mp3 without a count) is none.
"""

from __future__ import annotations

import os
from typing import BinaryIO

from encoder.audio.container import Media

__all__ = ["declared_duration_s"]

_STREAMED_BYTES = 0x7FFF0000  # a WAV size from here on stands for "unknown"


def declared_duration_s(media: Media) -> float | None:
    """Where the header says that the sound ends on the timeline; None where it does not."""
    formats = set(media.container.format.name.split(","))
    if "matroska" in formats:
        return _matroska_s(media)
    if "wav" in formats:
        return _cut_wav_s(media.file)
    ticks, start, tick_s = media.stream.duration, media.stream.start_time, media.stream.time_base
    if ticks is None or tick_s is None:
        return None
    length_s = float(ticks * tick_s)
    if "mp3" in formats:
        return length_s if _has_mp3_count(media.file) else None
    if "mp4" in formats:
        return length_s + float((start or 0) * tick_s) - media.origin_s
    return length_s if "flac" in formats else None


def _matroska_s(media: Media) -> float | None:
    """The track's own DURATION tag; the whole file's length where sound is all there is."""
    try:
        hours, minutes, seconds = map(float, media.stream.metadata.get("DURATION", "").split(":"))
    except ValueError:
        return media.length_s if len(media.container.streams) == 1 else None
    return hours * 3600 + minutes * 60 + seconds - media.origin_s


def _cut_wav_s(file: BinaryIO) -> float | None:
    """The length a WAV's header gives if the file is too short for it; FFmpeg keeps it quiet."""
    head = _peek(file, 0, 1 << 16)
    at, byte_rate = 12, 0
    while head[:4] == b"RIFF" and at + 8 <= len(head):
        kind, size = head[at : at + 4], int.from_bytes(head[at + 4 : at + 8], "little")
        if kind == b"fmt ":
            byte_rate = int.from_bytes(head[at + 16 : at + 20], "little")
        if kind == b"data":
            missing = at + 8 + size - _size(file)
            cut_off = 0 < missing < size < _STREAMED_BYTES and byte_rate > 0
            return size / byte_rate if cut_off else None
        at += 8 + size + size % 2
    return None


def _has_mp3_count(file: BinaryIO) -> bool:
    """Whether an MP3's first frame is the Xing, Info or VBRI one, which counts the others."""
    head = _peek(file, 0, 10)
    at = 0
    if head[:3] == b"ID3":  # the tag's size has seven bits a byte
        at = 10 + (head[6] << 21) + (head[7] << 14) + (head[8] << 7) + head[9]
    frame = _peek(file, at, 4096)
    return any(mark in frame for mark in (b"Xing", b"Info", b"VBRI"))


def _peek(file: BinaryIO, at: int, size: int) -> bytes:
    """Bytes at `at`, leaving the file where it was: FFmpeg is reading it too."""
    before = file.tell()
    file.seek(at)
    data = file.read(size)
    file.seek(before)
    return data


def _size(file: BinaryIO) -> int:
    before = file.tell()
    size = file.seek(0, os.SEEK_END)
    file.seek(before)
    return size
