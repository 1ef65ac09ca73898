"""Scoring files and folders: pair recordings by name, score each, say what did not fit."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from diarize.core.text import and_more, plural
from diarize.formats.rttm import read_rttm
from diarize.formats.text_lines import printable_token
from diarize.formats.uem import read_uem
from diarize.scoring.protocols import FULL
from diarize.scoring.report import ScoreReport, score_recording
from encoder.errors import CorpusError

__all__ = ["score_files"]

EntryT = TypeVar("EntryT")
AnyPath = str | os.PathLike[str]


def score_files(
    reference: AnyPath, hypothesis: AnyPath, *, uem: AnyPath | None = None, common: bool = False
) -> ScoreReport:
    """Score RTTM files against RTTM files.

    A folder stands for all its *.rttm (for `uem`, *.uem), also in folders inside. Recordings pair
    by the name inside the files, or by the name that an RTTM file writes for it ("my_talk" for
    "my talk"); a file without lines is an empty recording named like the file. If each side has a
    single recording, the two pair whatever their names.

    A recording without a hypothesis counts as entirely missed: a lost file must not improve the
    score. One without a reference is named and left out. One that a given `uem` does not name is
    scored over its whole extent. One without reference speech has an error rate of 1 if anything
    was found in it, else 0.

    Args:
        reference: RTTM file or folder with the true turns; "-" is the standard input.
        hypothesis: RTTM file or folder with the turns to score; "-" is the standard input.
        uem: UEM file or folder with the regions to score; None scores the extent of all turns.
        common: leave recordings without a hypothesis out, and say how many these are.

    Returns:
        A score for each recording of the reference, sorted by name, and notes on what did not fit.

    Raises:
        FormatError: a file that cannot be read, or that is broken.
        CorpusError: a folder holds no such file, two files speak of one recording, no recording is
            in both, or both sides are "-".
    """
    if os.fspath(reference) == os.fspath(hypothesis) == "-":
        raise CorpusError("reference and hypothesis cannot both be '-': give one of them as a file")
    truth = _read(reference, ".rttm", read_rttm)
    result = _read(hypothesis, ".rttm", read_rttm)
    result = _renamed(result, truth)
    regions = None if uem is None else _renamed(_read(uem, ".uem", read_uem), truth)
    notes: list[str] = []
    if len(truth) == len(result) == 1 and truth.keys() != result.keys():
        (ours,), (theirs,) = truth, result
        notes.append(f"the reference {ours!r} is compared with the hypothesis {theirs!r}")
        result = {ours: result[theirs]}
        if regions is not None and ours not in regions and theirs in regions:
            regions = {ours: regions[theirs]}
    return _report(truth, result, regions, notes, common)


def _renamed(entries: dict[str, list[EntryT]], names: Iterable[str]) -> dict[str, list[EntryT]]:
    """The entries under those of the `names` that an RTTM file writes as it writes theirs."""
    open_names = set(names) - entries.keys()
    written = {name: printable_token(name) for name in {*open_names, *entries.keys() - set(names)}}
    times = Counter(written.values())
    partner = {written[name]: name for name in open_names if times[written[name]] == 2}
    return {partner.get(written.get(name, ""), name): found for name, found in entries.items()}


def _report(
    truth: Mapping[str, list],
    result: Mapping[str, list],
    regions: Mapping[str, list] | None,
    notes: list[str],
    common: bool,
) -> ScoreReport:
    lost = sorted(truth.keys() - result.keys())
    extra = sorted(result.keys() - truth.keys())
    if extra and len(lost) == len(truth):
        raise CorpusError(
            f"no recording is in both: the reference has {_few(lost)} and the hypothesis"
            f" {_few(extra)}; recordings pair by the second column of the RTTM"
        )
    if lost and common:
        notes.append(
            f"{plural(len(lost), 'recording')} without a hypothesis left out: {_few(lost)}"
        )
        truth = {uri: turns for uri, turns in truth.items() if uri in result}
    elif lost:
        notes.append(f"no hypothesis for {_few(lost)}: scored as entirely missed")
    if extra:
        notes.append(f"no reference for {_few(extra)}: left out")
    unmapped = sorted(truth.keys() - regions.keys()) if regions is not None else []
    if unmapped:
        notes.append(f"not in the UEM: {_few(unmapped)}: scored over the whole extent")
    if regions is None:
        notes.append("no UEM: each recording is scored over the extent of its turns")
    recordings = [
        score_recording(
            uri, truth[uri], result.get(uri, []), uem=None if regions is None else regions.get(uri)
        )
        for uri in sorted(truth)
    ]
    silent = [r.uri for r in recordings if r.der[FULL.name].reference_s == 0]
    if silent:
        notes.append(
            f"no reference speech in {_few(silent)}: an error rate of 100 % there means that "
            "something was found, 0 % that nothing was"
        )
    return ScoreReport(tuple(recordings), tuple(lost), tuple(extra), tuple(notes))


def _read(
    path: AnyPath, suffix: str, reader: Callable[[AnyPath], dict[str, list[EntryT]]]
) -> dict[str, list[EntryT]]:
    """Recordings of a file or of all files of a folder. An empty RTTM is an empty recording."""
    recordings: dict[str, list[EntryT]] = {}
    sources: dict[str, Path] = {}
    for file in _files(Path(path), suffix):
        unnamed: dict[str, list[EntryT]] = {printable_token(file.stem): []}
        for uri, entries in (reader(file) or (unnamed if suffix == ".rttm" else {})).items():
            if uri in recordings:
                raise CorpusError(
                    f"{str(sources[uri])!r} and {str(file)!r} both speak of {uri!r}: keep one"
                )
            recordings[uri], sources[uri] = entries, file
    return recordings


def _files(path: Path, suffix: str) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(p for p in path.rglob("*") if p.suffix.lower() == suffix and p.is_file())
    if not files:
        raise CorpusError(f"the folder {str(path)!r} holds no *{suffix} file: give another one")
    return files


def _few(uris: Iterable[str]) -> str:
    return and_more(map(repr, uris), most=5)
