"""Remembering unknown speakers, so that each has the same name in the next recording."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from diarize.gallery.config import NamingConfig
from diarize.gallery.gallery import Gallery
from diarize.gallery.identification import UNLIKE, Naming, Seconds, Vectors, match_speakers
from diarize.gallery.schema import EnrolledSpeaker, Enrollment
from encoder.common.settings import Settings, bounded

if TYPE_CHECKING:
    from encoder.calibration.score_calibration import Calibration

__all__ = ["LinkConfig", "link_unknown_speakers"]


@dataclass(frozen=True)
class LinkConfig(Settings):
    """Which unknown speakers are remembered."""

    min_speech_s: float = bounded(
        5.0, least=0, most=86_400, help="speakers with less speech are not remembered"
    )
    new_below: float = bounded(
        0.9,
        least=-1,
        most=1,
        help="a remembered speaker gets an exemplar that is less similar to all others",
    )


def link_unknown_speakers(
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

    vectors (K, D) and speech_s (K,) are those of `naming`, by label; see `speaker_vectors`.
    source: what the recording is called. Speakers are compared again, since another process may
    have remembered the same one meanwhile. Who is like no enrolled speaker becomes a new unknown
    one; who is like two, or whose parts disagree, stays unnamed. StoreError where the gallery
    cannot be written or is of another encoder.
    """
    rule, config = rule or NamingConfig(), config or LinkConfig()
    names, matches, reasons = list(naming.names), list(naming.matches), list(naming.reasons)
    with gallery.changing():
        enrolled = gallery.speakers(fingerprint, embedder=embedder)
        by_name = {speaker.name: speaker for speaker in enrolled}
        judged = match_speakers(vectors, speech_s, enrolled, calibration, rule=rule)
        for label, seconds in enumerate(speech_s):
            if seconds < config.min_speech_s:
                continue
            enrollment = _enrollment(source, vectors[label], float(seconds))
            name = names[label]
            if name is None and reasons[label] in UNLIKE:
                match, reason = judged[label]
                if match is not None and reason is None:
                    if match.name in names:
                        continue  # the clusterer and the caller say that these are two
                    name, matches[label] = match.name, match
                elif reason in UNLIKE:
                    name = gallery.remember_unknown(
                        [enrollment], fingerprint=fingerprint, embedder=embedder
                    )
                else:
                    continue
                names[label], reasons[label] = name, None
            known = by_name.get(name or "")
            if known is not None and known.kind == "unknown" and _adds(enrollment, known, config):
                gallery.enroll(known.name, [enrollment], fingerprint=fingerprint, embedder=embedder)
    return replace(naming, names=names, matches=matches, reasons=reasons)


def _enrollment(source: str, vector: Vectors, speech_s: float) -> Enrollment:
    row = np.asarray(vector, np.float32)[None]
    digest = hashlib.sha256(row.astype("<f4").tobytes()).hexdigest()
    return Enrollment(source, digest, speech_s, row, np.array([speech_s]))


def _adds(enrollment: Enrollment, speaker: EnrolledSpeaker, config: LinkConfig) -> bool:
    return float((speaker.exemplars @ enrollment.vectors[0]).max(initial=-1.0)) < config.new_below
