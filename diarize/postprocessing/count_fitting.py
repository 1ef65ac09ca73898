"""Speakers joined or parted until there are as many as are allowed.

The recording decides first, without regard to the bounds; what it says is changed no more than
needed. Too many: the most similar two become one. Too few: some windows of one speaker become a new
one, namely a window with all those of that speaker that are nearer to it than to the speaker's
mean. Of all such groups that one goes that gains most similarity to its own mean, for its seconds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diarize.clustering.count_enforcement import enforce_count
from diarize.core.labels import by_first_appearance
from diarize.core.speaker_count import SpeakerCount
from diarize.core.vectors import Labels, Vectors, group_means
from diarize.embedding.windows import WindowConfig, Windows
from encoder.common.vectors import unit_rows

__all__ = ["fit_count"]

LEAST_S = 0.6  # of one speaker alone; less may be anything
TRIED = 500  # windows, those least like their speaker
# Of the seconds that gain is divided by: at 0 large groups go, at 1 odd windows; 0.5 to 0.8 is
# flat ground.
POWER = 0.65


def fit_count(
    embeddings: Vectors,
    windows: Windows,
    labels: Labels,
    count: SpeakerCount,
    config: WindowConfig | None = None,
) -> Labels:
    """Join or part speakers until there are as many as `count` allows.

    Args:
        embeddings: (N, D) unit vectors.
        windows: N windows.
        labels: (N,) speakers 0..K-1; windows labelled -1 keep that.
        count: bounds on the number of speakers; never more than there are windows with a label.
        config: which windows can make a speaker.

    Returns:
        (N,) int64 labels by first appearance.
    """
    K = int(labels.max(initial=-1)) + 1
    allowed = count.clip(K)
    if K == 0 or allowed == K:
        return labels
    if allowed < K:
        return by_first_appearance(enforce_count(embeddings, labels, allowed, allowed))
    labels = labels.copy()
    eligible = _eligible(windows, config) & (labels >= 0)
    while min(allowed, int((labels >= 0).sum())) > K:
        labels[_parted(embeddings, windows.territory_s, labels, eligible)] = K
        K += 1
    return by_first_appearance(labels)


def _eligible(windows: Windows, config: WindowConfig | None) -> NDArray[np.bool_]:
    if windows.alone is None:
        return windows.is_clear(config)
    return windows.alone & (windows.territory_s >= LEAST_S)


def _parted(
    embeddings: Vectors,
    seconds: NDArray[np.float64],
    labels: Labels,
    eligible: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """Which windows become a speaker of their own: part of those of one speaker who has several."""
    known = np.flatnonzero(labels >= 0)
    weighted = embeddings * seconds[:, None]
    centres = group_means(weighted[known], labels[known], int(labels.max()) + 1)
    fit = (embeddings * unit_rows(centres)[labels]).sum(axis=1)
    several = (labels >= 0) & (np.bincount(labels[known])[labels] > 1)
    order = np.argsort(fit, kind="stable")
    rows = order[(several & eligible)[order]]
    best, moved = -np.inf, order[several[order]][:1]
    for row in rows[:TRIED].tolist():
        members = np.flatnonzero(labels == labels[row])
        nearer = embeddings[members] @ embeddings[row] > fit[members]
        group = members[nearer | (members == row)]
        if len(group) == len(members):
            continue
        mean = unit_rows(weighted[group].sum(axis=0))
        gain = seconds[group] @ (embeddings[group] @ mean - fit[group])
        value = gain / seconds[group].sum() ** POWER
        if value > best:
            best, moved = value, group
    return moved
