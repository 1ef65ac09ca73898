"""Corpora as they are downloaded -> lists of utterances.

    manifest      voices/manifest.tsv or manifest.tsv (`encoder.data.manifest`)
    common_voice  clips/ beside train.tsv, dev.tsv, test.tsv, validated.tsv; also folders of those
    librispeech   SUBSET/SPEAKER/CHAPTER/SPEAKER-CHAPTER-NUMBER.flac
    voxceleb      [dev|test/].../idNNNNN/VIDEO/NNNNN.wav
    vivos         train|test/waves/SPEAKER/*.wav
    plain         SPEAKER/ with media at any depth

Splits: what a corpus calls its training part is `train`; its other parts are `eval` (LibriSpeech
dev-* and test-*, Common Voice dev and test, VIVOS test, VoxCeleb test and the 40 test speakers of
VoxCeleb1). Speakers of whom the corpus says nothing are `heldout` for about a tenth, by a hash of
their name, else `train`. No speaker is in two splits: one found in two goes whole to the one that
is further from training.

Takes: what a layout says was recorded in one go (LibriSpeech chapter, VoxCeleb video, a plain
corpus's folder below the speaker's) is one take; a file beside which there is nothing to tell is a
take of its own.
"""

from __future__ import annotations

import csv
import hashlib
import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, TypeAlias

from encoder.audio.media_files import folders_in, media_below, media_in
from encoder.data.manifest import Utterance, read_manifest
from encoder.errors import ConfigError, CorpusError, FormatError

__all__ = ["LAYOUTS", "layout_of", "read_corpus", "split_speakers"]

_Warn: TypeAlias = Callable[[str], None]
_STRICTNESS = {"train": 0, "heldout": 1, "eval": 2}
_LOOK_AT = 20  # media files, to tell a layout
_TABLES = {"dev.tsv": "eval", "test.tsv": "eval", "train.tsv": "train", "validated.tsv": ""}


class _Layout(NamedTuple):
    """How a layout is told and read; the reader leaves `split` empty where nothing is stated."""

    fits: Callable[[Path], bool]
    read: Callable[[Path, _Warn], list[Utterance]]


def read_corpus(
    folder: str | Path,
    *,
    layout: str | None = None,
    heldout_share: float = 0.1,
    on_warning: _Warn | None = None,
) -> list[Utterance]:
    """The utterances of a corpus folder, in a stable order; nothing is decoded.

    layout: one of `LAYOUTS`; None tells it from the files. `on_warning` gets a sentence for each
    thing left out or doubtful. `seconds` is 0 where the layout does not state it; `name` is the
    path below the folder.
    Raises ConfigError (unknown layout), CorpusError (no folder, no media, one speaker alone) or
    FormatError (a table that lacks columns).
    """
    folder, warn = Path(folder), on_warning or (lambda _: None)
    if layout is not None and layout not in LAYOUTS:
        raise ConfigError(f"there is no corpus layout {layout!r}: choose from {', '.join(LAYOUTS)}")
    folders_in(folder)  # refuses a folder that is not there
    name = layout or layout_of(folder)
    utterances = LAYOUTS[name].read(folder, warn)
    if not utterances:
        raise CorpusError(_why_nothing(folder, name))
    files = Counter(u.speaker for u in utterances)
    if len(files) == 1:
        raise CorpusError(
            f"{str(folder)!r} read as {name} holds one speaker alone ({utterances[0].speaker!r}): "
            "give the folder that holds a folder for each of several speakers"
        )
    if max(files.values()) == 1:
        warn(
            f"each of the {len(files)} speakers of {str(folder)!r} has a single file, so no two "
            "takes of a voice can be compared: add more files"
        )
    return _one_split_each(split_speakers(utterances, share=heldout_share), warn)


def layout_of(folder: str | Path) -> str:
    """The name of the first of `LAYOUTS` that a folder fits; "plain" fits every folder."""
    return next(name for name, layout in LAYOUTS.items() if layout.fits(Path(folder)))


