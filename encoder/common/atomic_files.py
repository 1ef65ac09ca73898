"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from encoder.errors import StoreError

__all__ = ["replacing"]


@contextmanager
def replacing(
    path: Path, *, what: str = "", step: str = "make room, or choose another place"
) -> Iterator[Path]:
    """Write to the temporary name that this gives; it becomes `path` when the block ends well.

    Else nothing is left behind and an older `path` stays. StoreError if the disk refuses; it calls
    the file `what` ("the weights ") and tells the user to do `step`.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        partial.replace(path)
    except OSError as error:
        raise StoreError(
            f"cannot write {what}{str(path)!r} ({error.strerror or error}): {step}"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()
