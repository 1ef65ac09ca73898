"""From who speaks within each chunk, and who is who over all chunks, to turns that may overlap.

Each chunk knows its local speakers; clustering says which speaker of the recording each of them is.
Where chunks overlap their opinions are averaged: how many speak in a frame is the mean of what the
chunks count, rounded, and it is those whom the chunks hear most.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from diarize.segmentation import Segmentation
from diarize.segmentation.hysteresis import HysteresisConfig, binarize
from encoder.errors import ConfigError

__all__ = ["StitchConfig", "speaker_regions", "stitch"]


@dataclass(frozen=True)
class StitchConfig:
    """How frames become turns; ConfigError if it makes no sense."""

    active: float = field(
        default=0.5, metadata={"help": "activity from which a chunk counts somebody as speaking"}
    )
    min_turn_s: float = field(default=0.1, metadata={"help": "drop turns shorter than this"})
    min_gap_s: float = field(
        default=0.2, metadata={"help": "close gaps of one speaker shorter than this"}
    )
    exclusive: bool = field(
        default=False, metadata={"help": "one speaker at a time: whoever is heard most"}
    )

    def __post_init__(self) -> None:
        if not 0 < self.active <= 1:
            raise ConfigError(f"active is {self.active}: give more than 0 and at most 1")


def stitch(
    segmentation: Segmentation,
    labels: NDArray[np.int64],
    *,
    length: int,
    config: StitchConfig | None = None,
) -> NDArray[np.bool_]:
    """Who speaks in each frame, (T, K) for T frames of a recording of `length` samples.

    segmentation: with `activity` (C, F, S). labels (C, S): the speaker 0..K-1 that each local one
    is; -1 for local speakers that are nobody, who are not counted either. Two local speakers of a
    chunk with one label are one speaker.
    """
    config = config or StitchConfig()
    activity, starts, hop = segmentation.activity, segmentation.chunk_starts, segmentation.frame_hop
    if activity is None or starts is None or hop is None:
        raise ValueError("this segmenter does not tell speakers apart")
    T, K = -(-length // hop), int(labels.max(initial=-1)) + 1
    heard, number, chunks = np.zeros((T, K), np.float32), np.zeros(T), np.zeros(T)
    for chunk, names, start in zip(activity, labels, (starts // hop).tolist(), strict=True):
        part = slice(start, min(start + len(chunk), T))
        own = np.zeros((part.stop - start, K), np.float32)
        for speaker in np.unique(names[names >= 0]):
            own[:, speaker] = chunk[: len(own), names == speaker].max(axis=1)
        heard[part] += own
        number[part] += (own >= config.active).sum(axis=1)
        chunks[part] += 1
    count = np.floor(number / np.maximum(chunks, 1) + 0.5)
    if config.exclusive:
        count = np.minimum(count, 1)
    # Equals go to the speaker who came first, as the sort is stable.
    rank = np.argsort(np.argsort(-heard, axis=1, kind="stable"), axis=1, kind="stable")
    return (rank < count[:, None]) & (heard > 0)


def speaker_regions(
    active: NDArray[np.bool_], *, hop: int, length: int, config: StitchConfig | None = None
) -> list[NDArray[np.int64]]:
    """(T, K) -> for each speaker the regions (n, 2) in samples, gaps closed and blinks dropped."""
    config = config or StitchConfig()
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
