"""The last pages of an Ogg file: FFmpeg passes over a damaged one without a word.

A page lost before others leaves a hole in the times; one at the end leaves nothing. So checksums
there are looked at: CRC-32 of the polynomial of zlib, but with bits in their own order, nothing
turned over at the beginning or the end.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

__all__ = ["has_damaged_pages", "is_torn", "page_checksum"]

_MARK = b"OggS"
_CHECKSUM = slice(22, 26)
_HEADER = 27
_END = 4  # bit of a page's flags
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def page_checksum(page: bytes) -> int:
    """What the four bytes from 22 on are to be, little-endian."""
    blank = page[: _CHECKSUM.start] + bytes(4) + page[_CHECKSUM.stop :]
    turned = zlib.crc32(blank.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{turned:032b}"[::-1], 2)


def is_torn(tail: bytes) -> bool:
    """Whether the last page is not all there, or does not say that it is the last."""
    at = tail.rfind(_MARK)
    page = _page(tail, at) if at >= 0 else b""
    return not page or not page[5] & _END


def has_damaged_pages(tail: bytes) -> bool:
    """Whether a whole page of the last bytes of a file is not what its checksum says, or bytes
    before another page are none.

    The first page that is seen may begin within the bytes of another.
    """
    pages = list(_pages(tail))
    sound = [_is_sound(tail[begin:end]) for begin, end in pages]
    if True not in sound:
        return bool(pages)
    first = sound.index(True)
    joins = zip(pages[first:], pages[first + 1 :], strict=False)
    return not all(sound[first:]) or any(end != begin for (_, end), (begin, _) in joins)


def _is_sound(page: bytes) -> bool:
    return page_checksum(page) == int.from_bytes(page[_CHECKSUM], "little")


def _pages(tail: bytes) -> Iterator[tuple[int, int]]:
    """Where pages begin and end; one that is cut off is left out."""
    at = tail.find(_MARK)
    while at >= 0:
        page = _page(tail, at)
        end = at + len(page)
        if page:
            yield at, end
        whole = page and (_is_sound(page) or tail[end : end + 4] == _MARK)
        at = tail.find(_MARK, end if whole else at + 4)


def _page(tail: bytes, at: int) -> bytes:
    """The page that begins there; empty if it is not all there."""
    head = tail[at : at + _HEADER]
    table = tail[at + _HEADER : at + _HEADER + head[-1]] if len(head) == _HEADER else b""
    end = at + _HEADER + len(table) + sum(table)
    whole = len(head) == _HEADER and len(table) == head[-1] and end <= len(tail)
    return tail[at:end] if whole else b""
