"""`cluster`: the one door to every clusterer, which owns the corner cases.

Behind it a backend sees only finite unit vectors, N >= 2. The door makes them so, reduces very
many windows first, enforces the speaker count whatever the backend thinks, gives noise a label if
asked to, and numbers speakers by first appearance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from diarize.clustering.counts import enforce_count, join_nearest
from diarize.clustering.reduction import reduce_rows
from encoder.errors import ConfigError

__all__ = ["Clusterer", "SpeakerCount", "cluster"]

Vectors = NDArray[np.floating]
Labels = NDArray[np.int64]

MIN_DECIDING = 4  # rows; with fewer, short windows have a say too
MAX_EXACT = 5_000  # rows an O(N^2) backend gets at most: 12.5 million pairs, 100 MB as float64


@dataclass(frozen=True)
class SpeakerCount:
    """What is known about the number of speakers; `minimum == maximum` when it is told."""

    minimum: int = 1
    maximum: int | None = None

    def __post_init__(self) -> None:
        if self.minimum < 1:
            raise ConfigError(f"the number of speakers is {self.minimum}: give 1 or more")
        if self.maximum is not None and self.maximum < self.minimum:
            raise ConfigError(
                f"at most {self.maximum} but at least {self.minimum} speakers: "
                "give a maximum that is not below the minimum"
            )

    @classmethod
    def of(
        cls, speakers: int | None = None, minimum: int | None = None, maximum: int | None = None
    ) -> SpeakerCount:
        """From the three flags of the command line; `speakers` excludes the other two."""
        if speakers is not None:
            if minimum is not None or maximum is not None:
                raise ConfigError(
                    f"--speakers {speakers} is exact: leave out --min-speakers and --max-speakers"
                )
            return cls(speakers, speakers)
        return cls(1 if minimum is None else minimum, maximum)

    @property
    def exact(self) -> int | None:
        """The number of speakers if it is told, else None."""
        return self.minimum if self.minimum == self.maximum else None

    def clip(self, k: int) -> int:
        """The allowed number nearest to k."""
        return max(self.minimum, k if self.maximum is None else min(k, self.maximum))


class Clusterer(Protocol):
    """A class with a `Config` attribute whose constructor takes one such config."""

    def fit_predict(self, unit: Vectors, count: SpeakerCount) -> Labels:
        """Unit vectors (N, D), N >= 2 -> (N,) labels, any integers; -1 for noise."""
        ...


def cluster(
    embeddings: Vectors,
    clusterer: Clusterer,
    count: SpeakerCount | None = None,
    *,
    decides: NDArray[np.bool_] | None = None,
    noise: Literal["nearest", "keep"] = "nearest",
) -> Labels:
    """Embeddings (N, D) of any norm -> (N,) int64 labels 0..K-1 by first appearance.

    Rows with NaN, infinities or zero norm cannot be compared: they get -1. `decides` (N,) marks the
    rows that speakers are made of (windows of full length); the others join the nearest speaker,
    unless too few decide. `noise` says what happens to rows the backend left out: they join the
    nearest speaker, or keep -1. K obeys `count`, except that there are never more speakers than
    rows with a label.
    """
    embeddings = np.asarray(embeddings, np.float64)
    count = count or SpeakerCount()
    labels = np.full(len(embeddings), -1, np.int64)
    norms = np.linalg.norm(embeddings, axis=1) if len(embeddings) else np.zeros(0)
    usable = np.isfinite(norms) & (norms > 0)
    unit = embeddings[usable] / norms[usable, None]
    if len(unit):
        chosen = np.ones(len(unit), bool) if decides is None else np.asarray(decides, bool)[usable]
        if chosen.sum() < max(MIN_DECIDING, count.minimum):
            chosen[:] = True
        found = np.full(len(unit), -1, np.int64)
        found[chosen] = _cluster_unit(unit[chosen], clusterer, count, noise)
        labels[usable] = np.where(chosen, found, join_nearest(unit, found))
    return _by_first_appearance(labels)


def _cluster_unit(unit: Vectors, clusterer: Clusterer, count: SpeakerCount, noise: str) -> Labels:
    if len(unit) == 1 or count.maximum == 1:
        return np.zeros(len(unit), np.int64)
    rows, group = reduce_rows(unit, MAX_EXACT)
    labels = np.asarray(clusterer.fit_predict(rows, count), np.int64)[group]
    if (labels < 0).all():
        labels = np.zeros(len(unit), np.int64)  # one speaker looks like nothing but noise
    if noise == "nearest":
        labels = join_nearest(unit, labels)
    return enforce_count(unit, labels, count.minimum, count.maximum)


def _by_first_appearance(labels: Labels) -> Labels:
    order: dict[int, int] = {-1: -1}
    for label in labels.tolist():
        order.setdefault(label, len(order) - 1)
    return np.array([order[label] for label in labels.tolist()], np.int64)
