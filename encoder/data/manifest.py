"""Lists of utterances with their speaker, split and session."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from encoder.common.names import existing_path, name_key
from encoder.common.tables import TableRow, number_in, read_table
from encoder.errors import CorpusError, FormatError

__all__ = ["Utterance", "read_manifest"]

_COLUMNS = ("path", "speaker", "dataset", "split", "seconds")


@dataclass(frozen=True)
class Utterance:
    """One sound file by one known speaker. Those with one `session` were cut from one recording.

    seconds: how long it lasts; 0 where it is not known. name: what it is called in tables, unique
    in its corpus.
    """

    path: Path
    speaker: str
    dataset: str
    split: str
    session: str
    seconds: float
    name: str = ""


def read_manifest(path: str | Path) -> list[Utterance]:
    """Read a tab-separated manifest; paths in it are relative to its folder.

    Columns used: dataset, speaker, path, seconds, split, and session or, where there is none,
    recording. CorpusError if it cannot be read or lists nothing, FormatError if it is broken.
    """
    path = Path(path)
    rows = read_table(
        path,
        _COLUMNS,
        what="the manifest ",
        step="give the folder of a corpus that has one",
        unreadable=CorpusError,
    )
    utterances = [_utterance(path.parent, row) for row in rows]
    if not utterances:
        raise CorpusError(f"the manifest {str(path)!r} lists no utterance: add some")
    return utterances


def _utterance(folder: Path, row: TableRow) -> Utterance:
    path, speaker, dataset, split, _ = (row.fields[name] for name in _COLUMNS)
    session = row.fields.get("session", row.fields.get("recording"))
    if session is None:
        raise FormatError(f"{row.where} lacks the column 'session': name what it was cut from")
    seconds = number_in(row, "seconds")
    found = existing_path(folder, path)
    return Utterance(found, name_key(speaker), dataset, split, session, seconds, name=path)
