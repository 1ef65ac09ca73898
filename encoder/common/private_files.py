"""Files and folders for their owner's eyes alone: what is made of voices tells who somebody is.

Modes are those of POSIX; elsewhere a folder's own rules hold and nothing is done here.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

__all__ = ["create_private", "make_private_folder", "restrict"]

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def create_private(path: Path) -> None:
    """Make an empty file that only its owner can read, unless there is one. OSError."""
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))


def make_private_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing, for their owner alone. OSError."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    for place in reversed(missing):
        place.mkdir(mode=0o700, exist_ok=True)


def restrict(path: Path) -> bool:
    """Take away what others may do with a file or folder of this user; whether there was anything.

    What belongs to somebody else, or lies where modes cannot be changed, stays as it is.
    """
    if os.name != "posix":
        return False
    try:
        status = path.stat()
        if status.st_uid != os.geteuid() or not status.st_mode & _OTHERS:
            return False
        path.chmod(stat.S_IMODE(status.st_mode) & ~_OTHERS)
        return not path.stat().st_mode & _OTHERS  # some disks take any mode and keep their own
    except OSError:
        return False
