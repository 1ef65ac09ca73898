"""VoxForge: USER-DATE-ID/wav/*.wav, a folder for each recording session of a user."""

from __future__ import annotations

import re
from pathlib import Path

from encoder.data.corpora.base import Warn, listed, some_files
from encoder.data.manifest import Utterance

__all__ = ["is_voxforge", "read_voxforge"]

_SUBMISSION = r"(.+)-\d{8}-\w+"
_NOBODY = "anonymous"


def is_voxforge(parts: tuple[str, ...]) -> bool:
    below = len(parts) > 2 and parts[-2] in ("wav", "flac")
    return below and re.fullmatch(_SUBMISSION, parts[-3]) is not None


def read_voxforge(folder: Path, warn: Warn) -> list[Utterance]:
    """What nobody signed is of a speaker of its own."""
    found = []
    unsigned = set()
    for path, parts in some_files(folder):
        named = re.fullmatch(_SUBMISSION, parts[-3]) if is_voxforge(parts) else None
        if named is None:
            continue
        speaker = named[1]
        if speaker.casefold() == _NOBODY:
            speaker = parts[-3]
            unsigned.add(speaker)
        found.append(listed(folder, path, speaker, "voxforge", "", parts[-3]))
    if unsigned:
        warn(
            f"{len(unsigned)} sessions of {str(folder)!r} are anonymous, {min(unsigned)!r} first: "
            "each is taken for a speaker of its own"
        )
    return found
