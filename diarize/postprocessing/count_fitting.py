"""Speakers joined or parted until there are as many as are allowed.

The recording decides first, without regard to the bounds; what it says is changed no more than
needed. Too many: the most similar two become one. Too few: the window most unlike its speaker
begins a new one, with the windows of that speaker which are nearer to it than to the speaker's
mean. So little speech moves where little is certain; a speaker who was never found is mostly one
who says little.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diarize.clustering.count_enforcement import enforce_count
from diarize.core.labels import by_first_appearance
from diarize.core.speaker_count import SpeakerCount
from diarize.core.vectors import Labels, Vectors
from diarize.embedding.windows import WindowConfig, Windows
from encoder.common.vectors import unit_rows

__all__ = ["fit_count"]

LEAST_S = 0.6  # of one speaker alone; less may be anything


def fit_count(
    embeddings: Vectors,
    windows: Windows,
    labels: Labels,
    count: SpeakerCount,
    config: WindowConfig | None = None,
) -> Labels:
    """Labels (N,) with a number of speakers that `count` allows, by first appearance.

    embeddings (N, D) unit vectors. Windows labelled -1 keep that. There are never more speakers
    than windows with a label.
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
        labels[_odd(embeddings, windows.territory_s, labels, eligible)] = K
        K += 1
    return by_first_appearance(labels)


def _eligible(windows: Windows, config: WindowConfig | None) -> NDArray[np.bool_]:
    if windows.alone is None:
        return windows.is_clear(config)
    return windows.alone & (windows.territory_s >= LEAST_S)


def _odd(
    embeddings: Vectors,
    seconds: NDArray[np.float64],
    labels: Labels,
    eligible: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """Which windows become a speaker of their own: part of those of one speaker who has several."""
    several = np.bincount(labels[labels >= 0])[labels] > 1
    several &= labels >= 0
    centres = np.stack(
        [seconds[own := labels == k] @ embeddings[own] for k in range(int(labels.max()) + 1)]
    )
    fit = (embeddings * unit_rows(centres)[labels]).sum(axis=1)
    order = np.argsort(fit, kind="stable")
    candidates = [*order[(eligible & several)[order]], *order[(~eligible & several)[order]]]
    for row in candidates:
        members = np.flatnonzero(labels == labels[row])
        moved = members[embeddings[members] @ embeddings[row] > fit[members]]
        moved = np.union1d(moved, [row])
        if len(moved) < len(members):
            return moved
    return np.array([candidates[0]])
