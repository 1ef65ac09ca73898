"""What every clusterer is."""

from __future__ import annotations

from typing import Protocol

from diarize.core.speaker_count import SpeakerCount
from diarize.core.vectors import Labels, Vectors

__all__ = ["Clusterer"]


class Clusterer(Protocol):
    """A class with a `Config` attribute whose constructor takes one such config.

    A class attribute `scales = True` says that it takes any number of rows: none are merged first.
    With `groups = True` it takes any number too, with a third argument where there are very many:
    group (N,), 0..M-1, of rows that are surely one speaker. Others get the groups' means, unit.
    """

    @classmethod
    def for_clips(cls, min_similarity: float) -> Clusterer:
        """With settings for a folder of clips, where a single clip may be a speaker: about that
        mean cosine and more is one speaker."""
        ...

    def fit_predict(self, unit: Vectors, count: SpeakerCount) -> Labels:
        """Unit vectors (N, D), N >= 2 -> (N,) labels, any integers; -1 for noise."""
        ...
