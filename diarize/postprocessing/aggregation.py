"""From who speaks within each chunk, and who is who over all chunks, to turns that may overlap.

Each chunk knows its local speakers; clustering says which speaker of the recording each of them is.
Somebody speaks in the segmenter's regions. How many speak is the sum of the local speakers'
probabilities, averaged over the chunks and rounded: two halves are one speaker of whom it is not
clear which, not two. Who they are, two witnesses say: the chunks, which hear every change of
speaker, and the voices of the windows around, which are compared over the whole recording.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from diarize.core.regions import united
from diarize.embedding.windows import Windows
from diarize.postprocessing.config import AggregationConfig
from diarize.postprocessing.speaker_mapping import centroids, local_labels
from diarize.segmentation.base import Segmentation
from diarize.segmentation.hysteresis import HysteresisConfig, binarize

__all__ = [
    "WindowPosteriors",
    "by_first_heard",
    "heard_regions",
    "speaker_regions",
    "stitch",
    "window_posteriors",
]

BLOCK = 1 << 15  # frames at a time, for the memory of a long recording


class WindowPosteriors(NamedTuple):
    """territory (N, 2) in samples, sorted and disjoint; likely (N, K): whose voice is there."""

    territory: NDArray[np.int64]
    likely: NDArray[np.float32]


def window_posteriors(
    windows: Windows,
    embeddings: NDArray[np.float32],
    labels: NDArray[np.int64],
    *,
    sharpness: float = 10.0,
) -> WindowPosteriors:
    """Whose voice each window is, the softmax of its cosines to the speakers' means."""
    cosines = embeddings @ centroids(embeddings, labels).T
    likely = np.exp(sharpness * (cosines - cosines.max(axis=1, keepdims=True, initial=-1)))
    likely /= likely.sum(axis=1, keepdims=True)
    return WindowPosteriors(windows.territory, likely)


