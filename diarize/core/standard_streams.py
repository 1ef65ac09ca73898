"""The standard streams of a command: closed ones, full ones, and readers that have gone."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from types import TracebackType
from typing import TextIO

from encoder.errors import StoreError

__all__ = ["drop_remarks", "is_writable", "standard_streams"]

# What draws on the standard streams: an OSError from there is theirs.
_DRAWING = ("click", "rich", "typer")


@contextlib.contextmanager
def standard_streams() -> Iterator[None]:
    """Around a whole command: StoreError where the standard output cannot take what was printed.

    A descriptor that was closed is taken by the null device, so that no file that is opened later
    gets its number, and with it what is meant for the stream.
    """
    for number, flags in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        _take(number, flags)  # the output stays one that cannot be written: nothing is lost unsaid
    if sys.stdout is None:
        sys.stdout = _opened(1)
    if sys.stderr is None:
        sys.stderr = _opened(2)
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except OSError as error:
        failed = _flush_error()
        if failed is None and not _is_drawing(error.__traceback__):
            raise
        _drop(1, sys.stdout)
        raise StoreError(
            f"cannot write the standard output ({(failed or error).strerror}): name a file for the "
            "result, or choose another place"
        ) from error


def drop_remarks() -> None:
    """Let what a full or closed stderr did not take go nowhere: Python tries once more as it ends,
    and would end with an exit code of its own."""
    try:
        if sys.stderr is not None:
            sys.stderr.flush()
    except OSError:
        _drop(2, sys.stderr)


def is_writable(stream: TextIO | None) -> bool:
    """Whether a stream is open for writing; one without a descriptor is."""
    if stream is None or stream.closed:
        return False
    try:
        number = stream.fileno()
    except (OSError, ValueError, AttributeError):  # a notebook's
        return True
    try:
        os.write(number, b"")
    except OSError:
        return False
    return True


def _take(number: int, flags: int) -> None:
    try:
        os.fstat(number)
    except OSError:
        null = os.open(os.devnull, flags)
        if null != number:
            os.dup2(null, number)
            os.close(null)


def _opened(number: int) -> TextIO:
    return open(number, "w", encoding="utf-8", errors="backslashreplace", closefd=False)


def _flush_error() -> OSError | None:
    """What the output still refuses: its buffer keeps what could not be written."""
    try:
        sys.stdout.flush()
    except OSError as error:
        return error
    return None


def _drop(number: int, stream: TextIO) -> None:
    """Let what waits for a stream go nowhere, or Python complains when it ends."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, number)
    os.close(null)
    with contextlib.suppress(OSError):
        stream.flush()


def _is_drawing(traceback: TracebackType | None) -> bool:
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    module = traceback.tb_frame.f_globals.get("__name__", "") if traceback else ""
    return module.partition(".")[0] in _DRAWING
