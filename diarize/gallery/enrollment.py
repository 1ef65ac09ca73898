"""Clips of one speaker -> enrollments for the gallery, and the checks before they are added."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from diarize.gallery.gallery import Gallery
from diarize.gallery.identification import Match, rank_speakers
from diarize.gallery.names import clean_name, fold_name, shown
from diarize.gallery.schema import EnrolledSpeaker, Enrollment, Exchanged
from encoder.common.settings import Settings, bounded
from encoder.common.units import SAMPLE_RATE
from encoder.common.vectors import unit_rows
from encoder.errors import ConfigError, CorpusError

if TYPE_CHECKING:
    from diarize.embedding.clip_embedding import ClipEmbedder, ClipEmbedding
    from encoder.calibration.score_calibration import Calibration

__all__ = ["EnrollmentConfig", "clip_enrollment", "clip_exemplars", "enroll", "is_mixed", "reembed"]

_KEPT_S = 60  # of a file's speech, where it is kept
_MIXED_BELOW = 0.2  # probability that two parts of a clip are one speaker
_MIXED_IN = (2, 3, 4)  # parts: of four speakers, two parts may sound alike


@dataclass(frozen=True)
class EnrollmentConfig(Settings):
    """What a new speaker's enrollments must fulfil."""

    min_speech_s: float = bounded(
        5.0, least=0, most=86_400, help="seconds of speech a speaker needs, in all files"
    )
    same_probability: float = bounded(
        0.9, least=0, most=1, help="enrollments of so probably another speaker are refused"
    )
    stretch_s: float = bounded(11.0, least=0.5, most=3600, help="length of an exemplar")
    most_stretches: int = bounded(
        4, least=0, most=1000, help="exemplars a file, beside one for the whole file"
    )


