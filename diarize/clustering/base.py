"""What every clusterer is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from diarize.core.speaker_count import SpeakerCount
from diarize.core.vectors import Labels, Vectors
from encoder.errors import ConfigError

__all__ = ["Clusterer"]


class Clusterer(ABC):
    """A class with a `Config` whose constructor takes one such config, or none for the defaults.

    Subclass this and write `fit_predict`. `diarize.clustering.api.cluster` handles the corner cases
    and the bounds on the number of speakers.
    """

    Config: ClassVar[Any]
    # It takes any number of rows; others get at most as many as O(N^2) memory allows.
    scales: ClassVar[bool] = False
    # It takes any number of rows, and which of them belong together; others get the groups' means.
    takes_groups: ClassVar[bool] = False

    def __init__(self, config: Any = None) -> None:
        self.config = config

    @classmethod
    def for_clips(cls, min_similarity: float) -> Clusterer:
        """With settings for a folder of clips, where a single clip may be a speaker: clips of about
        that mean cosine and more are one speaker's. ConfigError where it has none."""
        raise ConfigError(f"the clusterer {cls.__name__} has no settings for clips: choose another")

    def for_speaker_windows(self, *, modelled: bool) -> Clusterer:
        """For windows that do not overlap, of one speaker each. modelled: resegmentation with a
        model of the vectors follows, which can leave out speakers but not add any."""
        return self

    @classmethod  # noqa: B027 - most need none
    def check_rows(cls, number: int) -> None:
        """BackendUnavailable, now, where so many rows need a package that is not installed."""

    @abstractmethod
    def fit_predict(
        self, unit: Vectors, count: SpeakerCount, group: Labels | None = None
    ) -> Labels:
        """Unit vectors (N, D), N >= 2 -> (N,) labels, any integers; -1 for noise.

        group: (N,) 0..M-1, rows that are surely one speaker; only where `takes_groups` and N is
        large. `count` may be ignored: `cluster` enforces it.
        """