def split_speakers(utterances: list[Utterance], *, share: float = 0.1) -> list[Utterance]:
    """Give a split to utterances without one: `heldout` for about `share` of the speakers.

    A speaker with a split elsewhere in the list keeps it. For the others a hash of the name
    decides, so that the choice does not depend on order or on other speakers; but where it would
    leave fewer than two speakers to train on, all are `train`.
    """
    stated = {u.speaker: u.split for u in utterances if u.split}
    open_ones = {u.speaker for u in utterances} - set(stated)
    held = {speaker for speaker in open_ones if _hash_share(f"heldout {speaker}") < share}
    if "train" not in stated.values() and len(open_ones - held) < 2:
        held = set()
    choice = {speaker: "heldout" if speaker in held else "train" for speaker in open_ones}
    choice |= stated
    return [u if u.split else replace(u, split=choice[u.speaker]) for u in utterances]


def _hash_share(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") / 2**32


def _why_nothing(folder: Path, layout: str) -> str:
    stray = next(media_below(folder), None)
    if stray is not None and layout != "plain":
        return (
            f"{str(folder)!r} holds media such as {stray.name!r}, but none where the layout "
            f"{layout!r} has it: give the corpus's own folder or another layout"
        )
    what = "no media file" if stray is None else "media in no speaker's folder"
    return (
        f"{str(folder)!r} holds {what}: give a folder that has a folder of sound files for each "
        "speaker"
    )


def _one_split_each(utterances: list[Utterance], warn: _Warn) -> list[Utterance]:
    splits = defaultdict(set)
    for u in utterances:
        splits[u.speaker].add(u.split)
    several = {
        speaker: max(names, key=lambda split: _STRICTNESS.get(split, 3))
        for speaker, names in splits.items()
        if len(names) > 1
    }
    if several:
        first = min(several)
        warn(
            f"{len(several)} speakers are in more than one split, {first!r} first: all their "
            f"utterances go to the one further from training ({several[first]!r} for the first)"
        )
    return [replace(u, split=several[u.speaker]) if u.speaker in several else u for u in utterances]


def _listed(
    folder: Path, path: Path, speaker: str, dataset: str, split: str, take: str
) -> Utterance:
    name = path.relative_to(folder).as_posix()
    return Utterance(path, speaker, dataset, split, f"{dataset}/{take}", 0.0, name)


def _files(folder: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Each media file, and the names from the corpus's own folder down to the file's stem."""
    root = folder.resolve().name
    for path in media_below(folder):
        yield path, (root, *path.relative_to(folder).parts[:-1], path.stem)


def _mostly(folder: Path, matches: Callable[[tuple[str, ...]], bool]) -> bool:
    """Whether more than half of the first media files match."""
    first = [matches(parts) for _, parts in itertools.islice(_files(folder), _LOOK_AT)]
    return sum(first) > len(first) / 2


# manifest


def _manifest(folder: Path) -> Path | None:
    places = (folder / "voices/manifest.tsv", folder / "manifest.tsv")
    return next((path for path in places if path.is_file()), None)


def _read_manifest(folder: Path, warn: _Warn) -> list[Utterance]:
    return read_manifest(_manifest(folder) or folder / "manifest.tsv")


# Common Voice


def _languages(folder: Path) -> list[Path]:
    """The folder itself, or those in it, that have clips/ and a table."""
    return [
        place
        for place in (folder, *folders_in(folder))
        if (place / "clips").is_dir() and any((place / table).is_file() for table in _TABLES)
    ]


def _read_common_voice(folder: Path, warn: _Warn) -> list[Utterance]:
    found = []
    for place in _languages(folder):
        clips = {path.name: path for path in media_below(place / "clips")}
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
                found.append(_listed(folder, path, speaker, "common_voice", split, name))
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
    try:
        with table.open(newline="", encoding="utf-8") as handle:
            reader = csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE)
            for column in ("client_id", "path"):
                if column not in (reader.fieldnames or ()):
                    raise FormatError(
                        f"the table {str(table)!r} lacks the column {column!r}: "
                        "give a Common Voice folder as it was unpacked"
                    )
            for line, row in enumerate(reader, start=2):
                if not row["client_id"] or not row["path"]:
                    raise FormatError(
                        f"line {line} of the table {str(table)!r} has no client_id or no path: "
                        "unpack the corpus again"
                    )
                yield row["client_id"], row["path"]
    except (UnicodeDecodeError, csv.Error) as error:
        raise FormatError(f"the table {str(table)!r} is not UTF-8 text: {error}") from error
    except OSError as error:
        raise CorpusError(
            f"the table {str(table)!r} cannot be read ({error.strerror}): check that you may"
        ) from error


# LibriSpeech

_SUBSET = r"(train|dev|test)-(?:clean|other)(?:-\d+)?"


def _is_librispeech(parts: tuple[str, ...]) -> bool:
    named = re.fullmatch(r"(\d+)-(\d+)-\d+", parts[-1])
    return named is not None and named.groups() == parts[-3:-1]


def _read_librispeech(folder: Path, warn: _Warn) -> list[Utterance]:
    found = []
    for path, parts in _files(folder):
        if not _is_librispeech(parts):
            continue
        *above, speaker, chapter, _ = parts
        stated = [m[1] for p in above if (m := re.fullmatch(_SUBSET, p))]
        split = ("train" if stated[-1] == "train" else "eval") if stated else ""
        take = f"{speaker}/{chapter}"
        found.append(_listed(folder, path, speaker, "librispeech", split, take))
    return found


# VoxCeleb

_PART = r"(?:vox\d_)?(dev|test)(?:_wav|_aac|_mp4)?"
_VOXCELEB1_TEST = range(10_270, 10_310)


def _is_voxceleb(parts: tuple[str, ...]) -> bool:
    return len(parts) > 2 and re.fullmatch(r"id\d{5}", parts[-3]) is not None


def _read_voxceleb(folder: Path, warn: _Warn) -> list[Utterance]:
    found = []
    for path, parts in _files(folder):
        if not _is_voxceleb(parts):
            continue
        *above, speaker, video, _ = parts
        stated = [m[1] for p in above if (m := re.fullmatch(_PART, p))]
        split = ("train" if stated[-1] == "dev" else "eval") if stated else ""
        if int(speaker[2:]) in _VOXCELEB1_TEST:
            split = "eval"
        found.append(_listed(folder, path, speaker, "voxceleb", split, f"{speaker}/{video}"))
    return found


# VIVOS


def _is_vivos(parts: tuple[str, ...]) -> bool:
    return len(parts) > 3 and parts[-4] in ("train", "test") and parts[-3] == "waves"


def _read_vivos(folder: Path, warn: _Warn) -> list[Utterance]:
    found = []
    for path, parts in _files(folder):
        if not _is_vivos(parts):
            continue
        split = "train" if parts[-4] == "train" else "eval"
        take = f"{parts[-2]}/{parts[-1]}"
        found.append(_listed(folder, path, parts[-2], "vivos", split, take))
    return found


# A folder of speakers


def _read_plain(folder: Path, warn: _Warn) -> list[Utterance]:
    dataset = folder.resolve().name
    found, empty = [], []
    speakers = folders_in(folder)
    for speaker in speakers:
        files = list(media_below(speaker))
        if not files:
            empty.append(speaker.name)
        for path in files:
            nested = path.parent != speaker
            take = (path.parent if nested else path).relative_to(folder).as_posix()
            found.append(_listed(folder, path, speaker.name, dataset, "", take))
    beside = media_in(folder)
    if found and beside:
        warn(
            f"{len(beside)} media files of {str(folder)!r} are in no speaker's folder, "
            f"{beside[0].name!r} first: left out"
        )
    if found and empty:
        warn(
            f"{len(empty)} of {len(speakers)} speaker folders of {str(folder)!r} hold no media, "
            f"{empty[0]!r} first: left out"
        )
    return found


LAYOUTS = {
    "manifest": _Layout(lambda folder: _manifest(folder) is not None, _read_manifest),
    "common_voice": _Layout(lambda folder: bool(_languages(folder)), _read_common_voice),
    "librispeech": _Layout(lambda folder: _mostly(folder, _is_librispeech), _read_librispeech),
    "voxceleb": _Layout(lambda folder: _mostly(folder, _is_voxceleb), _read_voxceleb),
    "vivos": _Layout(lambda folder: _mostly(folder, _is_vivos), _read_vivos),
    "plain": _Layout(lambda folder: True, _read_plain),
}
