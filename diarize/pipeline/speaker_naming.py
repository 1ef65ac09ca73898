"""Giving the speakers of a recording the names of a gallery."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from diarize.gallery.config import NamingConfig
from diarize.gallery.gallery import Gallery
from diarize.gallery.identification import name_speakers, speaker_vectors
from diarize.gallery.schema import EnrolledSpeaker
from diarize.gallery.unknown_speakers import LinkConfig, link_unknown_speakers
from diarize.pipeline.result import DiarizationResult

__all__ = ["name_result"]


def name_result(
    result: DiarizationResult,
    enrolled: Sequence[EnrolledSpeaker],
    *,
    link: Gallery | None = None,
    rule: NamingConfig | None = None,
    link_rule: LinkConfig | None = None,
) -> DiarizationResult:
    """The result with the names of those `enrolled` who speak in it; others stay SPEAKER_NN.

    Their vectors must be of the result's embedder (`Gallery.speakers` checks it). Labels that are
    one enrolled speaker become one speaker, but never fewer than `result.count.minimum`. link: a
    gallery in which speakers without a name are remembered. ConfigError without a calibration,
    unless the rule gives a similarity; StoreError if the gallery cannot be written.
    """
    rule = rule or result.config.naming
    windows = result.windows
    seconds, deciding = windows.territory_s, windows.is_clear(result.config.window)
    naming = name_speakers(
        result.embeddings,
        result.labels,
        seconds,
        deciding,
        enrolled,
        result.calibration,
        rule,
        minimum_speakers=result.count.minimum,
    )
    if link is not None:
        vectors, speech_s = speaker_vectors(result.embeddings, result.labels, seconds, deciding)
        naming = link_unknown_speakers(
            link,
            naming,
            np.asarray(vectors, np.float32),
            speech_s,
            result.uri,
            fingerprint=result.fingerprint,
            embedder=result.config.embedder,
            calibration=result.calibration,
            rule=rule,
            config=link_rule,
        )
    return result.named(naming)
