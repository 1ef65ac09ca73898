"""CN-Celeb 1 and 2: data/idNNNNN/GENRE-NN-NNN.flac, and eval/enroll and eval/test beside it.

The files of eval/ are cut from those of data/, which a speaker is read from where both are there.
"""

from __future__ import annotations

import re
from pathlib import Path

from encoder.data.corpora.base import Warn, listed, some_files
from encoder.data.manifest import Utterance

__all__ = ["is_cn_celeb", "read_cn_celeb"]

_EVAL = range(800, 1000)  # speakers of CN-Celeb1's evaluation; those of CN-Celeb2 begin at 10,000


def is_cn_celeb(parts: tuple[str, ...]) -> bool:
    return _speaker_and_session(parts) is not None


def read_cn_celeb(folder: Path, warn: Warn) -> list[Utterance]:
    whole: list[Utterance] = []
    cut: list[Utterance] = []
    for path, parts in some_files(folder):
        named = _speaker_and_session(parts)
        if named is None:
            continue
        speaker, session = named
        split = "eval" if int(speaker[2:]) in _EVAL else "train"
        one = listed(folder, path, speaker, "cn_celeb", split, f"{speaker}/{session}")
        (whole if parts[-2] == speaker else cut).append(one)
    there = {u.speaker for u in whole}
    return whole + [u for u in cut if u.speaker not in there]


def _speaker_and_session(parts: tuple[str, ...]) -> tuple[str, str] | None:
    if len(parts) < 2:
        return None
    spoken = re.fullmatch(r"([a-z_]+-\d+)-\d+", parts[-1])
    if spoken and re.fullmatch(r"id\d{5}", parts[-2]):
        return parts[-2], spoken[1]
    if parts[-3:-1] in (("eval", "enroll"), ("eval", "test")):
        cut = re.fullmatch(r"(id\d{5})-(enroll|[a-z_]+-\d+)(?:-\d+)?", parts[-1])
        return (cut[1], cut[2]) if cut else None
    return None