def clip_exemplars(
    pieces: NDArray[np.float32],
    vector: NDArray[np.float32],
    speech_s: float,
    clip_s: float,
    config: EnrollmentConfig | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Exemplars (E, D), unit, and the seconds (E,) of speech in each: the whole file's vector, and
    of a longer file means over stretches of some 11 s, evenly spread.

    pieces (P, D): of equal, evenly spread parts of `clip_s` seconds with `speech_s` of speech.
    """
    config = config or EnrollmentConfig()
    step_s = clip_s / (len(pieces) + 1)  # half overlapping: P pieces cover P + 1 steps
    size = max(1, round(config.stretch_s / step_s) - 1)
    count = min(config.most_stretches, round(clip_s / config.stretch_s))
    rows, seconds = [np.asarray(vector, np.float32)], [speech_s]
    if count >= 2 and len(pieces) > size:
        for start in np.linspace(0, len(pieces) - size, count).round().astype(int):
            mean = pieces[start : start + size].mean(axis=0, dtype=np.float64)
            rows.append(unit_rows(mean).astype(np.float32))
            seconds.append(speech_s * (size + 1) * step_s / clip_s)
    return np.stack(rows), np.array(seconds, np.float64)


def clip_enrollment(
    clip: ClipEmbedding, source: str, *, keep: bool, config: EnrollmentConfig | None = None
) -> Enrollment:
    """The enrollment of a clip that has a vector; `keep` stores up to 60 s of its speech, too."""
    from encoder.audio.flac import to_flac, to_int16

    assert clip.vector is not None
    wave = clip.wave.numpy()
    samples = to_int16(wave)
    vectors, seconds = clip_exemplars(
        clip.pieces, clip.vector, clip.speech_s, len(wave) / SAMPLE_RATE, config
    )
    return Enrollment(
        source=source,
        hash=hashlib.sha256(samples.astype("<i2").tobytes()).hexdigest(),
        speech_s=clip.speech_s,
        vectors=vectors,
        seconds=seconds,
        kept=to_flac(samples[: _KEPT_S * SAMPLE_RATE]) if keep else None,
    )


def is_mixed(pieces: NDArray[np.float32], piece_s: float, calibration: Calibration | None) -> bool:
    """Whether a clip seems to hold several speakers: of its pieces (P, D), clustered in 2 to 4, two
    clusters are unlikely to be of one. False without a calibration, and for fewer than 4 pieces."""
    if calibration is None or len(pieces) < 4:
        return False
    from scipy.cluster.hierarchy import fcluster, linkage  # slow to import

    merges = linkage(pieces, method="ward")
    cuts = (fcluster(merges, most, criterion="maxclust") for most in _MIXED_IN)
    return any(_apart(pieces, labels, piece_s, calibration) < _MIXED_BELOW for labels in cuts)


def _apart(
    pieces: NDArray[np.float32], labels: NDArray[np.int32], piece_s: float, calibration: Calibration
) -> float:
    """The least probability that two clusters of 2 pieces or more are of one speaker; 1 without."""
    own = [labels == label for label in np.unique(labels) if (labels == label).sum() >= 2]
    if len(own) < 2:
        return 1.0
    means = unit_rows(np.stack([pieces[one].mean(axis=0, dtype=np.float64) for one in own]))
    seconds = np.array([piece_s * (one.sum() + 1) / 2 for one in own])  # half overlapping
    same = calibration.probability(means @ means.T, seconds[:, None], seconds)
    return float(same[np.triu_indices(len(own), 1)].min())


def enroll(
    gallery: Gallery,
    name: str,
    enrollments: Sequence[Enrollment],
    *,
    fingerprint: str,
    embedder: str,
    calibration: Calibration | None,
    anyway: bool = False,
    config: EnrollmentConfig | None = None,
) -> tuple[int, list[str]]:
    """Add `enrollments` to the speaker `name`, who may be new.

    Returns how many the gallery did not have, and sentences about unknown speakers who sound the
    same. CorpusError for too little speech; ConfigError if the speaker has another name already,
    unless `anyway` (not checked without a calibration); and all of `Gallery.enroll`. One change:
    with an error the gallery stays as it was.
    """
    config = config or EnrollmentConfig()
    name = clean_name(name)
    with gallery.changing():
        enrolled = gallery.speakers(fingerprint, embedder=embedder)
        own = next((p for p in enrolled if fold_name(p.name) == fold_name(name)), None)
        new = {s.hash: s for s in enrollments if own is None or s.hash not in own.hashes}
        known_s = own.speech_s if own else 0.0
        total_s = known_s + sum(s.speech_s for s in new.values())
        if total_s < config.min_speech_s:
            raise CorpusError(
                f"there are {int(10 * total_s) / 10} s of speech of {shown(name)} in all: "
                f"{config.min_speech_s:g} s are needed, so give more files or a lower minimum",
                setting="min_speech_s",
            )
        notes = []
        for other in _who_else(list(new.values()), own, enrolled, calibration, config):
            if other.kind == "unknown":
                notes.append(
                    f"the unknown speaker {other.name} sounds the same: rename {other.name} to "
                    f"{shown(name)} to merge them"
                )
            elif not anyway:
                raise ConfigError(
                    f"{shown(name)} sounds like {shown(other.name)}, who is in the "
                    f"gallery already (probability {other.probability:.2f}): enroll the files as "
                    f"{shown(other.name)}, or do it anyway if they are two speakers",
                    setting="anyway",
                )
        return gallery.enroll(name, enrollments, fingerprint=fingerprint, embedder=embedder), notes


def _who_else(
    enrollments: Sequence[Enrollment],
    own: EnrolledSpeaker | None,
    enrolled: Sequence[EnrolledSpeaker],
    calibration: Calibration | None,
    config: EnrollmentConfig,
) -> list[Match]:
    """The speakers, other than `own` and nearer, who are probably that of an enrollment."""
    found: dict[str, Match] = {}
    for enrollment in enrollments:
        ranked = rank_speakers(enrollment.vectors[0], enrollment.speech_s, enrolled, calibration)
        for match in ranked:
            if own is not None and match.name == own.name:
                break
            if (match.probability or 0.0) >= config.same_probability:
                found.setdefault(match.name, match)
    return list(found.values())


def reembed(
    gallery: Gallery,
    clip_embedder: ClipEmbedder,
    embedder: str,
    *,
    on_done: Callable[[int, int], None] | None = None,
) -> Exchanged:
    """Embed kept sounds again where the vectors are of another encoder, with `clip_embedder`, whose
    embedder is called `embedder`. The gallery changes at the end, in one step; see
    `Gallery.replace_exemplars`."""
    from torch import from_numpy

    from encoder.audio.flac import from_flac

    numbers = gallery.sounds_of_another(clip_embedder.embedder.fingerprint)
    made = {}
    for done, number in enumerate(numbers):
        if on_done:
            on_done(done, len(numbers))
        kept = gallery.kept_sound(number)
        wave = from_numpy(from_flac(kept.content).astype(np.float32) / 32_768)
        clip = clip_embedder.of_wave(wave)
        if clip.vector is None:
            raise CorpusError(
                f"no speech is found in the sound kept of {shown(kept.name)} ({kept.source}): "
                "use the segmenter it was enrolled with, or forget and enroll them again"
            )
        made[number] = clip_enrollment(clip, kept.source, keep=False)
    return gallery.replace_exemplars(
        made, fingerprint=clip_embedder.embedder.fingerprint, embedder=embedder
    )
