"""When two names, or two paths, are one: of tables, folders and results that meet.

A name has several spellings: "é" is one character or two, and macOS writes file names with two
where most tables have one. A path has more: `./a.wav`, `x//a.wav`, `x\\a.wav`. Whatever comes from
two sources is compared by these keys, and a file that a table spells otherwise than the disk is
found.
"""

from __future__ import annotations

import functools
import os
import unicodedata
from pathlib import Path

__all__ = ["existing_path", "name_key", "path_key"]


def name_key(name: str) -> str:
    """The name in its composed spelling (Unicode NFC): equal for names that read the same."""
    return unicodedata.normalize("NFC", name)


def path_key(path: str) -> tuple[str, ...]:
    """The parts of a path, each as in `name_key`: equal for paths that lead to one place.

    "/" and "\\" part, "." and empty parts are nothing, ".." takes back the part before it. A path
    from the root begins with the part "/".
    """
    slashed = name_key(path).replace("\\", "/")
    parts: list[str] = ["/"] if slashed.startswith("/") else []
    for part in slashed.split("/"):
        if part == ".." and parts and parts[-1] not in ("..", "/"):
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return tuple(parts)


def existing_path(folder: Path, path: str) -> Path:
    """The file that a table in `folder` calls `path`: as written, else by another spelling.

    A path without another spelling costs no look at the disk. Where nothing is found, or two files
    would fit, it is as written.
    """
    written = folder / path
    if (path.isascii() and "\\" not in path) or os.path.lexists(written):
        return written
    place = folder
    for part in path_key(path):
        if not os.path.lexists(place / part):
            entry = _entries(str(place), _changed(place)).get(part)
            if entry is None:
                return written
            part = entry
        place = place / part
    return place


def _changed(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except (OSError, ValueError):
        return 0


@functools.lru_cache(maxsize=64)
def _entries(folder: str, changed_ns: int) -> dict[str, str | None]:
    """What is in a folder by `name_key`; None where two names have one key.

    Names on a disk are UTF-8 whatever the locale of this process takes them for.
    """
    found: dict[str, str | None] = {}
    try:
        names = os.listdir(folder)  # noqa: PTH208 - names alone
    except (OSError, ValueError):
        return found
    for name in names:
        key = name_key(os.fsencode(name).decode("utf-8", "surrogateescape"))
        found[key] = None if key in found else name
    return found
