"""VIVOS: train|test/waves/SPEAKER/*.wav."""

from __future__ import annotations

from pathlib import Path

from encoder.data.corpora.base import Warn, listed, some_files
from encoder.data.manifest import Utterance

__all__ = ["is_vivos", "read_vivos"]


def is_vivos(parts: tuple[str, ...]) -> bool:
    return len(parts) > 3 and parts[-4] in ("train", "test") and parts[-3] == "waves"


def read_vivos(folder: Path, warn: Warn) -> list[Utterance]:
    found = []
    for path, parts in some_files(folder):
        if not is_vivos(parts):
            continue
        split = "train" if parts[-4] == "train" else "eval"
        session = f"{parts[-2]}/{parts[-1]}"
        found.append(listed(folder, path, parts[-2], "vivos", split, session))
    return found
