"""VoxCeleb 1 and 2: [dev|test/].../idNNNNN/VIDEO/NNNNN.wav."""

from __future__ import annotations

import re
from pathlib import Path

from encoder.data.corpora.base import Warn, listed, some_files
from encoder.data.manifest import Utterance

__all__ = ["is_voxceleb", "read_voxceleb"]

_PART = r"(?:vox\d_)?(dev|test)(?:_wav|_aac|_mp4)?"
_VOXCELEB1_TEST = range(10_270, 10_310)


def is_voxceleb(parts: tuple[str, ...]) -> bool:
    return len(parts) > 2 and re.fullmatch(r"id\d{5}", parts[-3]) is not None


def read_voxceleb(folder: Path, warn: Warn) -> list[Utterance]:
    found = []
    for path, parts in some_files(folder):
        if not is_voxceleb(parts):
            continue
        *above, speaker, video, _ = parts
        stated = [m[1] for p in above if (m := re.fullmatch(_PART, p))]
        split = ("train" if stated[-1] == "dev" else "eval") if stated else ""
        if int(speaker[2:]) in _VOXCELEB1_TEST:
            split = "eval"
        found.append(listed(folder, path, speaker, "voxceleb", split, f"{speaker}/{video}"))
    return found
