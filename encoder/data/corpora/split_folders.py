"""Folders for the parts of a corpus, with a folder for each speaker below: TRAIN/, TEST/.

TIMIT      TRAIN|TEST/DRn/SPEAKER/*.WAV
AISHELL    [wav/]train|dev|test/[wav/]SPEAKER/*.wav
any other  PART/[wav|audio|data .../]SPEAKER/ with media at any depth
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from pathlib import Path

from encoder.audio.media_files import folders_in, media_below, media_in
from encoder.data.corpora.base import Warn, listed
from encoder.data.manifest import Utterance
from encoder.errors import CorpusError

__all__ = ["has_split_folders", "read_split_folders", "refuse_parts_as_speakers"]

_NAMES = "train(?:ing)?|dev(?:el|elopment)?|test(?:ing)?|val|valid(?:ation)?|eval(?:uation)?"
_SPLIT = re.compile(rf"(?:{_NAMES})(?:[-_](?:clean|other|set|wav|flac|\d+h?))*", re.IGNORECASE)
# Between a part and its speakers: what the files are, and the dialect regions of TIMIT.
_BETWEEN = re.compile(
    r"wav(?:s|es?|\d\w*|[-_]\w+)?|audios?(?:[-_](?:dir|files?))?|flacs?|mp3s?|sph|sounds?|speech"
    r"|data|clips?|recordings?|speakers|dr\d",
    re.IGNORECASE,
)
# What else no speaker is called: names of parts with more around them, sizes and sources of sound.
_NO_SPEAKER = re.compile(
    rf"(?P<before>.*[-_])?(?:{_NAMES}|validated|held[-_]?out|enroll?|unlabell?ed)(?:[-_].*|\d*)"
    rf"|(?:xs|s|m|l|xl)[-_](?:files|chunks).*|small|medium|large|chunks?[-_]?\d+"
    rf"|podcasts?|youtube|audiobooks?|{_BETWEEN.pattern}",
    re.IGNORECASE,
)


def has_split_folders(folder: Path) -> bool:
    """Whether all folders that hold media are named like parts, perhaps below one for all."""
    inner = folders_in(_top(folder))
    named = [_SPLIT.fullmatch(part.name) is not None for part in inner]
    rest = (part for part, is_part in zip(inner, named, strict=True) if not is_part)
    return any(named) and not any(_holds_media(part) for part in rest)


def read_split_folders(folder: Path, warn: Warn) -> list[Utterance]:
    dataset = folder.resolve().name
    found, stray, copies = [], [], []
    for part in folders_in(_top(folder)):
        split = "train" if part.name.lower().startswith("train") else "eval"
        for path in media_below(part):
            below = list(path.relative_to(part).parts)
            while len(below) > 1 and _BETWEEN.fullmatch(below[0]):
                below.pop(0)
            if len(below) == 1:
                stray.append(path)
            elif path.stem.lower().endswith(".wav") and path.with_suffix("").is_file():
                copies.append(path)  # TIMIT comes with SA1.WAV.wav beside SA1.WAV
            else:
                session = (path.parent if len(below) > 2 else path).relative_to(folder).as_posix()
                found.append(listed(folder, path, below[0], dataset, split, session))
    if found and stray:
        warn(
            f"{len(stray)} media files of {str(folder)!r} are in no speaker's folder, "
            f"{stray[0].name!r} first: left out"
        )
    if copies:
        warn(
            f"{len(copies)} files of {str(folder)!r} are copies of those beside them, "
            f"{copies[0].name!r} first: left out"
        )
    return found


def refuse_parts_as_speakers(folder: Path, speakers: set[str], warn: Warn) -> None:
    """CorpusError if folders taken for speakers are named like parts of a corpus; a sentence if it
    is only one among others."""
    named = {speaker: _NO_SPEAKER.fullmatch(speaker) for speaker in speakers}
    before = {speaker: match["before"] or "" for speaker, match in named.items() if match}
    # "ann_test" and "bob_test" are two speakers, "vox_dev" and "vox_test" two parts.
    ((common, count),) = Counter(before.values()).most_common(1) or [("", 0)]
    odd = sorted(speaker for speaker, start in before.items() if start == common)
    if count > 1 and 2 * count >= len(speakers):
        raise CorpusError(
            f"the folders {odd[0]!r} and {odd[1]!r} of {str(folder)!r} are named like parts of a "
            "corpus, not like speakers: give a folder that has one for each speaker, or rename them"
        )
    if odd and not common:
        warn(
            f"{odd[0]!r} in {str(folder)!r} is read as a speaker, although it is named like a part "
            "of a corpus: check that it is one"
        )


def _top(folder: Path) -> Path:
    """The folder itself, or the one below all those that hold nothing but one other with media."""
    while not media_in(folder):
        inner = list(itertools.islice(filter(_holds_media, folders_in(folder)), 2))
        if len(inner) != 1 or _SPLIT.fullmatch(inner[0].name):
            break
        folder = inner[0]
    return folder


def _holds_media(folder: Path) -> bool:
    return next(media_below(folder), None) is not None
