"""From who speaks within each chunk to who speaks in each frame of the recording.

Someone speaks in the segmenter's regions. How many speak is the sum of the speakers' activities,
averaged over the chunks and rounded: two halves are one speaker of whom it is not clear which, not
two. Who they are, two scores decide: that of the chunks, which locate changes of speaker, and that
of the windows' embeddings, which compare speakers over the whole recording.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diarize.postprocessing.config import AggregationConfig
from diarize.postprocessing.speaker_mapping import WindowPosteriors
from diarize.segmentation.base import Segmentation

__all__ = ["aggregate"]

BLOCK = 1 << 15  # frames at a time, for the memory of a long recording


def aggregate(
    segmentation: Segmentation,
    speakers: NDArray[np.int64],
    *,
    length: int,
    posteriors: WindowPosteriors | None = None,
    config: AggregationConfig | None = None,
) -> NDArray[np.bool_]:
    """Who speaks in each frame, (T, K) for T frames of a recording of `length` samples.

    segmentation: with `chunks`, else ValueError. speakers (C, S): the speaker 0..K-1 that each
    local speaker is; -1 for local speakers that are none, who are not counted either. Two local
    speakers of a chunk that are one speaker count once. Without `posteriors` the chunks decide
    alone.
    """
    config = config or AggregationConfig()
    if segmentation.chunks is None:
        raise ValueError("this segmenter does not tell speakers apart")
    activity, hop = segmentation.chunks.activity, segmentation.chunks.frame_hop
    K = int(speakers.max(initial=-1)) + 1 if posteriors is None else posteriors.probability.shape[1]
    out = np.zeros((-(-length // hop), K), bool)
    first = segmentation.chunks.starts // hop
    for start in range(0, len(out), BLOCK):
        block = out[start : start + BLOCK]
        some = slice(
            int(np.searchsorted(first, start - activity.shape[1], side="right")),
            int(np.searchsorted(first, start + len(block))),
        )
        score, expected = _chunk_scores(
            activity[some], speakers[some], first[some] - start, block.shape
        )
        count = np.maximum(np.floor(expected - config.overlap_threshold) + 1, 1)
        if config.exclusive:
            count[:] = 1
        count *= _within(segmentation.regions, hop, start, len(block)) >= 0
        if posteriors is not None and K:
            score *= 1 - config.embedding_weight
            score += config.embedding_weight * _window_scores(posteriors, hop, start, len(block))
        # Equals go to the speaker who came first, as the sort is stable.
        rank = np.argsort(np.argsort(-score, axis=1, kind="stable"), axis=1, kind="stable")
        block[:] = (rank < count[:, None]) & (score > 0)
    return out


def _chunk_scores(
    activity: NDArray[np.floating],
    speakers: NDArray[np.int64],
    first: NDArray[np.int64],
    shape: tuple[int, ...],
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """The mean activity of each speaker in the frames of a block (T, K), and the number of speakers
    expected to speak (T,)."""
    T, K = shape
    score, expected, chunks = np.zeros((T, K), np.float32), np.zeros(T), np.zeros(T)
    for chunk, names, start in zip(activity, speakers, first.tolist(), strict=True):
        part = slice(max(start, 0), min(start + len(chunk), T))
        inside = chunk[part.start - start : part.stop - start]
        own = np.zeros((len(inside), K), np.float32)
        for speaker in np.unique(names[names >= 0]):
            own[:, speaker] = inside[:, names == speaker].max(axis=1)
        score[part] += own
        expected[part] += own.sum(axis=1)
        chunks[part] += 1
    chunks = np.maximum(chunks, 1)
    score /= chunks[:, None].astype(np.float32)
    return score, expected / chunks


def _window_scores(
    posteriors: WindowPosteriors, hop: int, first: int, frames: int
) -> NDArray[np.float32]:
    """The posterior of each speaker in the frames from `first` on (T, K); 0 without a window."""
    at = _within(posteriors.territory, hop, first, frames)
    return np.where(at[:, None] >= 0, posteriors.probability[at], np.float32(0))


def _within(spans: NDArray[np.int64], hop: int, first: int, frames: int) -> NDArray[np.int64]:
    """Which of the spans (n, 2) in samples, sorted and disjoint, the middle of each frame from
    `first` on lies in (T,); -1 if in none."""
    if not len(spans):
        return np.full(frames, -1)
    middle = (np.arange(first, first + frames) + 0.5) * hop
    at = np.searchsorted(spans[:, 0], middle, side="right") - 1
    return np.where((at >= 0) & (middle < spans[at, 1]), at, -1)
