"""Lists of utterances with their speaker, split and take."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from encoder.errors import CorpusError, FormatError

__all__ = ["Utterance", "read_manifest"]

_COLUMNS = ("path", "speaker", "dataset", "split", "recording", "seconds")


@dataclass(frozen=True)
class Utterance:
    """One sound file by one known speaker. Those with one `take` were cut from one recording.

    seconds: how long it lasts; 0 where nobody has said. name: what it is called in tables, unique
    in its corpus.
    """

    path: Path
    speaker: str
    dataset: str
    split: str
    take: str
    seconds: float
    name: str = ""


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
            f"cannot read the manifest {str(path)!r} ({error.strerror}): "
            "give the folder of a corpus that has one"
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise FormatError(f"the manifest {str(path)!r} is not UTF-8 text: {error}") from error
    if not rows:
        raise CorpusError(f"the manifest {str(path)!r} lists no utterance: add some")
    return [_utterance(path, line, row) for line, row in enumerate(rows, start=2)]


def _utterance(manifest: Path, line: int, row: dict[str, str | None]) -> Utterance:
    at = f"line {line} of the manifest {str(manifest)!r}"
    absent = [name for name in _COLUMNS if row.get(name) is None]
    if absent:
        raise FormatError(f"{at} lacks the column {absent[0]!r}: it needs {', '.join(_COLUMNS)}")
    path, speaker, dataset, split, take, seconds = (str(row[name]) for name in _COLUMNS)
    try:
        return Utterance(
            manifest.parent / path, speaker, dataset, split, take, float(seconds), name=path
        )
    except ValueError as error:
        raise FormatError(f"{at} has {seconds!r} for seconds: give a number") from error
