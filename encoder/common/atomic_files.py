"""Files that appear complete or not at all: written under another name, flushed, renamed.

A reader, a crash or a full disk never meets half a file. Whoever writes holds a lock on what has a
temporary name; what a killed process has left has none, and the next who writes there removes it.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from encoder.common.private_files import make_private_folder
from encoder.errors import StoreError

try:
    import fcntl
except ImportError:  # not on Windows, where nothing is swept
    fcntl = None  # type: ignore[assignment]

__all__ = ["renamed_to", "replacing", "sweep", "temporary_folder"]

_TEMPORARY = re.compile(r"\.[0-9a-f]{12}\.partial")
_PLAIN, _PRIVATE = 0o666, 0o600  # before the umask


@contextmanager
def renamed_to(
    target: Path, *, temporary: Path | None = None, private: bool = False
) -> Iterator[Path]:
    """Gives the temporary name of an empty file in the folder of `target`, to be written.

    When the block ends without an error, the file is flushed, gets the mode of the file that it
    replaces, and becomes `target`; else it is removed and `target` stays as it was. temporary: that
    name where one is wanted that does not change, so that a kill leaves no more than one behind.
    private: nobody but the owner can read it. Raises what the system raises.
    """
    with _held(target, folder=False, mode=_PRIVATE if private else _PLAIN, name=temporary) as held:
        try:
            yield held
            with held.open("r+b") as handle:
                os.fsync(handle.fileno())
            with contextlib.suppress(OSError):  # no file there yet, or a file system without modes
                mode = stat.S_IMODE(target.stat().st_mode)
                held.chmod(mode & (0o700 if private else 0o777))  # programs alone have more
            held.replace(target)
        finally:
            with contextlib.suppress(OSError):
                held.unlink()


@contextmanager
def temporary_folder(target: Path) -> Iterator[Path]:
    """A new folder beside `target`, which the block may rename; else it is removed with all that is
    in it. Raises what the system raises."""
    with _held(target, folder=True, mode=0o777) as held:
        try:
            yield held
        finally:
            shutil.rmtree(held, ignore_errors=True)


@contextmanager
def replacing(
    path: Path,
    *,
    what: str = "",
    step: str = "make room, or choose another place",
    temporary: Path | None = None,
    private: bool = False,
) -> Iterator[Path]:
    """As `renamed_to`, making the folder of `path`, with a StoreError where the disk refuses.

    The error calls the file `what` ("the weights ") and gives the user `step` as the next step.
    private: a folder that is made is closed to others, too.
    """
    try:
        if private:
            make_private_folder(path.parent)
        path.parent.mkdir(parents=True, exist_ok=True)
        with renamed_to(path, temporary=temporary, private=private) as partial:
            yield partial
    except OSError as error:
        raise StoreError(
            f"cannot write {what}{str(path)!r} ({error.strerror or error}): {step}"
        ) from error


def sweep(folder: Path) -> None:
    """Remove what has a temporary name in `folder` and is not held, since its process has ended."""
    if fcntl is None:
        return
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for path in [Path(entry.path) for entry in entries if _TEMPORARY.fullmatch(entry.name)]:
            with contextlib.suppress(OSError), _locked(path):  # held, gone, or of somebody else
                shutil.rmtree(path) if path.is_dir() else path.unlink()


@contextmanager
def _held(target: Path, *, folder: bool, mode: int, name: Path | None = None) -> Iterator[Path]:
    """A file or folder of a temporary name in the folder of `target`, which others do not sweep."""
    if name is not None:
        yield name
        return
    sweep(target.parent)
    with contextlib.ExitStack() as stack:
        while True:
            # In the same folder, so that the rename stays on one disk; short, so that it fits where
            # `target`'s name does.
            path = target.with_name(f".{secrets.token_hex(6)}.partial")
            if folder:
                path.mkdir(mode)
            else:
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
            try:
                if fcntl is not None:
                    stack.enter_context(_locked(path))
            except (BlockingIOError, FileNotFoundError):  # swept before it was held
                continue
            except OSError:  # a disk without locks, where nothing is swept
                pass
            break
        yield path


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """BlockingIOError if another process has the lock, FileNotFoundError if the file went."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.lstat()
        yield
    finally:
        os.close(descriptor)
