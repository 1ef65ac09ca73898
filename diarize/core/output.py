"""Outputs of commands: files that appear complete or not at all, the standard output, devices."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
import sys
from collections.abc import Iterable
from pathlib import Path

from diarize.core.standard_streams import is_writable
from diarize.core.text import printable
from encoder.common.atomic_files import renamed_to
from encoder.errors import ConfigError, StoreError

__all__ = ["check_target", "output_format", "write_atomic"]

_STDOUT_NAMES = frozenset({"-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"})
# Open files of this process under another name: a rename would cut the shell's `3> file` loose.
_DESCRIPTOR_FOLDERS = ("/dev/fd/", "/dev/stderr", "/proc/")
_CLOSED = "the standard output is closed"
_NEXT_STEPS = {
    errno.ENOENT: "create its folder first",
    errno.ENOTDIR: "a part of the path is a file, so choose another folder",
    errno.EISDIR: "it is a folder, so add a file name",
    errno.ENOSPC: "free some space or choose another disk",
    errno.EDQUOT: "free some space or choose another disk",
    errno.EACCES: "choose a folder you may write to",
    errno.EPERM: "choose a folder you may write to",
    errno.EROFS: "choose a folder you may write to",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EPIPE: "the program that reads it has stopped",
}


def write_atomic(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Write `content` to `path`; text is encoded as UTF-8.

    A regular file appears by a rename, so that a reader, a crash or a full disk never meets half
    of it, and it keeps the mode of the file it replaces. A link stays and its target is replaced.
    "-" is the standard output; devices and pipes are written through.

    Raises StoreError, with the old file intact and no temporary file left behind.
    """
    # A file name that is not UTF-8 reaches Python as lone surrogates: show them as escapes.
    data = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
    name = os.fspath(path)
    try:
        if name in _STDOUT_NAMES:
            _write_stdout(data)
            return
        mode = _mode(Path(name))
        if mode is not None and stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        special = mode is not None and not stat.S_ISREG(mode)
        if special or name.startswith(_DESCRIPTOR_FOLDERS):
            _write_through(name, data)
        else:
            with (
                renamed_to(Path(os.path.realpath(name))) as temporary,
                temporary.open("wb") as handle,
            ):
                handle.write(data)
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path, a closed stdout
        reason = getattr(error, "strerror", None) or str(error)
        step = _NEXT_STEPS.get(getattr(error, "errno", None) or 0, "choose another place")
        raise StoreError(f"cannot write {name!r} ({reason}): {step}") from error


def check_target(
    path: str | os.PathLike[str], inputs: Iterable[str | os.PathLike[str]] = ()
) -> None:
    """Raise now the StoreError that `write_atomic` would raise later for this path.

    ConfigError if the path is one of the `inputs`, which would be lost. Looks only; a disk may
    still fill up in between.
    """
    name = os.fspath(path)
    if name in _STDOUT_NAMES and not is_writable(sys.stdout):
        raise StoreError(f"cannot write {name!r} ({_CLOSED}): name a file")
    if name in _STDOUT_NAMES or name.startswith(_DESCRIPTOR_FOLDERS):
        return
    for source in inputs:
        if _is_same(name, os.fspath(source)):
            raise ConfigError(
                f"writing {name!r} would replace what is read from it: choose another name"
            )
    target = Path(os.path.realpath(name))
    reason = None
    try:
        if not target.parent.exists():
            reason = errno.ENOENT
        elif not target.parent.is_dir():
            reason = errno.ENOTDIR
        elif target.is_dir():
            reason = errno.EISDIR
        elif not target.exists() and not os.access(target.parent, os.W_OK):
            reason = errno.EACCES
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            target.lstat()  # a name may be too long
    except OSError as error:
        reason = error.errno
    if reason is not None:
        step = _NEXT_STEPS.get(reason, "choose another place")
        raise StoreError(f"cannot write {name!r} ({os.strerror(reason)}): {step}")


def output_format(path: str, *formats: str) -> str:
    """The one of `formats` that the path's ending asks for; the first for "-", devices and names
    without an ending. ConfigError for other endings."""
    ending = Path(path).suffix.lower().removeprefix(".")
    if path == "-" or not ending or path.startswith("/dev/"):
        return formats[0]
    if ending in formats:
        return ending
    raise ConfigError(
        f"cannot tell the format of {path!r}: end the name in .{' or .'.join(formats)}"
    )


def _is_same(one: str, other: str) -> bool:
    try:
        return Path(one).samefile(other)
    except (OSError, ValueError):  # one of them does not exist
        return False


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None


def _write_through(name: str, data: bytes) -> None:
    # Unbuffered, so that a failure shows here and not at some later close.
    descriptor = os.open(name, os.O_WRONLY | os.O_APPEND)
    with open(descriptor, "wb", buffering=0) as handle:  # noqa: PTH123
        _write_all(handle, data)


def _write_stdout(data: bytes) -> None:
    stdout = sys.stdout
    if stdout is None:
        raise OSError(errno.EBADF, _CLOSED)
    stdout.flush()
    if stdout.isatty():  # a name may hold what a terminal obeys; files and pipes get it as it is
        lines = [line.split("\t") for line in data.decode("utf-8", "replace").split("\n")]
        data = "\n".join("\t".join(map(printable, fields)) for fields in lines).encode()
    buffer = getattr(stdout, "buffer", None)
    if buffer is None:  # a notebook's stdout takes text only
        stdout.write(data.decode("utf-8", "replace"))
    else:
        # Past the buffer: what a closed pipe refuses must not be tried again at exit. With
        # PYTHONUNBUFFERED there is none, and a write may be partial.
        _write_all(getattr(buffer, "raw", buffer), data)


def _write_all(raw: io.RawIOBase | io.FileIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[raw.write(view) or 0 :]
