"""How often known speakers get their name, and unknown ones that of another.

    python -m recipes.evaluate.naming --data ../shared/corpus [--embedder NAME]

Clips: of the training's validation speakers with two takes or more, 20 are enrolled with half of
their takes, in 8 draws by chance; the other takes, and all clips of everybody else, are asked for.
Recordings: whoever speaks alone for 12 s of a development conversation is enrolled with the first
half of that; the second half is asked for, once with all people known and once without its speaker;
whoever is in several recordings also with only the people of the others known. Only sounds with 2 s
of speech count. Writes recipes/results/naming.json; with --embedder only into the folder that
--results names.
"""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Optional

import numpy as np
import torch
import typer
from rich.progress import track
from rich.table import Table

from diarize.core.output import write_atomic
from diarize.embedding.clip_embedding import ClipEmbedder
from diarize.embedding.embedders import load_embedder
from diarize.gallery.config import NamingConfig
from diarize.gallery.enrollment import EnrollmentConfig, clip_enrollment
from diarize.gallery.identification import match_speakers
from diarize.gallery.schema import EnrolledSpeaker, Enrollment
from diarize.pipeline.config import DiarizeConfig
from diarize.segmentation import SEGMENTERS
from encoder.audio.load import load_audio
from encoder.calibration.score_calibration import Calibration, find_calibration
from encoder.common.units import seconds_to_samples
from encoder.data.corpora import read_corpus
from encoder.errors import AudioError, CheckpointError, ToolkitError
from recipes.shared.conversations import Conversation, read_conversations
from recipes.shared.embedders import (
    CorpusFolder,
    ResultsFolder,
    console,
    is_corpus,
    results_folder,
    say,
    stop,
    validation,
)

MOST_CLIPS = 10  # a speaker
DRAWS, KNOWN = 8, 20
LEAST_ALONE_S, MOST_HALF_S = 12.0, 30.0
PROBABILITIES = (0.8, 0.9, 0.93, 0.95, 0.97)


class Labelled(NamedTuple):
    """A sound of a known speaker, in the half that is enrolled or in the one that is asked for."""

    speaker: str
    place: str  # the recording, or the data set
    is_enrolled: bool
    sound: Enrollment


def main(
    data: CorpusFolder,
    embedder: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help=f"name or file (default: {DiarizeConfig().embedder})"),
    ] = None,
    results: ResultsFolder = None,
    save: Annotated[bool, typer.Option(help="write the results")] = True,
) -> None:
    """Right, wrong and missing names at several probabilities."""
    if not is_corpus(data):
        return
    config = DiarizeConfig()
    name = embedder or config.embedder
    try:
        loaded = load_embedder(name, device="cpu")
        calibration = find_calibration(loaded.fingerprint)
        if calibration is None:
            raise CheckpointError(
                f"there is no calibration of {name!r} ({loaded.fingerprint}): make one with "
                f"`make calibrate WEIGHTS={name}`"
            )
        voices = ClipEmbedder(SEGMENTERS.build(config.segmenter, {}, where="segmentation"), loaded)
        clips, talks = _clips(data, voices), _conversations(data, voices)
        rows = [
            {"min_probability": p, **_score(clips, talks, calibration, p)} for p in PROBABILITIES
        ]
        stored = {
            "embedder": name,
            "fingerprint": loaded.fingerprint,
            "clip_speakers": len({h.speaker for h in clips}),
            "conversation_speakers": len({h.speaker for h in talks}),
            "rows": rows,
        }
        _show(rows)
        if save and (kept := results_folder(results, embedder)) is not None:
            write_atomic(kept / "naming.json", json.dumps(stored, indent=1) + "\n")
    except ToolkitError as error:
        raise stop(error) from None


