"""Sounds other than speech: noise, music and measured room impulse responses.

A folder has either `acoustics.tsv` (columns kind, set, path, seconds) or the plain folders
`noise/`, `music/` and `rir/`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from encoder.audio.media_files import folders_in, media_below
from encoder.common.names import existing_path
from encoder.common.tables import number_in, read_table
from encoder.data.manifest import Utterance
from encoder.errors import CorpusError

__all__ = ["read_acoustics"]

_KINDS = ("noise", "music", "rir")
_COLUMNS = ("kind", "set", "path", "seconds")


def read_acoustics(
    folder: str | Path, *, kinds: Sequence[str] = ("noise", "music")
) -> list[Utterance]:
    """The sounds of these kinds; none if the folder has neither the table nor the folders.

    `speaker` is the kind, `dataset` the set and `split` always "noise"; `seconds` is 0 for plain
    folders. CorpusError if the folder is not there, FormatError for a broken table.
    """
    folder = Path(folder)
    folders = {path.name: path for path in folders_in(folder)}
    table = folder / "acoustics.tsv"
    if table.is_file():
        return [u for u in _read_table(table) if u.speaker in kinds]
    found = []
    for kind in (k for k in _KINDS if k in kinds and k in folders):
        for path in media_below(folders[kind]):
            name = path.relative_to(folder).as_posix()
            sets = path.relative_to(folders[kind]).parts[:-1]
            found.append(Utterance(path, kind, sets[0] if sets else kind, "noise", name, 0.0, name))
    return found


def _read_table(table: Path) -> list[Utterance]:
    found = []
    rows = read_table(
        table, _COLUMNS, what="the table ", step="check that you may", unreadable=CorpusError
    )
    for row in rows:
        kind, dataset, path, _ = (row.fields[name] for name in _COLUMNS)
        seconds = number_in(row, "seconds")
        file = existing_path(table.parent, path)
        found.append(Utterance(file, kind, dataset, "noise", path, seconds, path))
    return found
