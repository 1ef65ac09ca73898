"""A file as FFmpeg reads it: with a place of its own, and with faults that are kept.

Several readers of one file do not disturb each other. PyAV prints what a Python file raises, and
FFmpeg takes a failing disk for the end of the sound; here the two are distinguished.
"""

from __future__ import annotations

import os
from typing import BinaryIO

__all__ = ["FileView"]


class FileView:
    """Reads the bytes begin <= b < end of `file`, or all from `begin` on, as if they were a file.

    `error` is what a read failed with, after which it ends.
    """

    def __init__(
        self, file: BinaryIO, name: str = "", *, begin: int = 0, end: int | None = None
    ) -> None:
        self._file = file
        self._at = 0
        self._begin = begin
        self.size = (file.seek(0, os.SEEK_END) if end is None else end) - begin
        self.name = name  # FFmpeg looks at the ending where the bytes tell nothing
        self.error: OSError | None = None

    def again(self, end: int | None = None) -> FileView:
        """Another reader of the same bytes, from the first on, or of those before `end`."""
        last = self.size if end is None else end
        return FileView(self._file, self.name, begin=self._begin, end=self._begin + last)

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes; none at the end, or where they cannot be read."""
        if self.error is not None or self._at >= self.size:
            return b""
        try:
            self._file.seek(self._begin + self._at)
            most = self.size - self._at
            data = self._file.read(most if size < 0 else min(size, most)) or b""
        except OSError as error:
            self.error = error
            return b""
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """The new place; -1, and no change, for one before the beginning."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at}.get(whence, self.size)
        if base + offset < 0:
            return -1
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def peek(self, at: int, size: int) -> bytes:
        """Bytes at `at`, leaving the place as it is."""
        before, self._at = self._at, at
        data = self.read(size)
        self._at = before
        return data