def _clips(data: Path, voices: ClipEmbedder) -> list[Labelled]:
    by_speaker = defaultdict(list)
    for utterance in validation(read_corpus(data, on_warning=say)):
        by_speaker[utterance.speaker].append(utterance)
    sounds = []
    for speaker, utterances in track(sorted(by_speaker.items()), "clips", console=console):
        takes = sorted({u.session for u in utterances})
        first = set(takes[: len(takes) // 2])
        for utterance in sorted(utterances, key=lambda u: u.name)[:MOST_CLIPS]:
            try:
                voice = voices(utterance.path)
            except AudioError as error:
                say(f"left out: {error}")
                continue
            if voice.vector is not None:
                sound = clip_enrollment(voice, utterance.name, keep=False)
                sounds.append(
                    Labelled(speaker, utterance.dataset, utterance.session in first, sound)
                )
    return sounds


def _conversations(data: Path, voices: ClipEmbedder) -> list[Labelled]:
    sounds = []
    found = read_conversations(data / "conversations")
    for conversation in track(found, "conversations", console=console):
        wave = load_audio(conversation.path, on_warning=lambda sentence: None)
        for speaker, alone in _alone(conversation, len(wave)).items():
            half = len(alone) // 2
            for part, is_enrolled in ((alone[:half], True), (alone[half:], False)):
                chosen = wave[torch.from_numpy(part[: seconds_to_samples(MOST_HALF_S)])]
                voice = voices.of_wave(chosen)
                if voice.vector is not None:
                    sound = clip_enrollment(voice, conversation.name, keep=False)
                    sounds.append(Labelled(speaker, conversation.name, is_enrolled, sound))
    return sounds


def _alone(conversation: Conversation, length: int) -> dict[str, np.ndarray]:
    """Speaker -> the samples at which no other speaker speaks; those who have enough of them."""
    speaking = {}
    for turn in conversation.reference:
        own = speaking.setdefault(turn.speaker, np.zeros(length, np.int8))
        own[seconds_to_samples(turn.start_s) : seconds_to_samples(turn.end_s)] = 1
    total = sum(speaking.values())
    alone = {s: np.flatnonzero((own == 1) & (total == 1)) for s, own in speaking.items()}
    return {s: at for s, at in alone.items() if len(at) >= seconds_to_samples(LEAST_ALONE_S)}


def _people(labelled: Iterable[Labelled]) -> list[EnrolledSpeaker]:
    sounds = defaultdict(list)
    for one in labelled:
        if one.is_enrolled:
            sounds[one.speaker].append(one.sound)
    return [
        EnrolledSpeaker(
            speaker,
            "named",
            np.concatenate([s.vectors for s in own]),
            np.concatenate([s.seconds for s in own]),
            speech_s=sum(s.speech_s for s in own),
        )
        for speaker, own in sorted(sounds.items())
    ]


def _score(
    clips: list[Labelled], talks: list[Labelled], calibration: Calibration, probability: float
) -> dict[str, dict[str, int]]:
    """What was asked for -> how many were named right, named wrong and left unnamed."""
    rule = NamingConfig(min_probability=probability)
    counts: dict[str, Counter[str]] = defaultdict(Counter)

    def ask(one: Labelled, people: list[EnrolledSpeaker], kind: str) -> None:
        if one.sound.speech_s < rule.min_speech_s or not people:
            return
        ((match, reason),) = match_speakers(
            one.sound.vectors[:1], np.array([one.sound.speech_s]), people, calibration, rule=rule
        )
        named = match is not None and reason is None
        is_right = match is not None and match.name == one.speaker
        counts[kind]["unnamed" if not named else "right" if is_right else "wrong"] += 1

    enough = EnrollmentConfig().min_speech_s
    able = [person for person in _people(clips) if person.speech_s >= enough]
    for seed in range(DRAWS):
        people = random.Random(seed).sample(able, min(KNOWN, len(able)))
        names = {person.name for person in people}
        for one in clips:
            if one.speaker not in names:
                ask(one, people, "clips, unknown")
            elif not one.is_enrolled:
                ask(one, people, "clips, known")
    for one in talks:
        if one.is_enrolled:
            continue
        elsewhere = [h for h in talks if h.place != one.place]
        ask(one, _people(talks), "recordings, known")
        ask(one, _people(h for h in talks if h.speaker != one.speaker), "recordings, unknown")
        if any(h.speaker == one.speaker for h in elsewhere):
            ask(one, _people(elsewhere), "recordings, known from another")
    return {
        kind: {key: n[key] for key in ("right", "wrong", "unnamed")} for kind, n in counts.items()
    }


def _show(rows: list[dict[str, Any]]) -> None:
    kinds = [key for key in rows[0] if key != "min_probability"]
    table = Table(title="named right / named wrong / left unnamed")
    for title in ("probability", *kinds):
        table.add_column(title, justify="right")
    for row in rows:
        cells = [" / ".join(str(count) for count in row[kind].values()) for kind in kinds]
        table.add_row(f"{row['min_probability']:g}", *cells)
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
