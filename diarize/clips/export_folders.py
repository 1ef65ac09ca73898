"""Clips exported into one folder a speaker, by copies or by links.

The folder is built beside its place under another name and renamed at the end, so a stop leaves
nothing half made.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import BinaryIO, Literal

from encoder.audio.media_files import MEDIA_SUFFIXES
from encoder.common.atomic_files import temporary_folder
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
    places: Iterable[Path] | None = None,
    on_done: Callable[[int, int], None] | None = None,
    on_warning: Callable[[str], None] | None = None,
) -> None:
    """Put the N files into `folder`/speaker/, clips without one into `folder`/none/.

    Copies keep their time and nothing else of the file, such as a mode or an owner; links are
    symbolic and hold the whole path. Of files of one name the second is called "name (2).wav".
    Whatever is no file, such as a broken link, is left out. So are, and `on_warning` gets it, what
    cannot be read, and what a link would bring in from elsewhere: one that is not to a media file,
    or leaves the folders of `places` (by default its own). StoreError where the disk or the system
    refuses; nothing is left behind then.
    """
    target = folder.resolve()  # a link to an empty folder stays a link
    above = [place for place in target.parents if not place.exists()]
    roots = None if places is None else [_folder_of(place) for place in places]
    taken: set[tuple[str, str]] = set()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with temporary_folder(target) as partial:
            for done, (path, speaker) in enumerate(zip(paths, speakers, strict=True), start=1):
                if _is_file(path):
                    own = partial / (speaker or NO_SPEAKER)
                    own.mkdir(exist_ok=True)
                    to = own / _free_name(path, own.name, taken)
                    try:
                        if how == "link":
                            to.symlink_to(path.absolute())
                        else:
                            _copy(_within(path, roots or [_folder_of(path)]), to)
                    except _LeftOutError as error:
                        to.unlink(missing_ok=True)
                        if on_warning:
                            on_warning(f"{str(path)!r} was not copied, for it {error}")
                if on_done:
                    on_done(done, len(paths))
            with contextlib.suppress(FileNotFoundError):
                target.rmdir()  # was empty when it was checked; OSError if no more
            partial.replace(target)
            above = []
    except OSError as error:
        reason = getattr(error, "strerror", None) or str(error)
        step, setting = "make room, or choose another folder", ""
        if how == "link":
            step, setting = "choose another folder, or copies where links are forbidden", "copy_to"
        raise StoreError(
            f"cannot export clips to {str(folder)!r} ({reason}): {step}", setting=setting
        ) from error
    finally:
        with contextlib.suppress(OSError):
            for place in above:
                place.rmdir()


class _LeftOutError(Exception):
    """Of one file; says what is wrong with it."""


def _folder_of(place: Path) -> Path:
    return (place if place.is_dir() else place.parent).resolve()


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # in a folder that does not let look
        return False


def _within(path: Path, roots: Sequence[Path]) -> Path:
    """Where the file really is; _LeftOutError where a link makes another one of it."""
    real = Path(os.path.realpath(path))
    if not any(root in real.parents for root in roots):
        raise _LeftOutError(f"is a link to {str(real)!r}, outside of the folders that were given")
    if real != path.absolute() and real.suffix.lower() not in MEDIA_SUFFIXES:
        raise _LeftOutError(f"is a link to {str(real)!r}, which is no sound or film")
    return real


def _copy(path: Path, to: Path) -> None:
    """Content and time. _LeftOutError if the file cannot be read; OSError if not written."""
    with _opened(path) as source, open(to, "xb", opener=_plain) as copy:
        while block := _read(source):
            copy.write(block)
        status = os.fstat(source.fileno())
    os.utime(to, ns=(status.st_atime_ns, status.st_mtime_ns))


def _opened(path: Path) -> BinaryIO:
    """Of that very name: what was a file may be a link or a pipe by now."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        file = os.fdopen(os.open(path, flags | getattr(os, "O_BINARY", 0)), "rb")
    except OSError as error:
        raise _LeftOutError(f"cannot be read ({error.strerror})") from error
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise _LeftOutError("is no file any more")
    return file


def _read(file: BinaryIO) -> bytes:
    try:
        return file.read(1 << 20)
    except OSError as error:
        raise _LeftOutError(f"cannot be read ({error.strerror})") from error


def _plain(name: str, flags: int) -> int:
    return os.open(name, flags, 0o644)


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
