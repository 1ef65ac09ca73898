"""What the readers of all corpora share."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeAlias

from encoder.audio.media_files import media_below
from encoder.common.names import name_key
from encoder.data.manifest import Utterance

__all__ = [
    "LOOK_AT",
    "Layout",
    "Warn",
    "listed",
    "mostly",
    "some_files",
]

Warn: TypeAlias = Callable[[str], None]
LOOK_AT = 20  # media files, to tell a layout


class Layout(NamedTuple):
    """How a layout is recognised and read; the reader leaves `split` empty where nothing is
    stated."""

    fits: Callable[[Path], bool]
    read: Callable[[Path, Warn], list[Utterance]]


def listed(
    folder: Path, path: Path, speaker: str, dataset: str, split: str, session: str
) -> Utterance:
    name = path.relative_to(folder).as_posix()
    return Utterance(path, name_key(speaker), dataset, split, f"{dataset}/{session}", 0.0, name)


def some_files(folder: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Each media file, and the names from the corpus's own folder down to the file's stem."""
    root = folder.resolve().name
    for path in media_below(folder):
        yield path, (root, *path.relative_to(folder).parts[:-1], path.stem)


def mostly(folder: Path, matches: Callable[[tuple[str, ...]], bool]) -> bool:
    """Whether more than half of the first media files match."""
    first = [matches(parts) for _, parts in itertools.islice(some_files(folder), LOOK_AT)]
    return sum(first) > len(first) / 2
