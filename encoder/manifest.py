"""Lists of utterances with their speaker, split and take."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path

from encoder.errors import CorpusError, FormatError

__all__ = ["Utterance", "read_manifest", "split_validation"]


@dataclass(frozen=True)
class Utterance:
    """One sound file by one known speaker. Utterances with one `take` were cut from one recording."""

    path: Path
    speaker: str
    dataset: str
    split: str
    take: str
    seconds: float


def read_manifest(path: str | Path) -> list[Utterance]:
    """Read a tab-separated manifest; paths in it are relative to its folder.

    Columns used: dataset, speaker, path, seconds, split, recording.
    """
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8") as handle:
            rows = list(csv.DictReader(handle, delimiter="\t"))
    except OSError as error:
        raise CorpusError(
            f"cannot read the manifest {str(path)!r} ({error.strerror}): give DATA=folder of a corpus"
        ) from error
    try:
        utterances = [
            Utterance(
                path=path.parent / row["path"],
                speaker=row["speaker"],
                dataset=row["dataset"],
                split=row["split"],
                take=row["recording"],
                seconds=float(row["seconds"]),
            )
            for row in rows
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"the manifest {str(path)!r} lacks or breaks a column: {error}") from error
    if not utterances:
        raise CorpusError(f"the manifest {str(path)!r} lists no utterance")
    return utterances


def split_validation(
    utterances: list[Utterance], *, share: float
) -> tuple[list[Utterance], list[Utterance]]:
    """Set aside about `share` of the speakers for validation, by a hash of their name.

    The choice is stable: it does not depend on order, seed or the other speakers.
    """
    def held_back(speaker: str) -> bool:
        digest = hashlib.sha256(speaker.encode()).digest()
        return int.from_bytes(digest[:4], "big") < share * 2**32

    train = [u for u in utterances if not held_back(u.speaker)]
    return train, [u for u in utterances if held_back(u.speaker)]
