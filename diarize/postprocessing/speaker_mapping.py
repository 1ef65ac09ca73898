"""Which speaker of the recording each local speaker of a chunk is, and each window.

Segmentation tells speakers apart within a chunk, clustering of windows over the whole recording. A
local speaker is the speaker whose mean is nearest to the windows in which only that local speaker
is active; different local speakers of a chunk are different speakers, as long as there are enough.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from diarize.core.vectors import group_means
from diarize.embedding.windows import Windows
from diarize.segmentation.base import ACTIVE, ChunkActivity
from encoder.common.vectors import unit_rows

__all__ = ["WindowPosteriors", "centroids", "map_local_speakers", "window_posteriors"]


class WindowPosteriors(NamedTuple):
    """territory (N, 2) in samples, sorted and disjoint; probability (N, K) of each speaker in it,
    of which a row sums to 1."""

    territory: NDArray[np.int64]
    probability: NDArray[np.float32]


def centroids(embeddings: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """Unit vectors (N, D), labels (N,) in -1..K-1 -> the speakers' unit means (K, D)."""
    known = labels >= 0
    means = group_means(embeddings[known], labels[known], int(labels.max(initial=-1)) + 1)
    return np.asarray(unit_rows(means), np.float32)


def window_posteriors(
    windows: Windows,
    embeddings: NDArray[np.float32],
    labels: NDArray[np.int64],
    *,
    softmax_scale: float = 10.0,
) -> WindowPosteriors:
    """The softmax of each window's cosines to the speakers' means, times `softmax_scale`."""
    cosines = embeddings @ centroids(embeddings, labels).T
    p = np.exp(softmax_scale * (cosines - cosines.max(axis=1, keepdims=True, initial=-1)))
    p /= p.sum(axis=1, keepdims=True)
    return WindowPosteriors(windows.territory, p)


def map_local_speakers(
    chunks: ChunkActivity,
    windows: Windows,
    embeddings: NDArray[np.float32],
    labels: NDArray[np.int64],
) -> NDArray[np.int64]:
    """(C, S) the speaker 0..K-1 that each local speaker is; -1 for those who are never active.

    embeddings (N, D) unit vectors and labels (N,) of the windows.
    """
    activity, starts, hop = chunks.activity, chunks.starts, chunks.frame_hop
    means = centroids(embeddings, labels)
    out = np.full((activity.shape[0], activity.shape[2]), -1, np.int64)
    if len(means) == 0:
        return out
    bounds = windows.bounds // hop
    for c, (chunk, start) in enumerate(zip(activity, (starts // hop).tolist(), strict=True)):
        speaks = chunk >= ACTIVE
        present = np.flatnonzero(speaks.any(axis=0))
        if len(present) == 0:
            continue
        alone = speaks & (speaks.sum(axis=1, keepdims=True) == 1)
        # Windows of a recording are sorted by their ends as well.
        some = slice(
            int(np.searchsorted(bounds[:, 1], start, side="right")),
            int(np.searchsorted(bounds[:, 0], start + len(chunk))),
        )
        inside = np.clip(bounds[some] - start, 0, len(chunk))
        weights = _purity(alone, inside)
        never = ~weights.any(axis=0)
        weights[:, never] = _purity(speaks[:, never], inside)
        similarity = unit_rows(weights[:, present].T @ embeddings[some]) @ means.T
        similarity *= np.sqrt(np.maximum(alone[:, present].sum(axis=0), 1))[:, None]
        out[c, present] = _placed(similarity)
    return out


def _purity(speaks: NDArray[np.bool_], inside: NDArray[np.int64]) -> NDArray[np.float64]:
    """(F, S) and windows (n, 2) in frames -> (n, S): how long each speaks in each window, times the
    share of the window that this is."""
    sums = np.concatenate([np.zeros((1, speaks.shape[1])), np.cumsum(speaks, axis=0)])
    frames = sums[inside[:, 1]] - sums[inside[:, 0]]
    size = np.maximum(inside[:, 1:] - inside[:, :1], 1)
    return np.asarray(frames * frames / size)


def _placed(similarity: NDArray[np.floating]) -> NDArray[np.int64]:
    """(n, K) -> (n,) different columns with the largest sum; the rest, if n > K, the best one."""
    chosen = similarity.argmax(axis=1)
    rows, columns = linear_sum_assignment(similarity, maximize=True)
    chosen[rows] = columns
    return np.asarray(chosen, np.int64)
