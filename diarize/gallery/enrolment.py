"""Files of one person's voice -> sounds for the gallery, and what speaks against taking them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from diarize.core.vectors import unit_rows
from diarize.gallery.gallery import Exchanged, Gallery
from diarize.gallery.identification import Match, rank_people
from diarize.gallery.names import clean_name, fold_name, shown
from diarize.gallery.schema import Person, Sound
from encoder.common.units import SAMPLE_RATE
from encoder.errors import ConfigError, CorpusError

if TYPE_CHECKING:
    from diarize.embedding.clip_embedding import ClipEmbedder, ClipEmbedding
    from encoder.calibration.score_calibration import Calibration

__all__ = ["EnrollmentConfig", "clip_exemplars", "clip_sound", "enroll", "reembed", "sounds_mixed"]

_KEPT_S = 60  # of a file's speech, where it is kept
_MIXED_BELOW = 0.2  # probability that both sides of a clip are one voice


@dataclass(frozen=True)
class EnrollmentConfig:
    """What is asked of the sounds of a new person."""

    min_speech_s: float = field(
        default=5.0, metadata={"help": "seconds of speech a person needs, in all files"}
    )
    same_probability: float = field(
        default=0.9, metadata={"help": "so probably somebody else's voice is refused"}
    )
    stretch_s: float = field(default=11.0, metadata={"help": "length of an exemplar"})
    most_stretches: int = field(default=4, metadata={"help": "exemplars a file, beside the whole"})

    def __post_init__(self) -> None:
        if not 0 <= self.min_speech_s < float("inf"):
            raise ConfigError(f"min_speech_s is {self.min_speech_s}: give 0 or more seconds")


def clip_exemplars(
    pieces: NDArray[np.float32],
    vector: NDArray[np.float32],
    speech_s: float,
    heard_s: float,
    config: EnrollmentConfig | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Exemplars (E, D), unit, and the seconds (E,) of speech in each: the whole file's vector, and
    of a longer file means over stretches of some 11 s, evenly spread.

    pieces (P, D): of equal, evenly spread parts of `heard_s` seconds with `speech_s` of speech.
    """
    config = config or EnrollmentConfig()
    step_s = heard_s / (len(pieces) + 1)  # half overlapping: P pieces cover P + 1 steps
    size = max(1, round(config.stretch_s / step_s) - 1)
    count = min(config.most_stretches, round(heard_s / config.stretch_s))
    rows, seconds = [np.asarray(vector, np.float32)], [speech_s]
    if count >= 2 and len(pieces) > size:
        for start in np.linspace(0, len(pieces) - size, count).round().astype(int):
            mean = pieces[start : start + size].mean(axis=0, dtype=np.float64)
            rows.append(unit_rows(mean).astype(np.float32))
            seconds.append(speech_s * (size + 1) * step_s / heard_s)
    return np.stack(rows), np.array(seconds, np.float64)


def clip_sound(
    voice: ClipEmbedding, source: str, *, keep: bool, config: EnrollmentConfig | None = None
) -> Sound:
    """What a clip with a voice says of a person; `keep` packs up to 60 s of its speech, too."""
    from encoder.audio.flac import to_flac, to_int16

    assert voice.vector is not None
    wave = voice.wave.numpy()
    samples = to_int16(wave)
    vectors, seconds = clip_exemplars(
        voice.pieces, voice.vector, voice.speech_s, len(wave) / SAMPLE_RATE, config
    )
    return Sound(
        source=source,
        hash=hashlib.sha256(samples.astype("<i2").tobytes()).hexdigest(),
        speech_s=voice.speech_s,
        vectors=vectors,
        seconds=seconds,
        kept=to_flac(samples[: _KEPT_S * SAMPLE_RATE]) if keep else None,
    )


def sounds_mixed(
    pieces: NDArray[np.float32], piece_s: float, calibration: Calibration | None
) -> bool:
    """Whether a clip seems to hold two voices: its pieces (P, D), parted in two as well as they can
    be, are improbable to be of one. False without a calibration, and for fewer than 4 pieces."""
    if calibration is None or len(pieces) < 4:
        return False
    from scipy.cluster.hierarchy import fcluster, linkage  # slow to import

    labels = fcluster(linkage(pieces, method="ward"), 2, criterion="maxclust")
    sizes = [int((labels == side).sum()) for side in (1, 2)]
    if min(sizes) < 2:
        return False
    first, second = unit_rows(
        np.stack([pieces[labels == side].mean(axis=0, dtype=np.float64) for side in (1, 2)])
    )
    seconds = [piece_s * (size + 1) / 2 for size in sizes]  # half overlapping
    return float(calibration.probability(first @ second, *seconds)) < _MIXED_BELOW


