"""Clips sorted into one folder a speaker, by copies or by links.

The folder is built beside its place under another name and renamed at the end, so a stop leaves
nothing half made.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal

from encoder.errors import StoreError

__all__ = ["NO_SPEAKER", "check_folder", "sort_clips"]

NO_SPEAKER = "none"  # the folder of clips without a voice


def check_folder(folder: Path, places: Iterable[Path]) -> None:
    """StoreError unless `folder` is absent or empty, can be made, and is in none of `places`."""
    try:
        target = folder.resolve()
        for place in places:
            root = place.resolve()
            if root == target or (root.is_dir() and root in target.parents):
                raise StoreError(
                    f"{str(folder)!r} is inside {str(place)!r}, whose clips are sorted: "
                    "choose a folder elsewhere"
                )
        if os.path.lexists(folder) and (not folder.is_dir() or any(folder.iterdir())):
            raise StoreError(f"{str(folder)!r} exists and is not empty: choose another folder")
        above = next(p for p in (target, *target.parents) if p.exists())
    except OSError as error:
        raise StoreError(
            f"cannot sort clips into {str(folder)!r} ({error.strerror}): choose another folder"
        ) from error
    if not (above.is_dir() and os.access(above, os.W_OK)):
        raise StoreError(
            f"cannot make {str(folder)!r} below {str(above)!r}: choose a folder you may write to"
        )


def sort_clips(
    paths: Sequence[Path],
    speakers: Sequence[str | None],
    folder: Path,
    how: Literal["copy", "link"],
    *,
    on_done: Callable[[int, int], None] | None = None,
) -> None:
    """Put the N files into `folder`/speaker/, clips without one into `folder`/none/.

    Copies keep their time; links are symbolic and hold the whole path. Of files of one name the
    second is called "name (2).wav". Whatever is no file, such as a broken link, is left out.
    StoreError where the disk or the system refuses; nothing is left behind then.
    """
    target = folder.resolve()  # a link to an empty folder stays a link
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    taken: set[tuple[str, str]] = set()
    try:
        partial.mkdir(parents=True)
        for done, (path, speaker) in enumerate(zip(paths, speakers, strict=True), start=1):
            if _is_file(path):
                own = partial / (speaker or NO_SPEAKER)
                own.mkdir(exist_ok=True)
                _put(path, own / _free_name(path, own.name, taken), how)
            if on_done:
                on_done(done, len(paths))
        with contextlib.suppress(FileNotFoundError):
            target.rmdir()  # was empty when it was checked; OSError if no more
        partial.replace(target)
    except (OSError, shutil.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        step = "make room, or choose another folder"
        if how == "link":
            step = "use --copy-to where links are not allowed, or choose another folder"
        raise StoreError(f"cannot sort clips into {str(folder)!r} ({reason}): {step}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # in a folder that does not let look
        return False


def _put(path: Path, to: Path, how: Literal["copy", "link"]) -> None:
    if how == "copy":
        shutil.copy2(path, to)
    else:
        to.symlink_to(path.absolute())


def _free_name(path: Path, folder: str, taken: set[tuple[str, str]]) -> str:
    """The file's own name, or with a number; names that differ only in case count as one."""
    name, number = path.name, 1
    while (folder, name.casefold()) in taken:
        number += 1
        name = f"{path.stem} ({number}){path.suffix}"
    taken.add((folder, name.casefold()))
    return name
