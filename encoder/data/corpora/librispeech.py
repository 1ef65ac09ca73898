"""LibriSpeech: SUBSET/SPEAKER/CHAPTER/SPEAKER-CHAPTER-NUMBER.flac."""

from __future__ import annotations

import re
from pathlib import Path

from encoder.data.corpora.base import Warn, listed, some_files
from encoder.data.manifest import Utterance

__all__ = ["is_librispeech", "read_librispeech"]

_SUBSET = r"(train|dev|test)-(?:clean|other)(?:-\d+)?"


def is_librispeech(parts: tuple[str, ...]) -> bool:
    named = re.fullmatch(r"(\d+)-(\d+)-\d+", parts[-1])
    return named is not None and named.groups() == parts[-3:-1]


def read_librispeech(folder: Path, warn: Warn) -> list[Utterance]:
    found = []
    for path, parts in some_files(folder):
        if not is_librispeech(parts):
            continue
        *above, speaker, chapter, _ = parts
        stated = [m[1] for p in above if (m := re.fullmatch(_SUBSET, p))]
        split = ("train" if stated[-1] == "train" else "eval") if stated else ""
        session = f"{speaker}/{chapter}"
        found.append(listed(folder, path, speaker, "librispeech", split, session))
    return found