def enroll(
    gallery: Gallery,
    name: str,
    sounds: Sequence[Sound],
    *,
    fingerprint: str,
    embedder: str,
    calibration: Calibration | None,
    anyway: bool = False,
    config: EnrollmentConfig | None = None,
) -> tuple[int, list[str]]:
    """Add `sounds` to the person `name`, who may be new.

    Returns how many the gallery did not have, and sentences about strangers who sound the same.
    CorpusError for too little speech; ConfigError if the voice has another name already, unless
    `anyway` (without a calibration nobody can tell); and all of `Gallery.enroll`. One change: with
    an error the gallery stays as it was.
    """
    config = config or EnrollmentConfig()
    name = clean_name(name)
    with gallery.changing():
        people = gallery.people(fingerprint, embedder=embedder)
        own = next((p for p in people if fold_name(p.name) == fold_name(name)), None)
        new = {s.hash: s for s in sounds if own is None or s.hash not in own.hashes}
        known_s = own.speech_s if own else 0.0
        total_s = known_s + sum(s.speech_s for s in new.values())
        if total_s < config.min_speech_s:
            raise CorpusError(
                f"there are {int(10 * total_s) / 10} s of speech of {shown(name)} in all: "
                f"{config.min_speech_s:g} s are needed, so give more files or a lower minimum",
                setting="min_speech_s",
            )
        notes = []
        for other in _who_else(list(new.values()), own, people, calibration, config):
            if other.kind == "stranger":
                notes.append(
                    f"the unknown speaker {other.name} sounds the same: rename {other.name} to "
                    f"{shown(name)} to merge them"
                )
            elif not anyway:
                raise ConfigError(
                    f"{shown(name)} sounds like {shown(other.name)}, who is in the "
                    f"gallery already (probability {other.probability:.2f}): enroll the files as "
                    f"{shown(other.name)}, or do it anyway if they are two people",
                    setting="anyway",
                )
        return gallery.enroll(name, sounds, fingerprint=fingerprint, embedder=embedder), notes


def _who_else(
    sounds: Sequence[Sound],
    own: Person | None,
    people: Sequence[Person],
    calibration: Calibration | None,
    config: EnrollmentConfig,
) -> list[Match]:
    """The people other than `own` who a sound is probably of, and more like than like `own`."""
    found: dict[str, Match] = {}
    for sound in sounds:
        ranked = rank_people(sound.vectors[0], sound.speech_s, people, calibration)
        for match in ranked:
            if own is not None and match.name == own.name:
                break
            if (match.probability or 0.0) >= config.same_probability:
                found.setdefault(match.name, match)
    return list(found.values())


def reembed(
    gallery: Gallery,
    voices: ClipEmbedder,
    embedder: str,
    *,
    on_done: Callable[[int, int], None] | None = None,
) -> Exchanged:
    """Make vectors of another encoder anew from kept sounds, with the embedder of `voices` called
    `embedder`. The gallery changes at the end, in one step; see `Gallery.replace_exemplars`."""
    from torch import from_numpy

    from encoder.audio.flac import from_flac

    numbers = gallery.sounds_of_another(voices.embedder.fingerprint)
    made = {}
    for done, number in enumerate(numbers):
        if on_done:
            on_done(done, len(numbers))
        kept = gallery.kept_sound(number)
        wave = from_numpy(from_flac(kept.content).astype(np.float32) / 32_768)
        voice = voices.of_wave(wave)
        if voice.vector is None:
            raise CorpusError(
                f"no speech is found in the sound kept of {shown(kept.name)} ({kept.source}): "
                "use the segmenter it was enrolled with, or forget and enroll them again"
            )
        made[number] = clip_sound(voice, kept.source, keep=False)
    return gallery.replace_exemplars(
        made, fingerprint=voices.embedder.fingerprint, embedder=embedder
    )
