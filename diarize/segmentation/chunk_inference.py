"""What all networks that read a wave in chunks share: the chunks' settings, and making regions.

A chunk of ten seconds has few speakers, whom a network can tell apart by itself (Bredin 2023,
pyannote.audio 2.1). Chunks go through it in batches while the wave goes by, one thread to a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from diarize.segmentation.base import ChunkActivity, Segmentation
from diarize.segmentation.chunk_stream import Chunk, mean_over_chunks
from diarize.segmentation.hysteresis import HysteresisConfig, binarize
from encoder.common.parallel import in_threads
from encoder.common.settings import Settings, bounded
from encoder.errors import ConfigError

__all__ = ["CHUNK_S", "ChunkedConfig", "segment_chunks"]

CHUNK_S = 10.0  # what the networks were trained on


@dataclass(frozen=True)
class ChunkedConfig(Settings):
    """Settings of every such segmenter; the thresholds are on the probability that anyone speaks.

    ConfigError for a step that is not whole frames of 20 ms.
    """

    step_s: float = bounded(
        5.0,
        least=0.02,
        most=CHUNK_S,
        help="from chunk to chunk of 10 s, in seconds; less is slower",
    )
    hysteresis: HysteresisConfig = field(
        default_factory=lambda: HysteresisConfig(
            onset=0.5, offset=0.5, min_speech_s=0.1, min_silence_s=0.2, padding_s=0.0
        ),
        metadata={"help": "how probabilities become regions"},
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        hundredths = round(100 * self.step_s)
        if hundredths % 2 or hundredths != 100 * self.step_s:
            raise ConfigError(
                f"step_s is {self.step_s}: give a multiple of 0.02 seconds, at most {CHUNK_S}"
            )


def segment_chunks(
    blocks: Iterable[Tensor],
    chunked: Callable[[Iterable[Tensor]], Iterator[Chunk]],
    activity_of: Callable[[Sequence[Tensor]], NDArray[np.float16]],
    *,
    speakers: int,
    at_once: int,
    hop: int,
    hysteresis: HysteresisConfig,
) -> Segmentation:
    """Regions and local speakers of the wave made up by `blocks`; see `Segmenter.segment`.

    chunked: blocks -> chunks, equally long. activity_of: the features of up to `at_once` of them ->
    (C, F, S + 1), the probability that each of the `speakers` (S), and that anyone, speaks in each
    `hop` samples; it is called in several threads.
    """
    length = 0

    def counted() -> Iterator[Tensor]:
        nonlocal length
        for block in blocks:
            length += len(block)
            yield block

    def infer(chunks: Sequence[Chunk]) -> tuple[list[int], NDArray[np.float16]]:
        return [chunk.start for chunk in chunks], activity_of([chunk.features for chunk in chunks])

    # Few arrays that grow: many small ones would scatter the memory that blocks pass through.
    found, starts, frames = bytearray(), [], 0
    batches = in_threads(infer, _batches(chunked(counted()), at_once))
    try:
        for batch_starts, activity in batches:
            found += activity.tobytes()
            starts += batch_starts
            frames = activity.shape[1]
    finally:
        batches.close()
    S = speakers
    activity = np.frombuffer(found, np.float16).reshape(len(starts), frames, S + 1)
    at = np.array(starts, np.int64)
    speech = mean_over_chunks(activity[:, :, S], at // hop, -(-length // hop))
    regions = binarize(speech, hop=hop, length=length, config=hysteresis)
    return Segmentation(regions, ChunkActivity(activity[:, :, :S], at, hop))


def _batches(chunks: Iterator[Chunk], at_once: int) -> Iterator[list[Chunk]]:
    while batch := list(islice(chunks, at_once)):
        yield batch
