"""The development conversations with their references; imported by recipes only."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from diarize.core.turns import Turn
from diarize.formats.rttm import read_rttm
from diarize.formats.uem import read_uem
from diarize.scoring.report import RecordingScore, score_recording
from encoder.common.names import existing_path, name_key
from encoder.common.tables import read_table
from encoder.errors import CorpusError


class Conversation(NamedTuple):
    """A recording, who speaks when, and the stretches that are scored (None: all of it)."""

    name: str
    path: Path
    reference: list[Turn]
    uem: list[tuple[float, float]] | None
    trusted: bool

    def score(self, turns: Iterable[Turn], duration_s: float) -> RecordingScore:
        """Within the UEM, or over all `duration_s` seconds where there is none."""
        scored = [(0.0, duration_s)] if self.uem is None else self.uem
        return score_recording(self.name, self.reference, turns, uem=scored)


def read_conversations(folder: Path) -> list[Conversation]:
    """All of `folder/manifest.tsv`; CorpusError for a reference of another recording,
    FormatError for a broken table."""
    rows = read_table(folder / "manifest.tsv", ("recording", "file", "trust"), what="the manifest ")
    return [_conversation(folder, row.fields) for row in rows]


def conversations_in(data: Path) -> list[Conversation] | None:
    """Those of the corpus; None, with a sentence on standard output, if it has no such folder."""
    folder = data / "conversations"
    if (folder / "manifest.tsv").exists():
        return read_conversations(folder)
    print(f"skipped: there are no conversations in {str(data)!r}; give DATA=folder")
    return None


def _conversation(folder: Path, row: dict[str, str]) -> Conversation:
    name = name_key(row["recording"])
    uem = existing_path(folder, f"{name}.uem")
    return Conversation(
        name,
        existing_path(folder, row["file"]),
        _entries(read_rttm, existing_path(folder, f"{name}.rttm"), name),
        _entries(read_uem, uem, name) if uem.exists() else None,
        row["trust"] == "high",
    )


def _entries(read: Callable[[Path], dict[str, list]], path: Path, name: str) -> list:
    """What the file says of this recording; nothing only if it says nothing at all."""
    found = read(path)
    if found and name not in found:
        raise CorpusError(f"{str(path)!r} speaks of {min(found)!r}, not of {name!r}: correct it")
    return found.get(name, [])
