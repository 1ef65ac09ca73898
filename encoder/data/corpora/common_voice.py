"""Common Voice: clips/ beside train.tsv, dev.tsv, test.tsv, validated.tsv; folders of those."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from encoder.audio.media_files import folders_in, media_below
from encoder.common.names import name_key
from encoder.common.tables import read_table
from encoder.data.corpora.base import Warn, listed
from encoder.data.manifest import Utterance
from encoder.errors import CorpusError, FormatError

__all__ = ["languages", "read_common_voice"]

_TABLES = {"dev.tsv": "eval", "test.tsv": "eval", "train.tsv": "train", "validated.tsv": ""}


def languages(folder: Path) -> list[Path]:
    """The folder itself, or those in it, that have clips/ and a table."""
    return [
        place
        for place in (folder, *folders_in(folder))
        if (place / "clips").is_dir() and any((place / table).is_file() for table in _TABLES)
    ]


def read_common_voice(folder: Path, warn: Warn) -> list[Utterance]:
    found = []
    for place in languages(folder):
        clips = {name_key(path.name): path for path in media_below(place / "clips")}
        seen: set[str] = set()
        absent: list[str] = []
        for table, split in _TABLES.items():  # `validated` repeats the others, so it comes last
            for speaker, clip in _rows(place / table):
                if clip in seen:
                    continue
                seen.add(clip)
                path = clips.get(clip) or clips.get(f"{clip}.mp3")  # early releases
                if path is None:
                    absent.append(clip)
                    continue
                name = path.relative_to(folder).as_posix()
                found.append(listed(folder, path, speaker, "common_voice", split, name))
        if absent:
            warn(
                f"{len(absent)} of {len(seen)} clips listed in the tables of {str(place)!r} are "
                f"not in its clips folder, {absent[0]!r} first: left out"
            )
    return found


def _rows(table: Path) -> Iterator[tuple[str, str]]:
    """(client_id, path) of each row; nothing for a table that is not there."""
    if not table.is_file():
        return
    step = "unpack the corpus again"
    # Sentences hold single quotes, which enclose nothing.
    for where, fields in read_table(
        table,
        ("client_id", "path"),
        quoted=False,
        what="the table ",
        step=step,
        unreadable=CorpusError,
    ):
        if not fields["client_id"] or not fields["path"]:
            raise FormatError(f"{where} has no client_id or no path: {step}")
        yield fields["client_id"], name_key(fields["path"])