def stitch(
    segmentation: Segmentation,
    labels: NDArray[np.int64],
    *,
    length: int,
    voices: WindowPosteriors | None = None,
    config: AggregationConfig | None = None,
) -> NDArray[np.bool_]:
    """Who speaks in each frame, (T, K) for T frames of a recording of `length` samples.

    segmentation: with `regions` and `activity` (C, F, S). labels (C, S): the speaker 0..K-1 that
    each local one is; -1 for local speakers that are nobody, who are not counted either. Two local
    speakers of a chunk with one label are one speaker. Without `voices` the chunks alone say who it
    is.
    """
    config = config or AggregationConfig()
    activity, starts, hop = segmentation.activity, segmentation.chunk_starts, segmentation.frame_hop
    if activity is None or starts is None or hop is None:
        raise ValueError("this segmenter does not tell speakers apart")
    K = int(labels.max(initial=-1)) + 1 if voices is None else voices.likely.shape[1]
    out = np.zeros((-(-length // hop), K), bool)
    first = starts // hop
    for start in range(0, len(out), BLOCK):
        block = out[start : start + BLOCK]
        some = slice(
            int(np.searchsorted(first, start - activity.shape[1], side="right")),
            int(np.searchsorted(first, start + len(block))),
        )
        heard, expected = _chunks_say(
            activity[some], labels[some], first[some] - start, block.shape
        )
        count = np.maximum(np.floor(expected - config.overlap) + 1, 1)
        if config.exclusive:
            count[:] = 1
        count *= _within(segmentation.regions, hop, start, len(block)) >= 0
        if voices is not None and K:
            heard *= 1 - config.voices
            heard += config.voices * _windows_say(voices, hop, start, len(block))
        # Equals go to the speaker who came first, as the sort is stable.
        rank = np.argsort(np.argsort(-heard, axis=1, kind="stable"), axis=1, kind="stable")
        block[:] = (rank < count[:, None]) & (heard > 0)
    return out


def _chunks_say(
    activity: NDArray[np.floating],
    labels: NDArray[np.int64],
    first: NDArray[np.int64],
    shape: tuple[int, ...],
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """How much each speaker is heard in the frames of a block (T, K), and how many speakers are
    expected to speak (T,)."""
    T, K = shape
    heard, expected, chunks = np.zeros((T, K), np.float32), np.zeros(T), np.zeros(T)
    for chunk, names, start in zip(activity, labels, first.tolist(), strict=True):
        part = slice(max(start, 0), min(start + len(chunk), T))
        inside = chunk[part.start - start : part.stop - start]
        own = np.zeros((len(inside), K), np.float32)
        for speaker in np.unique(names[names >= 0]):
            own[:, speaker] = inside[:, names == speaker].max(axis=1)
        heard[part] += own
        expected[part] += own.sum(axis=1)
        chunks[part] += 1
    chunks = np.maximum(chunks, 1)
    heard /= chunks[:, None].astype(np.float32)
    return heard, expected / chunks


def _windows_say(
    voices: WindowPosteriors, hop: int, first: int, frames: int
) -> NDArray[np.float32]:
    """Whose voice is in the frames from `first` on (T, K); zeros where there is no window."""
    at = _within(voices.territory, hop, first, frames)
    return np.where(at[:, None] >= 0, voices.likely[at], np.float32(0))


def _within(spans: NDArray[np.int64], hop: int, first: int, frames: int) -> NDArray[np.int64]:
    """Which of the spans (n, 2) in samples, sorted and disjoint, the middle of each frame from
    `first` on lies in (T,); -1 if in none."""
    if not len(spans):
        return np.full(frames, -1)
    middle = (np.arange(first, first + frames) + 0.5) * hop
    at = np.searchsorted(spans[:, 0], middle, side="right") - 1
    return np.where((at >= 0) & (middle < spans[at, 1]), at, -1)


def heard_regions(
    segmentation: Segmentation,
    windows: Windows,
    embeddings: NDArray[np.float32],
    labels: NDArray[np.int64],
    *,
    length: int,
    config: AggregationConfig | None = None,
) -> list[NDArray[np.int64]] | None:
    """For each label 0..K-1 the regions (n, 2) in samples in which that speaker is heard; None from
    a segmenter that does not tell speakers apart.

    embeddings (N, D) unit vectors and labels (N,) of the windows. Nobody who has windows is lost:
    who is heard beneath others only has the windows' territories.
    """
    if segmentation.activity is None or segmentation.frame_hop is None:
        return None
    config = config or AggregationConfig()
    active = stitch(
        segmentation,
        local_labels(segmentation, windows, embeddings, labels),
        length=length,
        voices=window_posteriors(windows, embeddings, labels, sharpness=config.sharpness),
        config=config,
    )
    regions = speaker_regions(active, hop=segmentation.frame_hop, length=length, config=config)
    return [
        own if len(own) else united([windows.territory[labels == speaker]])
        for speaker, own in enumerate(regions)
    ]


def speaker_regions(
    active: NDArray[np.bool_], *, hop: int, length: int, config: AggregationConfig | None = None
) -> list[NDArray[np.int64]]:
    """(T, K) -> for each speaker the regions (n, 2) in samples, gaps closed and blinks dropped."""
    config = config or AggregationConfig()
    rule = HysteresisConfig(
        onset=0.5,
        offset=0.5,
        min_speech_s=config.min_turn_s,
        min_silence_s=0.0 if config.exclusive else config.min_gap_s,
        padding_s=0.0,
    )
    return [
        binarize(column.astype(np.float32), hop=hop, length=length, config=rule)
        for column in active.T
    ]


def by_first_heard(
    labels: NDArray[np.int64], regions: list[NDArray[np.int64]]
) -> tuple[NDArray[np.int64], list[NDArray[np.int64]]]:
    """Labels (N,) and each one's regions, numbered anew in the order in which they are first heard.
    Every label has a region."""
    order = np.argsort([own[0, 0] for own in regions], kind="stable")
    number = np.append(np.argsort(order), -1)  # -1 stays -1
    return number[labels], [regions[speaker] for speaker in order]
