"""Where the sound of a WAV and its kin lies in the file, as their headers have it.

    WAV, RF64, BW64   RIFF chunks: id, 32-bit size; RF64 keeps the true size in a chunk `ds64`
    W64               the same with 16-byte ids and 64-bit sizes that count their own header
    AIFF, AIFC        IFF chunks: as RIFF, big-endian
    CAF               id, 64-bit size, big-endian
    AU                one header with offset and size
    VOC               blocks with 24-bit sizes
    TTA               one header with a table of the frames' sizes
    SoX               one header with the number of samples
    AVI               RIFF chunks again; here the whole film counts

FFmpeg reads what is there, whatever the header says: a file cut off in the middle is as good to it
as a whole one, and what follows a size that was never brought up to date is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from encoder.audio.media.file_marks import VOC, begins_file, behind_tags
from encoder.audio.media.file_view import FileView

__all__ = ["SoundBytes", "find_sound_bytes"]

_W64_RIFF = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
_MOST_CHUNKS = 10_000  # a damaged file may have a billion empty ones
# 32-bit sizes of a recording that was streamed, its size never known.
_UNKNOWN_32 = (range(0x7FFF0000, 0x80000000), range(0xFFFF0000, 0x100000000))
_UNKNOWN_64 = 0x7FFF_0000_0000_0000


@dataclass(frozen=True)
class SoundBytes:
    """Bytes begin <= b < end of a file of `size` bytes are its sound, if the header is right."""

    begin: int
    end: int
    size: int
    follows: Literal["nothing", "chunks", "more"] = "nothing"  # what lies behind `end`
    rest: int = 0  # where what is no chunk begins, if there is more
    format: bytes = b""  # WAV: the chunk that says how samples are written
    is_torn: bool = False  # the end of a format whose size is nowhere written is not there

    @property
    def missing(self) -> float:
        """How much of what the header promises is not there, as a multiple of what is."""
        there = min(self.end, self.size) - self.begin
        return (self.end - self.begin) / there - 1 if there > 0 else 0.0


class _Chunk(NamedTuple):
    name: bytes
    begin: int  # of its content
    end: int
    next: int


def find_sound_bytes(view: FileView) -> SoundBytes | None:
    """None for other formats, for headers without a size, and for headers that make no sense."""
    size, head = view.size, view.peek(0, 40)
    if head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return _wav(view, size)
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return _avi(view, size)
    if head[:16] == _W64_RIFF:
        return _chunked(view, size, _Layout(40, 16, 8, "little", align=8, counts_itself=True))
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return _chunked(view, size, _Layout(12, 4, 4, "big", align=2, sound=b"SSND"))
    if head[:4] == b"caff":
        return _chunked(view, size, _Layout(8, 4, 8, "big", align=1))
    if head[:4] == b".snd":
        begin, length = (int.from_bytes(head[at : at + 4], "big") for at in (4, 8))
        return _found(begin, length, size) if _is_known(length, 4) else None
    if head[:20] == VOC:
        return _voc(view, size)
    if head[:4] == b"TTA1":
        return _tta(view, size)
    if head[:4] in (b".SoX", b"XoS."):
        return _sox(view, size)
    return None


@dataclass(frozen=True)
class _Layout:
    """How a family of formats writes its chunks."""

    first: int  # byte of the first chunk
    name_bytes: int
    size_bytes: int
    order: Literal["little", "big"]
    align: int
    counts_itself: bool = False
    sound: bytes = b"data"


_RIFF = _Layout(12, 4, 4, "little", align=2)


def _chunks(view: FileView, layout: _Layout, at: int, size: int) -> Iterator[_Chunk]:
    header = layout.name_bytes + layout.size_bytes
    for _ in range(_MOST_CHUNKS):
        head = view.peek(at, header)
        if len(head) < header:
            return
        length = int.from_bytes(head[layout.name_bytes :], layout.order)
        begin = at + header
        end = max(begin, at + length if layout.counts_itself else begin + length)
        at = end + -end % layout.align
        yield _Chunk(head[:4], begin, end, at)
        if at >= size:
            return


def _chunked(view: FileView, size: int, layout: _Layout) -> SoundBytes | None:
    for chunk in _chunks(view, layout, layout.first, size):
        if chunk.name == layout.sound:
            if not _is_known(chunk.end - chunk.begin, layout.size_bytes):
                return None
            return _found(
                chunk.begin, chunk.end - chunk.begin, size, *_behind(view, layout, chunk, size)
            )
    return None


def _wav(view: FileView, size: int) -> SoundBytes | None:
    true_length, written = None, b""
    for chunk in _chunks(view, _RIFF, _RIFF.first, size):
        if chunk.name == b"ds64":  # sizes of the file, of the sound, and of other chunks
            true_length = int.from_bytes(view.peek(chunk.begin + 8, 8), "little")
        if chunk.name == b"fmt ":
            written = view.peek(chunk.begin, min(chunk.end - chunk.begin, 40))
        if chunk.name == b"data":
            length = chunk.end - chunk.begin
            if true_length is not None and length == 0xFFFFFFFF:
                length = true_length
                chunk = chunk._replace(end=chunk.begin + length, next=chunk.begin + length)
            elif not _is_known(length, 4):
                return None
            behind = _behind(view, _RIFF, chunk, size)
            return _found(chunk.begin, length, size, *behind, written)
    return None


def _avi(view: FileView, size: int) -> SoundBytes | None:
    """Sound and pictures: all RIFF chunks, of which a long film has several."""
    end = 0
    for chunk in _chunks(view, _RIFF, 0, size):
        if end and chunk.name == b"RIFF" and view.peek(chunk.begin, 4) != b"AVIX":
            return _found(_RIFF.first, end - _RIFF.first, size, "more", end)
        if chunk.name != b"RIFF" or not _is_known(chunk.end - chunk.begin, 4):
            break
        end = chunk.end
    return _found(_RIFF.first, end - _RIFF.first, size) if end else None


def _voc(view: FileView, size: int) -> SoundBytes | None:
    """FFmpeg reads block by block; the last is empty."""
    first = at = int.from_bytes(view.peek(20, 2), "little")
    while at < size:
        head = view.peek(at, 4)
        if head[0] == 0:  # what follows the empty block FFmpeg does not read
            return _found(first, at - first, size, *_tags_behind(view, at + 1, size))
        if len(head) < 4:
            break
        at += 4 + int.from_bytes(head[1:], "little")
    return SoundBytes(first, min(at, size), size, is_torn=True)


def _tta(view: FileView, size: int) -> SoundBytes | None:
    """A header that counts samples, a table of the frames' sizes, the frames."""
    rate, samples = (int.from_bytes(view.peek(at, 4), "little") for at in (10, 14))
    frame = rate * 256 // 245
    frames = -(-samples // frame) if frame else 0
    begin = 22 + 4 * frames + 4
    if not frames or begin > size:
        return None
    table = view.peek(22, 4 * frames)
    length = sum(int.from_bytes(table[at : at + 4], "little") for at in range(0, len(table), 4))
    return _found(begin, length, size, *_tags_behind(view, begin + length, size))


def _sox(view: FileView, size: int) -> SoundBytes | None:
    """A header with its own size, and the number of samples of 4 bytes, of all channels."""
    order: Literal["little", "big"] = "little" if view.peek(0, 4) == b".SoX" else "big"
    header, samples = (int.from_bytes(view.peek(at, n), order) for at, n in ((4, 4), (8, 8)))
    return _found(4 + header, 4 * samples, size) if _is_known(4 * samples, 8) else None


def _behind(
    view: FileView, layout: _Layout, chunk: _Chunk, size: int
) -> tuple[Literal["nothing", "chunks", "more"], int]:
    """Other chunks reach exactly to the end of the file; anything else is more sound."""
    at = chunk.next
    if size <= at:
        return "nothing", size
    for other in _chunks(view, layout, at, size):
        if not other.name.strip(b" ").isalnum() or begins_file(view.peek(at, 64)):
            break
        if other.next > size + layout.align:
            break
        at = other.next
        if at >= size:
            return "chunks", size
    return _tags_behind(view, at, size)


def _tags_behind(
    view: FileView, at: int, size: int
) -> tuple[Literal["nothing", "chunks", "more"], int]:
    """The same where no chunks are: tags and padding are no sound."""
    if at >= size:
        return "nothing", size
    at = behind_tags(view, at)
    return ("chunks", size) if at >= size else ("more", at)


def _is_known(length: int, size_bytes: int) -> bool:
    if size_bytes == 8:
        return 0 < length < _UNKNOWN_64
    return length > 0 and not any(length in unknown for unknown in _UNKNOWN_32)


def _found(
    begin: int,
    length: int,
    size: int,
    follows: Literal["nothing", "chunks", "more"] = "nothing",
    rest: int = 0,
    written: bytes = b"",
) -> SoundBytes | None:
    if not 0 < begin < size:
        return None
    return SoundBytes(begin, begin + length, size, follows, rest, written)
