"""Corpora as they are downloaded -> lists of utterances.

    manifest      voices/manifest.tsv or manifest.tsv (`encoder.data.manifest`)
    common_voice  clips/ beside train.tsv, dev.tsv, test.tsv, validated.tsv; also folders of those
    librispeech   SUBSET/SPEAKER/CHAPTER/SPEAKER-CHAPTER-NUMBER.flac; LibriTTS, MLS
    voxceleb      [dev|test/].../idNNNNN/VIDEO/NNNNN.wav; also with names for numbers
    cn_celeb      data/idNNNNN/GENRE-NN-NNN.flac
    vivos         train|test/waves/SPEAKER/*.wav
    voxforge      USER-DATE-ID/wav/*.wav
    split_folders TRAIN/ and TEST/, train/, dev/ and test/ with a folder for each speaker: TIMIT,
                  AISHELL
    plain         SPEAKER/ with media at any depth, unless these are named like parts of a corpus

Splits: what a corpus calls its training part is `train`; its other parts are `eval` (LibriSpeech
dev-* and test-*, Common Voice dev and test, VIVOS test, VoxCeleb test and the 40 test speakers of
VoxCeleb1, speakers 800 to 999 of CN-Celeb, all but train in folders of parts). Speakers of whom the
corpus says nothing are `heldout` for about a tenth, by a hash of their name, else `train`. No
speaker is in two splits: all utterances of one found in two go to the one that is further from
training.

Sessions: what a layout says was recorded in one go (LibriSpeech chapter, VoxCeleb video, a plain
corpus's folder below the speaker's) is one session; a file beside which there is nothing to tell is
a session of its own.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from encoder.audio.media_files import folders_in, media_below
from encoder.data.corpora.base import Layout, Warn, mostly
from encoder.data.corpora.cn_celeb import is_cn_celeb, read_cn_celeb
from encoder.data.corpora.common_voice import languages, read_common_voice
from encoder.data.corpora.librispeech import is_librispeech, read_librispeech
from encoder.data.corpora.speaker_folders import read_speaker_folders
from encoder.data.corpora.split_folders import (
    has_split_folders,
    read_split_folders,
    refuse_parts_as_speakers,
)
from encoder.data.corpora.vivos import is_vivos, read_vivos
from encoder.data.corpora.voxceleb import is_voxceleb, read_voxceleb
from encoder.data.corpora.voxforge import is_voxforge, read_voxforge
from encoder.data.manifest import Utterance, read_manifest
from encoder.data.splits import one_split_each, split_speakers
from encoder.errors import ConfigError, CorpusError

__all__ = [
    "LAYOUTS",
    "layout_of",
    "read_corpus",
]


def read_corpus(
    folder: str | Path,
    *,
    layout: str | None = None,
    heldout_share: float = 0.1,
    on_warning: Warn | None = None,
) -> list[Utterance]:
    """The utterances of a corpus folder, in a stable order; nothing is decoded.

    layout: one of `LAYOUTS`; None tells it from the files. `on_warning` gets a sentence for each
    thing left out or doubtful. `seconds` is 0 where the layout does not state it; `name` is the
    path below the folder.
    Raises ConfigError (unknown layout), CorpusError (no folder, no media, one speaker alone, parts
    of a corpus where speakers are looked for) or FormatError (a table that lacks columns).
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
    if name == "plain" and layout is None:
        refuse_parts_as_speakers(folder, set(files), warn)
    if max(files.values()) == 1:
        warn(
            f"each of the {len(files)} speakers of {str(folder)!r} has a single file, so no two "
            "sessions of a speaker can be compared: add more files"
        )
    return one_split_each(split_speakers(utterances, share=heldout_share), warn)


def layout_of(folder: str | Path) -> str:
    """The name of the first of `LAYOUTS` that a folder fits; "plain" fits every folder."""
    return next(name for name, layout in LAYOUTS.items() if layout.fits(Path(folder)))


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


def _manifest(folder: Path) -> Path | None:
    places = (folder / "voices/manifest.tsv", folder / "manifest.tsv")
    return next((path for path in places if path.is_file()), None)


def _read_manifest(folder: Path, warn: Warn) -> list[Utterance]:
    return read_manifest(_manifest(folder) or folder / "manifest.tsv")


LAYOUTS = {
    "manifest": Layout(lambda folder: _manifest(folder) is not None, _read_manifest),
    "common_voice": Layout(lambda folder: bool(languages(folder)), read_common_voice),
    "librispeech": Layout(lambda folder: mostly(folder, is_librispeech), read_librispeech),
    "voxceleb": Layout(lambda folder: mostly(folder, is_voxceleb), read_voxceleb),
    "cn_celeb": Layout(lambda folder: mostly(folder, is_cn_celeb), read_cn_celeb),
    "vivos": Layout(lambda folder: mostly(folder, is_vivos), read_vivos),
    "voxforge": Layout(lambda folder: mostly(folder, is_voxforge), read_voxforge),
    "split_folders": Layout(has_split_folders, read_split_folders),
    "plain": Layout(lambda folder: True, read_speaker_folders),
}
