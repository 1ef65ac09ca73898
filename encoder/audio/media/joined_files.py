"""Several media files in one, joined byte by byte, as `cat` does it.

Formats that are streams of frames or pages go on by themselves. Of those with a table of contents
FFmpeg reads the first, or some of them; so each is found here and read by itself.
"""

from __future__ import annotations

from encoder.audio.media.file_marks import AMR, EBML, begins_file, behind_tags
from encoder.audio.media.file_view import FileView
from encoder.audio.media.sound_chunks import SoundBytes

__all__ = ["find_next_file"]

_SEGMENT = b"\x18\x53\x80\x67"
_WAVPACK = b"wvpk"
_SEARCHED = 1 << 20  # bytes at a time
_MOST_BOXES = 100_000


def find_next_file(view: FileView, sound: SoundBytes | None) -> int | None:
    """The byte at which a second file begins, behind the first one; None if there is none.

    sound: what `find_sound_bytes` says of the first.
    """
    head = view.peek(0, 40)
    at = None
    if head[:4] == EBML:
        at = _behind_matroska(view)
    elif head[4:8] == b"ftyp":
        at = _second_box(view)
    elif head[:4] == b"FLV\x01":
        at = _search(view, b"FLV\x01", 4)
    elif head[:6] == AMR:
        at = _search(view, AMR, len(AMR))
    elif head[:4] == _WAVPACK:
        at = _behind_wavpack(view)
    elif sound is not None:
        at = sound.rest if sound.follows == "more" else sound.end
    return at if at is not None and begins_file(view.peek(at, 64)) else None


def _behind_matroska(view: FileView) -> int | None:
    """Behind the segment where its size is known; a live one ends where another header begins."""
    at, (length, width) = 4, _vint(view.peek(4, 8))
    at += width + length
    if view.peek(at, 4) != _SEGMENT:
        return None
    length, width = _vint(view.peek(at + 4, 8))
    if width and length != (1 << 7 * width) - 1:  # all ones: unknown
        end = at + 4 + width + length
        return end if end < view.size else None
    return _search(view, EBML, at)


def _vint(data: bytes) -> tuple[int, int]:
    """A number of EBML and how many bytes it has."""
    width = 9 - data[0].bit_length() if data and data[0] else 0
    return int.from_bytes(data[:width], "big") & (1 << 7 * width) - 1, width


def _second_box(view: FileView) -> int | None:
    at = 0
    for _ in range(_MOST_BOXES):
        head = view.peek(at, 16)
        if len(head) < 8:
            return None
        if at and begins_file(view.peek(at, 64)):
            return at
        size = int.from_bytes(head[:4], "big")
        if size == 1:
            size = int.from_bytes(head[8:16], "big")
        if size < 8:  # 0: to the end of the file
            return None
        at += size
    return None


def _behind_wavpack(view: FileView) -> int | None:
    """Where blocks are numbered from 0 once more, or behind the tags at the end."""
    at, before = 0, 0
    while len(head := view.peek(at, 20)) == 20 and head[:4] == _WAVPACK:
        first_sample = int.from_bytes(head[16:20], "little")
        if first_sample == 0 < before:
            return at
        before = first_sample
        at += 8 + int.from_bytes(head[4:8], "little")
    return behind_tags(view, at) if at < view.size else None


def _search(view: FileView, mark: bytes, at: int) -> int | None:
    """Where `mark` begins a file, at `at` or behind it."""
    overlap = 64
    while at < view.size:
        data = view.peek(at, _SEARCHED + overlap)
        found = data.find(mark)
        while 0 <= found < _SEARCHED:
            if begins_file(data[found : found + 64]):
                return at + found
            found = data.find(mark, found + 1)
        at += _SEARCHED
    return None
