"""Media files below a folder, recognised by their suffix, in one order on every machine.

Nothing is opened: a corpus may hold a million files.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from encoder.errors import CorpusError

__all__ = ["MEDIA_SUFFIXES", "folders_in", "media_below", "media_in"]

_SOUND = "wav flac opus ogg oga mp3 m4a aac wma aif aiff caf sph au amr ac3 wv ape w64 mka"
_FILM = "webm mp4 m4v mov mkv avi mpg mpeg ts 3gp flv wmv"
MEDIA_SUFFIXES = frozenset(f".{suffix}" for suffix in f"{_SOUND} {_FILM}".split())


def media_below(folder: Path, inside: tuple[tuple[int, int], ...] = ()) -> Iterator[Path]:
    """The media files at any depth, sorted by name folder by folder; hidden ones are passed over.

    Links are followed, but not into a folder that they are in. CorpusError for a folder that cannot
    be listed.
    """
    entries = _entries(folder)
    status = folder.stat()
    here = (status.st_dev, status.st_ino)
    if here in inside:
        return
    for entry in entries:
        if _is_folder(entry):
            yield from media_below(folder / entry.name, (*inside, here))
        elif _is_media(entry):
            yield folder / entry.name


def folders_in(folder: Path) -> list[Path]:
    """The folders directly in a folder, sorted; hidden ones are passed over."""
    return [folder / entry.name for entry in _entries(folder) if _is_folder(entry)]


def media_in(folder: Path) -> list[Path]:
    """The media files directly in a folder, sorted."""
    entries = _entries(folder)
    return [folder / entry.name for entry in entries if not _is_folder(entry) and _is_media(entry)]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _is_media(entry: os.DirEntry[str]) -> bool:
    return Path(entry.name).suffix.lower() in MEDIA_SUFFIXES


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            shown = [e for e in entries if not e.name.startswith((".", "__MACOSX"))]
    except FileNotFoundError:
        raise CorpusError(f"the folder {str(folder)!r} does not exist: check the path") from None
    except NotADirectoryError:
        raise CorpusError(
            f"{str(folder)!r} is a file: give the folder that the corpus is in"
        ) from None
    except (OSError, ValueError) as error:  # ValueError: no folder has such a name
        reason = getattr(error, "strerror", None) or error
        raise CorpusError(
            f"the folder {str(folder)!r} cannot be listed ({reason}): check that you may open it"
        ) from error
    return sorted(shown, key=lambda e: e.name)
