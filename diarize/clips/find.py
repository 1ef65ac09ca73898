"""Which media files a folder or a list of paths names, and what each clip is called."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from diarize.core.text import plural
from encoder.audio.media_files import media_below
from encoder.errors import CorpusError

__all__ = ["find_clips"]


def find_clips(
    places: Iterable[Path], *, on_warning: Callable[[str], None] | None = None
) -> dict[str, Path]:
    """Media files at any depth of the folders, and the files given, each once, sorted.

    on_warning: is given a sentence that counts the files that are no media, by ending.
    Keys are what tables call them: the path from the folder that all places are in, with "/".
    CorpusError where a place does not exist, or all of them hold no clip or only one file is given.
    """
    places = list(places)
    found: set[Path] = set()
    roots = []
    others: list[Path] = []
    for place in places:
        try:
            is_folder, exists = place.is_dir(), os.path.lexists(place)
        except (OSError, ValueError) as error:  # a name that no disk can have
            raise CorpusError(
                f"there can be no {str(place)!r} ({error}): check the path"
            ) from error
        if not exists:
            raise CorpusError(f"there is no {str(place)!r}: check the path")
        root = (place if is_folder else place.parent).resolve()
        if is_folder:
            clips = media_below(place, on_other=others.append)
            found.update(root / path.relative_to(place) for path in clips)
        else:
            found.add(root / place.name)
        roots.append(root)
    if not found:
        raise CorpusError(
            f"there is no sound or film in {', '.join(repr(str(p)) for p in places)}: "
            "give the folder that the clips are in"
        )
    if len(places) == 1 and not is_folder:
        raise CorpusError(f"{str(places[0])!r} is one file: give a folder of clips or several")
    if others and on_warning:
        endings = Counter(path.suffix.lower() or "without ending" for path in others)
        counted = ", ".join(f"{count} {ending}" for ending, count in endings.most_common())
        on_warning(f"{plural(len(others), 'file')} passed over that are no media: {counted}")
    common = _common(roots)
    return {_name(path, common): path for path in sorted(found, key=lambda path: path.parts)}


def _common(folders: Sequence[Path]) -> Path | None:
    try:
        return Path(os.path.commonpath(folders))
    except ValueError:  # on two drives
        return None


def _name(path: Path, common: Path | None) -> str:
    return (path.relative_to(common) if common else path).as_posix()
