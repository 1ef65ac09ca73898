"""Tables of clips: who speaks in each file of a folder.

    path,speaker,similarity,probability,seconds,speech_s,note

CSV (RFC 4180, UTF-8, text quoted) or JSON, whose "clips" have the same columns. Paths are relative
to the folder that was given, with "/" on every system. A clip without a speaker has the reason in
`note`. A clip that stands alone has no similarity.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from encoder.common.names import name_key, path_key
from encoder.common.tables import read_table, read_text
from encoder.errors import FormatError

__all__ = [
    "COLUMNS",
    "ClipRow",
    "format_csv",
    "read_clip_labels",
    "rows_as_json",
    "speaker_groups",
]


@dataclass(frozen=True)
class ClipRow:
    """One clip.

    similarity: cosine to the mean of the speaker's other clips. probability: that it is
    theirs. seconds: how much of the file was read. speech_s: how much speech was in it.
    """

    path: str
    speaker: str | None
    similarity: float | None = None
    probability: float | None = None
    seconds: float = 0.0
    speech_s: float = 0.0
    note: str = ""


COLUMNS = tuple(ClipRow.__dataclass_fields__)
_STEP = "give the path of a table of clips"
_DIGITS = {"similarity": 4, "probability": 4, "seconds": 3, "speech_s": 3}


def format_csv(rows: Iterable[ClipRow]) -> str:
    """The CSV text, with all text quoted."""
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    text.write(",".join(COLUMNS) + "\n")
    for row in rows_as_json(rows):
        writer.writerow(["" if value is None else value for value in row.values()])
    return text.getvalue()


def rows_as_json(rows: Iterable[ClipRow]) -> list[dict[str, Any]]:
    """Plain values, rounded as they are written."""
    return [{name: _rounded(name, value) for name, value in asdict(row).items()} for row in rows]


def read_clip_labels(path: str | os.PathLike[str]) -> dict[str, str]:
    """Speaker by path, from a table (CSV or TSV) or a JSON of clips (.json).

    Only the columns `path` and `speaker` are needed, so a list made by hand will do. Clips without
    a speaker are left out; of several spellings of one path the first stands. FormatError for files
    that cannot be read, lack a column, or give one clip two speakers.
    """
    path = Path(path)
    records: Iterator[tuple[str, Mapping[str, Any]]]
    if path.suffix.lower() == ".json":
        records = _json_records(path)
    else:
        records = read_table(path, ("path", "speaker"), complete=True, step=_STEP)
    labels: dict[tuple[str, ...], tuple[str, str]] = {}
    for where, fields in records:
        clip, speaker = _text(where, fields, "path"), name_key(_text(where, fields, "speaker"))
        before = labels.setdefault(path_key(clip), (clip, speaker))[1] if speaker else speaker
        if before != speaker:
            raise FormatError(
                f"{where} says that {clip!r} is {speaker!r}, but a line before said "
                f"{before!r}: leave one"
            )
    return dict(labels.values())


def _rounded(name: str, value: Any) -> Any:
    return round(value, _DIGITS[name]) if name in _DIGITS and value is not None else value


def _json_records(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        clips = json.loads(_read(path))["clips"]
        checked = [dict(clip) for clip in clips]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise FormatError(
            f"{str(path)!r} is no JSON of clips ({error}): give what `diarize cluster` wrote"
        ) from error
    for clip in checked:
        speaker = clip.get("speaker")
        if isinstance(speaker, int) and not isinstance(speaker, bool):
            clip["speaker"] = "" if speaker == -1 else str(speaker)  # -1 is none
    return ((f"clip {number} of {str(path)!r}", c) for number, c in enumerate(checked, start=1))


def _read(path: Path) -> str:
    return read_text(path, step=_STEP)


def _text(where: str, fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if value is None and name == "speaker" and name in fields:  # null in JSON
        return ""
    if not isinstance(value, str):
        raise FormatError(f"{where} has no {name!r}: every clip needs path and speaker")
    return value


def speaker_groups(rows: Sequence[ClipRow]) -> list[tuple[str, int, float, float | None]]:
    """(speaker, clips, speech_s, mean similarity or None), in order of their names."""
    by_speaker: dict[str, list[ClipRow]] = {}
    for row in rows:
        if row.speaker is not None:
            by_speaker.setdefault(row.speaker, []).append(row)
    groups = []
    for speaker, own in by_speaker.items():
        near = [row.similarity for row in own if row.similarity is not None]
        mean = sum(near) / len(near) if near else None
        groups.append((speaker, len(own), sum(row.speech_s for row in own), mean))
    return groups
