"""Clips exported into one folder a speaker, by copies or by links.

The folder is built beside its place under another name and renamed at the end, so a stop leaves
nothing half made.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal

from encoder.errors import StoreError

__all__ = ["NO_SPEAKER", "check_folder", "export_clips"]

NO_SPEAKER = "none"  # the folder of clips without a speaker
LONGEST_NAME = 255  # bytes, on the disks of today
LONGEST_SUFFIX = 16


def check_folder(folder: Path, places: Iterable[Path], outputs: Iterable[Path] = ()) -> None:
    """StoreError unless `folder` is absent or empty, can be made, is in none of `places`, and none
    of `outputs`, files that will be written, would be in it."""
    try:
        target = folder.resolve()
        for output in outputs:
            if target in (found := output.resolve(), *found.parents):
                raise StoreError(
                    f"{str(output)!r} would be in {str(folder)!r}, the folder that clips are "
                    "exported to: write it elsewhere"
                )
        for place in places:
            root = place.resolve()
            if root == target or (root.is_dir() and root in target.parents):
                raise StoreError(
                    f"{str(folder)!r} is inside {str(place)!r}, whose clips are exported: "
                    "choose a folder elsewhere"
                )
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            target.lstat()  # a name may be too long for the disk
        if os.path.lexists(folder) and (not folder.is_dir() or any(folder.iterdir())):
            raise StoreError(f"{str(folder)!r} exists and is not empty: choose another folder")
        above = next(p for p in (target, *target.parents) if p.exists())
    except OSError as error:
        raise StoreError(
            f"cannot export clips to {str(folder)!r} ({error.strerror}): choose another folder"
        ) from error
    if not (above.is_dir() and os.access(above, os.W_OK)):
        raise StoreError(
            f"cannot make {str(folder)!r} below {str(above)!r}: choose a folder you may write to"
        )


def export_clips(
    paths: Sequence[Path],
    speakers: Sequence[str | None],
    folder: Path,
    how: Literal["copy", "link"],
    *,
    on_done: Callable[[int, int], None] | None = None,
    on_warning: Callable[[str], None] | None = None,
) -> None:
    """Put the N files into `folder`/speaker/, clips without one into `folder`/none/.

    Copies keep their time; links are symbolic and hold the whole path. Of files of one name the
    second is called "name (2).wav". Whatever is no file, such as a broken link, is left out, and
    so is a file that cannot be read, which `on_warning` gets. StoreError where the disk or the
    system refuses; nothing is left behind then.
    """
    target = folder.resolve()  # a link to an empty folder stays a link
    partial = target.with_name(f".{secrets.token_hex(6)}.partial")
    above = [place for place in target.parents if not place.exists()]
    taken: set[tuple[str, str]] = set()
    try:
        partial.mkdir(parents=True)
        for done, (path, speaker) in enumerate(zip(paths, speakers, strict=True), start=1):
            if _is_file(path):
                own = partial / (speaker or NO_SPEAKER)
                own.mkdir(exist_ok=True)
                try:
                    _put(path, own / _free_name(path, own.name, taken), how)
                except _UnreadableError as error:
                    if on_warning:
                        on_warning(f"{str(path)!r} was not copied, for it cannot be read ({error})")
            if on_done:
                on_done(done, len(paths))
        with contextlib.suppress(FileNotFoundError):
            target.rmdir()  # was empty when it was checked; OSError if no more
        partial.replace(target)
        above = []
    except (OSError, shutil.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        step, setting = "make room, or choose another folder", ""
        if how == "link":
            step, setting = "choose another folder, or copies where links are forbidden", "copy_to"
        raise StoreError(
            f"cannot export clips to {str(folder)!r} ({reason}): {step}", setting=setting
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        with contextlib.suppress(OSError):
            for place in above:
                place.rmdir()


class _UnreadableError(Exception):
    pass


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # in a folder that does not let look
        return False


def _put(path: Path, to: Path, how: Literal["copy", "link"]) -> None:
    if how == "copy":
        try:
            shutil.copy2(path, to)
        except OSError:
            to.unlink(missing_ok=True)
            _read_through(path)  # whose fault was it?
            raise
    else:
        to.symlink_to(path.absolute())


def _read_through(path: Path) -> None:
    try:
        with path.open("rb") as file:
            while file.read(1 << 20):
                pass
    except OSError as error:
        raise _UnreadableError(error.strerror) from error


def _free_name(path: Path, folder: str, taken: set[tuple[str, str]]) -> str:
    """The file's own name, or with a number; names that differ only in case count as one."""
    stem, suffix = path.stem, path.suffix
    if len(suffix) > LONGEST_SUFFIX:  # no suffix, but a name with a dot in it
        stem, suffix = path.name, ""
    name, number = path.name, 1
    while (folder, name.casefold()) in taken:
        number += 1
        tail = f" ({number}){suffix}"
        while len(os.fsencode(stem + tail)) > LONGEST_NAME:
            stem = stem[:-1]
        name = stem + tail
    taken.add((folder, name.casefold()))
    return name
