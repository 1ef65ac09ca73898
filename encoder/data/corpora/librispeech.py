"""LibriSpeech and its kin: SUBSET/SPEAKER/CHAPTER/SPEAKER-CHAPTER-NUMBER.flac.

LibriTTS has `_` in file names; Multilingual LibriSpeech has SUBSET/audio/SPEAKER/BOOK/.
"""

from __future__ import annotations

import re
from pathlib import Path

from encoder.data.corpora.base import Warn, listed, some_files
from encoder.data.manifest import Utterance

__all__ = ["is_librispeech", "read_librispeech"]

_SUBSET = r"(train|dev|test)-(?:clean|other)(?:-\d+)?"
_MULTILINGUAL = r"train|dev|test"
_FILE = r"(\d+)([-_])(\d+)\2\d+(?:_\d+)?"


def is_librispeech(parts: tuple[str, ...]) -> bool:
    named = re.fullmatch(_FILE, parts[-1])
    return named is not None and (named[1], named[3]) == parts[-3:-1]


def read_librispeech(folder: Path, warn: Warn) -> list[Utterance]:
    found = []
    for path, parts in some_files(folder):
        if not is_librispeech(parts):
            continue
        *above, speaker, chapter, _ = parts
        stated = [m[1] for p in above if (m := re.fullmatch(_SUBSET, p))]
        if above[-1] == "audio" and re.fullmatch(_MULTILINGUAL, above[-2] if above[1:] else ""):
            stated = [above[-2]]
        split = ("train" if stated[-1] == "train" else "eval") if stated else ""
        session = f"{speaker}/{chapter}"
        found.append(listed(folder, path, speaker, "librispeech", split, session))
    return found
