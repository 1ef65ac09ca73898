"""`cluster`: what every clusterer is called through, and where corner cases are handled.

A backend gets only finite unit vectors, N >= 2. `cluster` makes them so, puts very many rows into
groups first, enforces the bounds on the number of speakers whatever the backend finds, gives noise
a label if asked to, and numbers speakers by first appearance.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from diarize.clustering.base import Clusterer
from diarize.clustering.count_enforcement import enforce_count, join_nearest
from diarize.clustering.pre_clustering import reduce_rows
from diarize.core.labels import by_first_appearance
from diarize.core.speaker_count import SpeakerCount
from diarize.core.vectors import Labels, Vectors, group_means

__all__ = ["Labels", "SpeakerCount", "Vectors", "cluster"]

Noise = Literal["nearest", "keep", "own"]
MIN_DECIDING = 2  # rows; with fewer, short windows have a say too
MAX_EXACT = 3_000  # rows or groups of an O(N^2) backend: 4.5 million pairs, twice 36 MB as float64
BLOCK = 8_192  # rows


def cluster(
    embeddings: Vectors,
    clusterer: Clusterer,
    count: SpeakerCount | None = None,
    *,
    decides: NDArray[np.bool_] | None = None,
    noise: Noise = "nearest",
    max_exact: int = MAX_EXACT,
) -> Labels:
    """Group embeddings by speaker.

    Rows with NaN, infinities or zero norm cannot be compared and get -1. Beyond `max_exact` rows
    the vectors are kept as float32, once.

    Args:
        embeddings: (N, D) of any norm, N may be 0.
        clusterer: a backend of `diarize.clustering.CLUSTERERS`.
        count: bounds on the number of speakers, which are met, except that there are never more
            speakers than rows with a label.
        decides: (N,) marks the rows that speakers are made of (windows of full length); the others
            join the nearest speaker. All decide if None, or if too few would.
        noise: what becomes of rows that the backend leaves out: they join the "nearest" speaker,
            "keep" -1, or are speakers of their "own" (as a clip may be).
        max_exact: a backend without `scales` gets at most so many rows or groups of rows; more
            are merged to so many first.

    Returns:
        (N,) int64 labels 0..K-1 by first appearance, -1 for none.

    Raises:
        BackendUnavailable: the backend needs a package that is not installed.
    """
    embeddings = np.asarray(embeddings)
    count = count or SpeakerCount()
    labels = np.full(len(embeddings), -1, np.int64)
    unit, usable = _unit_rows(embeddings, np.float64 if len(labels) <= max_exact else np.float32)
    if len(unit):
        chosen = np.ones(len(unit), bool) if decides is None else np.asarray(decides, bool)[usable]
        if chosen.sum() < max(MIN_DECIDING, count.minimum):
            chosen[:] = True
        if chosen.all():
            found = _cluster_unit(unit, clusterer, count, noise, max_exact)
        else:
            found = np.full(len(unit), -1, np.int64)
            found[chosen] = _cluster_unit(unit[chosen], clusterer, count, noise, max_exact)
            found = np.where(chosen, found, join_nearest(unit, found))
        labels[usable] = found
    return by_first_appearance(labels)


def _unit_rows(embeddings: Vectors, dtype: type[np.floating]) -> tuple[Vectors, NDArray[np.bool_]]:
    """Unit vectors of the rows that can be compared, and which of (N,) these are."""
    if embeddings.dtype == dtype == np.float32 and _are_unit(embeddings):
        return embeddings, np.ones(len(embeddings), bool)
    unit = np.empty(embeddings.shape, dtype)
    usable = np.zeros(len(embeddings), bool)
    for start in range(0, len(embeddings), BLOCK):
        rows = np.asarray(embeddings[start : start + BLOCK], np.float64)
        norms = np.linalg.norm(rows, axis=1)
        good = np.isfinite(norms) & (norms > 0)
        usable[start : start + BLOCK] = good
        rows = np.where(good[:, None], rows, 0.0)
        unit[start : start + BLOCK] = rows / np.where(good, norms, 1.0)[:, None]
    return (unit if usable.all() else unit[usable]), usable


def _are_unit(rows: Vectors) -> bool:
    """As exactly as float32 can tell; then very many rows need no copy."""
    squared = np.einsum("nd,nd->n", rows, rows)
    return bool((np.abs(squared - 1) < 1e-6).all())


def _cluster_unit(
    unit: Vectors,
    clusterer: Clusterer,
    count: SpeakerCount,
    noise: Noise,
    max_exact: int,
) -> Labels:
    if len(unit) == 1 or count.maximum == 1:
        return np.zeros(len(unit), np.int64)
    labels = np.asarray(_fitted(unit, clusterer, count, max_exact), np.int64)
    if noise == "own":
        alone = np.flatnonzero(labels < 0)
        labels[alone] = labels.max() + 1 + np.arange(len(alone))
    elif (labels < 0).all():
        labels = np.zeros(len(unit), np.int64)  # one speaker looks like nothing but noise
    elif noise == "nearest":
        labels = join_nearest(unit, labels)
    return enforce_count(unit, labels, count.minimum, count.maximum)


def _fitted(unit: Vectors, clusterer: Clusterer, count: SpeakerCount, max_exact: int) -> Labels:
    if len(unit) <= max_exact or clusterer.scales:
        return clusterer.fit_predict(unit, count)
    group = reduce_rows(unit, max_exact)
    if clusterer.takes_groups:
        return clusterer.fit_predict(unit, count, group)
    means = group_means(unit, group, int(group.max()) + 1)
    means /= np.linalg.norm(means, axis=1, keepdims=True) + 1e-12
    return np.asarray(clusterer.fit_predict(means, count), np.int64)[group]
