"""Files that appear complete or not at all: written under another name, flushed, renamed.

A reader, a crash or a full disk never meets half a file.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from encoder.errors import StoreError

__all__ = ["renamed_to", "replacing"]


@contextmanager
def renamed_to(target: Path, *, temporary: Path | None = None) -> Iterator[Path]:
    """Gives a temporary name in the folder of `target`, to write a file of that name.

    When the block ends without an error, the file is flushed, gets the mode of the file that it
    replaces, and becomes `target`; else it is removed and `target` stays as it was. temporary: that
    name where one is wanted that does not change, so that a kill leaves no more than one behind.
    Raises what the system raises.
    """
    # In the same folder, so that the rename stays on one disk; short, so that it fits where
    # `target`'s name does.
    temporary = temporary or target.with_name(f".{secrets.token_hex(6)}.partial")
    try:
        yield temporary
        with temporary.open("r+b") as handle:
            os.fsync(handle.fileno())
        with contextlib.suppress(OSError):  # no file there yet, or a file system without modes
            temporary.chmod(stat.S_IMODE(target.stat().st_mode))
        temporary.replace(target)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


@contextmanager
def replacing(
    path: Path,
    *,
    what: str = "",
    step: str = "make room, or choose another place",
    temporary: Path | None = None,
) -> Iterator[Path]:
    """As `renamed_to`, making the folder of `path`, with a StoreError where the disk refuses.

    The error calls the file `what` ("the weights ") and gives the user `step` as the next step.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with renamed_to(path, temporary=temporary) as partial:
            yield partial
    except OSError as error:
        raise StoreError(
            f"cannot write {what}{str(path)!r} ({error.strerror or error}): {step}"
        ) from error
