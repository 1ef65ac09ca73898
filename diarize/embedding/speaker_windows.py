"""Windows that end where the speaker changes, as a segmentation network hears it.

Within a chunk a network tells local speakers apart. Where the same ones speak on, there is one
stretch: cut into windows it has no change of speaker in it, so that windows need not overlap, and
their vectors are of one speaker each. The local speakers of a chunk are linked to those of the one
before by the frames that both chunks have.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from diarize.embedding.windows import WindowConfig, Windows
from diarize.segmentation.base import ACTIVE, ChunkActivity, Segmentation
from encoder.common.units import SAMPLE_RATE, seconds_to_samples

__all__ = ["cut_speaker_windows"]

SHORTEST_S = 0.3  # shorter stretches belong to the one before
FEWEST = 10  # windows, where there is so much speech that they can be of some length
LINKED = 0.5  # share of a local speaker's frames in both chunks that the linked one must have
GRAIN = SAMPLE_RATE // 5  # lengths are multiples, as every new length costs an embedder set-up


def cut_speaker_windows(
    segmentation: Segmentation, *, length: int, config: WindowConfig | None = None
) -> Windows:
    """Cut the regions where the local speakers who speak change, and long stretches evenly.

    segmentation: with `chunks`, else ValueError. length: samples of the recording. Windows are at
    most `config.longest_s` long, and shorter where there is little speech; those below
    `config.min_window_s` are widened to that.
    """
    config = config or WindowConfig()
    if segmentation.chunks is None:
        raise ValueError("this segmenter does not tell speakers apart")
    speakers = _speakers(segmentation.chunks, length)
    hop = segmentation.chunks.frame_hop
    speech_s = int(np.diff(segmentation.regions, axis=1).sum()) / SAMPLE_RATE
    longest_s = min(config.longest_s, max(config.min_clustering_window_s, speech_s / FEWEST))
    territory = [np.zeros((0, 2), np.int64)]
    region: list[int] = []
    alone: list[bool] = []
    for number, (start, end) in enumerate(segmentation.regions.tolist()):
        for first, last, count in _stretches(speakers, start, end, hop):
            pieces = -(-(last - first) // seconds_to_samples(longest_s))
            edges = np.linspace(first, last, pieces + 1).round().astype(np.int64)
            territory.append(np.stack([edges[:-1], edges[1:]], axis=1))
            region += [number] * pieces
            alone += [count == 1] * pieces
    tiles = np.concatenate(territory)
    return Windows(
        bounds=_bounds(tiles, length, config),
        territory=tiles,
        region=np.array(region, np.int64),
        alone=np.array(alone, bool),
    )


def _speakers(chunks: ChunkActivity, length: int) -> NDArray[np.int64]:
    """(T, S): the linked numbers of the local speakers who speak in each frame, in the chunk whose
    middle is nearest; -1 in the columns of those who do not."""
    activity, hop = chunks.activity, chunks.frame_hop
    first = chunks.starts // hop
    T, F = -(-length // hop), activity.shape[1]
    borders = (first[:-1] + first[1:] + F) // 2
    at = np.searchsorted(borders, np.arange(T), side="right")
    inside = np.minimum(np.arange(T) - first[at], F - 1)
    return np.where(activity[at, inside] >= ACTIVE, _linked(activity, first)[at], -1)


def _linked(activity: NDArray[np.floating], first: NDArray[np.int64]) -> NDArray[np.int64]:
    """(C, S): a number for each local speaker; one who goes on in the next chunk keeps it."""
    C, F, S = activity.shape
    numbers = np.arange(C * S).reshape(C, S)
    for c in range(1, C):
        apart = int(first[c] - first[c - 1])
        before = (activity[c - 1, apart:] >= ACTIVE).astype(np.int64)
        after = (activity[c, : F - apart] >= ACTIVE).astype(np.int64)
        both = before.T @ after
        for a, b in zip(*linear_sum_assignment(both, maximize=True), strict=True):
            if both[a, b] > 0 and both[a, b] >= LINKED * after[:, b].sum():
                numbers[c, b] = numbers[c - 1, a]
    return numbers


def _stretches(
    speakers: NDArray[np.int64], start: int, end: int, hop: int
) -> list[tuple[int, int, int]]:
    """Start, end and number of speakers of each stretch of a region, in samples; they tile it."""
    frames = np.sort(speakers[start // hop : max(start // hop + 1, -(-end // hop))], axis=1)
    changes = np.flatnonzero((frames[1:] != frames[:-1]).any(axis=1)) + 1
    edges = [start, *((start // hop + changes) * hop).tolist(), end]
    counts = (frames[[0, *changes.tolist()]] >= 0).sum(axis=1).tolist()
    shortest = seconds_to_samples(SHORTEST_S)
    found: list[tuple[int, int, int]] = []
    main = 0  # samples of the part that gave the last stretch its number of speakers
    for first, last, count in zip(edges[:-1], edges[1:], counts, strict=True):
        before = found[-1] if found else None
        if before and (last - first < shortest or before[1] - before[0] < shortest):
            longer = last - first > main
            found[-1] = (before[0], last, count if longer else before[2])
            main = max(main, last - first)
        else:
            found.append((first, last, count))
            main = last - first
    return found


def _bounds(territory: NDArray[np.int64], length: int, config: WindowConfig) -> NDArray[np.int64]:
    """(N, 2): around the middle of each territory, of its length in whole fifths of a second, but
    at least `min_window_s` and at most `embedded_s`, within the recording."""
    most = seconds_to_samples(config.embedded_s)
    sizes = np.minimum(territory[:, 1] - territory[:, 0], most) // GRAIN * GRAIN
    sizes = np.minimum(np.maximum(sizes, seconds_to_samples(config.min_window_s)), length)
    starts = np.clip((territory.sum(axis=1) - sizes) // 2, 0, length - sizes)
    return np.stack([starts, starts + sizes], axis=1)
