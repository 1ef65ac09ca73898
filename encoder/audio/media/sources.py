"""What a user may name as sound: a path, "-", or a binary file object, as bytes that can be
sought in.

Some containers keep their table of contents at the end, so what cannot be sought in (a pipe, a
FIFO, standard input from another command) is first copied to a temporary file.
"""

from __future__ import annotations

import io
import os
import select
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, TypeAlias

from encoder.errors import AudioError

__all__ = ["Source", "name_of", "open_source", "reopenable"]

Source: TypeAlias = str | os.PathLike[str] | BinaryIO

_COPY_BYTES = 1 << 20


class _Copy(io.BufferedRandom):
    """A copy of what cannot be sought in; `speaks_of` is what messages call it."""

    def __init__(self, file: io.RawIOBase, speaks_of: str) -> None:
        super().__init__(file)
        self.speaks_of = speaks_of


@contextmanager
def reopenable(source: Source) -> Iterator[Source]:
    """Yield a source that can be opened several times, one after another.

    Paths, file objects that can be sought in and standard input fed from a file are yielded as
    they are; anything else is copied once into a temporary file, gone at the end, whose messages
    speak of what was copied. Raises AudioError for what cannot be read, is empty, or does not
    fit on the disk.
    """
    with ExitStack() as stack:
        file, _ = open_source(source, stack)
        if not isinstance(file, _Copy):
            stack.close()
        yield file if isinstance(file, _Copy) else source


def open_source(source: Source, stack: ExitStack) -> tuple[BinaryIO, str]:
    """A file at its beginning that can be sought in, and its name as messages write it.

    What is opened or copied here is closed by `stack`. Raises AudioError as `reopenable` does.
    """
    file: BinaryIO
    name = name_of(source)
    try:
        if isinstance(source, str) and source == "-":
            if sys.stdin is None or sys.stdin.closed or sys.stdin.isatty():
                raise AudioError(
                    f"{name} is a terminal or closed: feed it a media file, as in "
                    "`diarize - < call.mp3`"
                )
            file = sys.stdin.buffer
        elif isinstance(source, (str, os.PathLike)):
            if not str(source):
                raise AudioError("the name of the media file is empty: give its path")
            if Path(source).is_dir():
                raise AudioError(f"{name} is a folder: give the path of one media file")
            file = stack.enter_context(Path(source).open("rb"))  # noqa: SIM115 - in the stack
        elif isinstance(source, _Copy):
            file = source
        elif not hasattr(source, "read"):
            raise AudioError(
                f"no sound can be read from an object of type {type(source).__name__}: give "
                "the path of a media file, a binary file object, or a wave"
            )
        else:
            file = source
        if not file.seekable():
            file = _copied(file, name, stack)
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
    except FileNotFoundError as error:
        raise AudioError(f"{name} does not exist: check the path") from error
    except (OSError, ValueError) as error:  # ValueError: no file has such a name, or it is closed
        reason = getattr(error, "strerror", None) or error
        raise AudioError(f"{name} cannot be read ({reason}): check that you may open it") from error
    if size == 0:
        raise AudioError(f"{name} is empty (0 bytes): record, copy or download it again")
    return file, name


def name_of(source: Source) -> str:
    """What messages call it."""
    if isinstance(source, _Copy):
        return source.speaks_of
    if isinstance(source, (str, os.PathLike)):
        return "standard input" if source == "-" else repr(str(source))
    return repr(str(getattr(source, "name", "the given stream")))


def _copied(file: BinaryIO, name: str, stack: ExitStack) -> _Copy:
    with _speaking_of_the_disk(name):
        # Closed without its buffer, which a full disk would refuse once more.
        raw = stack.enter_context(tempfile.TemporaryFile(buffering=0))  # noqa: SIM115
        copy = _Copy(raw, name)
    while data := _next_bytes(file):
        with _speaking_of_the_disk(name):
            copy.write(data)
    with _speaking_of_the_disk(name):
        copy.flush()
    return copy


def _next_bytes(file: BinaryIO) -> bytes:
    """Some bytes, or none at the end; where a pipe that does not block has none yet, it waits."""
    while (data := file.read(_COPY_BYTES)) is None:
        select.select([file], [], [])
    return data


@contextmanager
def _speaking_of_the_disk(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise AudioError(
            f"{name} cannot be copied to a temporary file ({error.strerror or error}): free disk "
            "space, or set TMPDIR to a folder that has some"
        ) from error
