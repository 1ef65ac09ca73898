"""VoxCeleb 1 and 2: [dev|test/].../idNNNNN/VIDEO/NNNNN.wav.

The first release of VoxCeleb1 has names in place of numbers: Name/VIDEO/NNNNN.wav, or
Name/VIDEO_NNNNNNN.wav. Its 40 test speakers are those whose names begin with E.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from encoder.data.corpora.base import Warn, listed, some_files
from encoder.data.manifest import Utterance

__all__ = ["is_voxceleb", "read_voxceleb"]

_PART = r"(?:vox\d_)?(dev|test)(?:_wav|_aac|_mp4)?"
_NUMBERED = r"id\d{5}"
_NAMED = r"[^\W\d_][^\d]*"
# A video of YouTube: nearly all have letters of both cases or digits, as few other folders have.
_VIDEO = r"(?=[\w-]*[A-Z])(?=[\w-]*[a-z0-9])[\w-]{11}"
_VOXCELEB1_TEST = range(10_270, 10_310)


class _Place(NamedTuple):
    above: tuple[str, ...]
    speaker: str
    video: str


def is_voxceleb(parts: tuple[str, ...]) -> bool:
    return _place(parts) is not None


def read_voxceleb(folder: Path, warn: Warn) -> list[Utterance]:
    found = []
    for path, parts in some_files(folder):
        place = _place(parts)
        if place is None:
            continue
        above, speaker, video = place
        stated = [m[1] for p in above if (m := re.fullmatch(_PART, p))]
        split = ("train" if stated[-1] == "dev" else "eval") if stated else ""
        if _is_test_speaker(speaker):
            split = "eval"
        found.append(listed(folder, path, speaker, "voxceleb", split, f"{speaker}/{video}"))
    return found


def _place(parts: tuple[str, ...]) -> _Place | None:
    if len(parts) > 2 and re.fullmatch(_NUMBERED, parts[-3]):
        return _Place(parts[:-3], parts[-3], parts[-2])
    if len(parts) > 2 and re.fullmatch(_NAMED, parts[-3]) and re.fullmatch(_VIDEO, parts[-2]):
        return _Place(parts[:-3], parts[-3], parts[-2]) if re.fullmatch(r"\d+", parts[-1]) else None
    video = re.fullmatch(rf"({_VIDEO})_\d{{7}}", parts[-1])
    if video and len(parts) > 1 and re.fullmatch(_NAMED, parts[-2]):
        return _Place(parts[:-2], parts[-2], video[1])
    return None


def _is_test_speaker(speaker: str) -> bool:
    if re.fullmatch(_NUMBERED, speaker):
        return int(speaker[2:]) in _VOXCELEB1_TEST
    return speaker.startswith("E")
