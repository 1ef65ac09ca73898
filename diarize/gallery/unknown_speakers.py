"""Remembering unnamed voices, so that a stranger is called the same in the next recording."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from diarize.gallery.config import NamingConfig
from diarize.gallery.gallery import Gallery
from diarize.gallery.identification import UNLIKE, Naming, Seconds, Vectors, judge_voices
from diarize.gallery.schema import Person, Sound

if TYPE_CHECKING:
    from encoder.calibration.score_calibration import Calibration

__all__ = ["LinkConfig", "link_strangers"]


@dataclass(frozen=True)
class LinkConfig:
    """Which strangers are remembered."""

    min_speech_s: float = field(
        default=5.0, metadata={"help": "voices heard for less are not remembered"}
    )
    new_below: float = field(
        default=0.9,
        metadata={"help": "a known stranger gets an exemplar that is less similar to all others"},
    )


def link_strangers(
    gallery: Gallery,
    naming: Naming,
    vectors: Vectors,
    speech_s: Seconds,
    source: str,
    *,
    fingerprint: str,
    embedder: str,
    calibration: Calibration | None,
    rule: NamingConfig | None = None,
    config: LinkConfig | None = None,
) -> Naming:
    """Name what `naming` left unnamed, and write it into the gallery, in one change.

    vectors (K, D) and speech_s (K,) are the voices of `naming`, by label; see `speaker_vectors`.
    source: what the recording is called. Voices are compared again, since another process may have
    remembered the same stranger meanwhile. A voice that nobody is like becomes a new stranger; one
    that is like two people, or whose parts disagree, stays unnamed. StoreError where the gallery
    cannot be written or is of another encoder.
    """
    rule, config = rule or NamingConfig(), config or LinkConfig()
    names, matches, reasons = list(naming.names), list(naming.matches), list(naming.reasons)
    with gallery.changing():
        people = gallery.people(fingerprint, embedder=embedder)
        by_name = {person.name: person for person in people}
        judged = judge_voices(vectors, speech_s, people, calibration, rule=rule)
        for label, seconds in enumerate(speech_s):
            if seconds < config.min_speech_s:
                continue
            sound = _sound(source, vectors[label], float(seconds))
            name = names[label]
            if name is None and reasons[label] in UNLIKE:
                match, reason = judged[label]
                if match is not None and reason is None:
                    if match.name in names:
                        continue  # the clusterer and the caller say that these are two
                    name, matches[label] = match.name, match
                elif reason in UNLIKE:
                    name = gallery.remember_stranger(
                        [sound], fingerprint=fingerprint, embedder=embedder
                    )
                else:
                    continue
                names[label], reasons[label] = name, None
            known = by_name.get(name or "")
            if known is not None and known.kind == "stranger" and _adds(sound, known, config):
                gallery.enroll(known.name, [sound], fingerprint=fingerprint, embedder=embedder)
    return replace(naming, names=names, matches=matches, reasons=reasons)


def _sound(source: str, vector: Vectors, speech_s: float) -> Sound:
    row = np.asarray(vector, np.float32)[None]
    digest = hashlib.sha256(row.astype("<f4").tobytes()).hexdigest()
    return Sound(source, digest, speech_s, row, np.array([speech_s]))


def _adds(sound: Sound, person: Person, config: LinkConfig) -> bool:
    return float((person.exemplars @ sound.vectors[0]).max(initial=-1.0)) < config.new_below
