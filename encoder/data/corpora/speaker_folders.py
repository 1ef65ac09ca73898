"""Plain folders: SPEAKER/ with media at any depth."""

from __future__ import annotations

from pathlib import Path

from encoder.audio.media_files import folders_in, media_below, media_in
from encoder.data.corpora.base import Warn, listed
from encoder.data.manifest import Utterance

__all__ = ["read_speaker_folders"]


def read_speaker_folders(folder: Path, warn: Warn) -> list[Utterance]:
    dataset = folder.resolve().name
    found, empty = [], []
    speakers = folders_in(folder)
    for speaker in speakers:
        files = list(media_below(speaker))
        if not files:
            empty.append(speaker.name)
        for path in files:
            nested = path.parent != speaker
            session = (path.parent if nested else path).relative_to(folder).as_posix()
            found.append(listed(folder, path, speaker.name, dataset, "", session))
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
