"""Lists of trials, as VoxCeleb has them or with a header.

Verification: `1 enrollment.wav test.wav` a line, 1 for one speaker and 0 for two, perhaps with a
score; or a table with the columns target (or label), enrollment, test, and perhaps score,
enrollment_speaker, test_speaker. Identification: `1 path`, `2 path`, `3 path`, where 1 enrolls, 2
is left out and 3 tests; or columns role (enroll or test), speaker, path. The spellings enrol and
enrolment are read, too. Where there is no column, a file's speaker is its first folder. Between
tabs all is text, also blanks and a quote.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from encoder.common.names import name_key, path_key
from encoder.common.tables import delimiter_of, read_table, read_text
from encoder.errors import FormatError

__all__ = [
    "IdentificationList",
    "Trials",
    "format_trials",
    "read_identification",
    "read_trials",
]

_TRUTH = {"1": True, "target": True, "true": True, "0": False, "nontarget": False, "false": False}
_ROLES = {
    "1": "enroll",
    "2": "",
    "3": "test",
    "enroll": "enroll",
    "enrol": "enroll",
    "test": "test",
}
_STEP = "give the path of a list of trials"
_OTHER_SPELLINGS = {"enrolment": "enrollment", "enrolment_speaker": "enrollment_speaker"}


@dataclass(frozen=True, eq=False)
class Trials:
    """N verification trials. speakers: of enrollment and test, None where unknown;
    speakers_from: "columns", "folders" or "" accordingly."""

    is_target: NDArray[np.bool_]
    enrollment: list[str]
    test: list[str]
    scores: NDArray[np.float64] | None
    speakers: tuple[list[str], list[str]] | None
    speakers_from: str


@dataclass(frozen=True)
class IdentificationList:
    """Paths with their speakers; `enroll` and `test` are rows of them."""

    paths: list[str]
    speakers: list[str]
    enroll: list[int]
    test: list[int]


def read_trials(path: str | os.PathLike[str]) -> Trials:
    """Verification trials of a file; FormatError names file, line and fault."""
    path = Path(path)
    rows = _rows(path, {"enrollment", "test"}, ("target", "enrollment", "test", "score"), 3)
    truth, scores = [], []
    for where, row in rows:
        label = row.get("target", row.get("label", ""))
        if label.lower() not in _TRUTH:
            raise FormatError(
                f"{where} has the label {label!r}: write 1 for one speaker, 0 for two"
            )
        truth.append(_TRUTH[label.lower()])
        scores.append(_score(where, row.get("score", "")))
    scored = {score is not None for score in scores}
    if len(scored) == 2:
        raise FormatError(f"only some trials of {str(path)!r} have a score: give all or none")
    left, right = ([row[side] for _, row in rows] for side in ("enrollment", "test"))
    is_target = np.array(truth, bool)
    speakers, origin = _speakers(rows, left, right, is_target)
    known = np.array(scores, np.float64) if True in scored else None
    return Trials(is_target, left, right, known, speakers, origin)


def read_identification(path: str | os.PathLike[str]) -> IdentificationList:
    """Which files of a list enroll and which test; FormatError names file, line and fault."""
    path = Path(path)
    rows = _rows(path, {"role", "path"}, ("role", "path"), 2)
    paths: list[str] = []
    speakers: list[str] = []
    rows_of: dict[str, list[int]] = {"enroll": [], "test": [], "": []}
    known: dict[tuple[str, ...], tuple[str, str]] = {}  # speaker and role of a file
    for where, row in rows:
        role = row["role"].lower()
        speaker = name_key(row.get("speaker") or _first_folder(row["path"]))
        if role not in _ROLES or not speaker:
            raise FormatError(
                f"{where} has role {row['role']!r} and speaker {speaker!r}: "
                "write 1 or enroll, 3 or test, and a path whose first folder is the speaker"
            )
        before = known.setdefault(path_key(row["path"]), (speaker, _ROLES[role]))
        if before[0] != speaker or {before[1], _ROLES[role]} == {"enroll", "test"}:
            which = (
                "it both enrolls and is tested"
                if before[0] == speaker
                else f"it is of {before[0]!r} and of {speaker!r}"
            )
            raise FormatError(f"{where} has {row['path']!r} again, and {which}: leave one")
        rows_of[_ROLES[role]].append(len(paths))
        paths.append(row["path"])
        speakers.append(speaker)
    return IdentificationList(paths, speakers, rows_of["enroll"], rows_of["test"])


def format_trials(trials: Trials, scores: Sequence[float]) -> str:
    """Tab-separated trials with their scores, which `read_trials` reads again.

    Trials whose score is not a number are left out. FormatError for a name that would break its
    line.
    """
    columns = [trials.is_target.astype(int).tolist(), trials.enrollment, trials.test]
    names = ["target", "enrollment", "test", "score"]
    columns.append([repr(float(score)) for score in scores])
    if trials.speakers is not None:
        names += ["enrollment_speaker", "test_speaker"]
        columns += trials.speakers
    lines = ["\t".join(names)]
    for row in zip(*columns, strict=True):
        fields = [str(field) for field in row]
        if broken := [field for field in fields if any(mark in field for mark in "\t\n\r")]:
            raise FormatError(
                f"{broken[0]!r} cannot stand in a list of trials: rename it, without tab and line "
                "break"
            )
        if fields[3] != "nan":
            lines.append("\t".join(fields))
    return "\n".join(lines) + "\n"


def _rows(
    path: Path, header: set[str], names: Sequence[str], least: int
) -> list[tuple[str, dict[str, str]]]:
    """(line and file, fields by name) of a table with a header, or of bare columns `names`."""
    text = read_text(path, step=_STEP)
    # Not splitlines, which also breaks at characters that may stand in a name.
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    columns = {*header, *_OTHER_SPELLINGS}
    titled = [name.strip('"') for name in lines[0].split(delimiter_of(lines[0], columns))]
    rows: list[tuple[str, dict[str, str]]] = []
    if header <= {_OTHER_SPELLINGS.get(title, title) for title in titled}:
        rows += read_table(
            path,
            sorted(header),
            quoted=False,
            renamed=_OTHER_SPELLINGS,
            complete=True,
            step=_STEP,
        )
    else:
        for number, content in enumerate(lines, start=1):
            fields = [field.strip() for field in content.split("\t")]
            if not least <= len(fields) <= len(names):
                fields = content.split()
            if not fields:
                continue
            where = f"line {number} of {str(path)!r}"
            if not least <= len(fields) <= len(names):
                raise FormatError(
                    f"{where} is {content[:80]!r}: write {' '.join(names[:least])}, part them by "
                    "tabs where a path has blanks, or begin with a header"
                )
            rows.append((where, dict(zip(names, fields, strict=False))))
    if not rows:
        raise FormatError(f"{str(path)!r} lists no trial: give some")
    return rows


def _score(where: str, text: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise FormatError(f"{where} has the score {text!r}: write a number")
    return value


def _speakers(
    rows: Sequence[tuple[str, Mapping[str, str]]],
    left: Sequence[str],
    right: Sequence[str],
    is_target: NDArray[np.bool_],
) -> tuple[tuple[list[str], list[str]] | None, str]:
    """From the columns, else from the first folders where those agree with every label.

    FormatError for columns that disagree with a label."""
    sides = ("enrollment_speaker", "test_speaker")
    if all(row.get(side) for _, row in rows for side in sides):
        named = tuple([name_key(row[side]) for _, row in rows] for side in sides)
        for (where, _), one, other, same in zip(rows, *named, is_target, strict=True):
            if (one == other) != same:
                raise FormatError(
                    f"{where} has the speakers {one!r} and {other!r} but the "
                    f"label {int(same)}: correct one of them"
                )
        return (named[0], named[1]), "columns"
    a, b = ([_first_folder(path) for path in paths] for paths in (left, right))
    agree = (np.array(a) == np.array(b)) == is_target
    if agree.all() and all(a) and all(b):
        return (a, b), "folders"
    return None, ""


def _first_folder(path: str) -> str:
    """The first folder of a path; empty if there is none."""
    parts = [part for part in path_key(path) if part != "/"]
    return parts[0] if len(parts) > 1 else ""
