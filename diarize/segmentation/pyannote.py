"""Who speaks within each ten seconds, from a public network: pyannote's segmentation-3.0.

`diarize models fetch pyannote-segmentation` fetches its weights (MIT, CNRS; Plaquet and Bredin
2023, arXiv 2310.13025; Bredin 2023, pyannote.audio 2.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diarize.segmentation.base import Segmentation, Segmenter
from diarize.segmentation.chunk_inference import CHUNK_S, ChunkedConfig, segment_chunks
from diarize.segmentation.chunk_stream import Chunk, stream_waves
from diarize.segmentation.network.powerset import Powerset
from diarize.segmentation.network.weights import PYANNOTE, load_pyannote
from encoder.common.units import SAMPLE_RATE, seconds_to_samples

__all__ = ["PyannoteConfig", "PyannoteSegmenter", "nearest_frames"]

CHUNK = seconds_to_samples(CHUNK_S)
FRAME = SAMPLE_RATE // 50  # samples: the frames that the network is asked about
AT_ONCE = 8  # chunks; more are not faster


@dataclass(frozen=True)
class PyannoteConfig(ChunkedConfig):
    """Settings of `PyannoteSegmenter`; the thresholds are on the probability that anyone speaks."""

    weights: str = field(default=PYANNOTE, metadata={"help": "a name or a path"})


class PyannoteSegmenter(Segmenter):
    """Chunks of 10 s through the network, in batches, while the wave goes by.

    A wave shorter than that is filled up with silence, which has no frames in the result.
    CheckpointError without weights.
    """

    Config = PyannoteConfig

    def __init__(self, config: PyannoteConfig | None = None) -> None:
        self.config = config or PyannoteConfig()
        self.network, self.fingerprint = load_pyannote(self.config.weights)
        self._powerset = Powerset(self.network.config.speakers, self.network.config.at_once)
        self._nearest = nearest_frames(hop=self.network.hop, seen=self.network.seen)
        self.frame_hop = FRAME

    def segment(self, blocks: Iterable[Tensor]) -> Segmentation:
        """Regions and local speakers of the wave made up by `blocks`; see `Segmenter.segment`."""
        return segment_chunks(
            blocks,
            self._chunks,
            self._activity,
            speakers=self._powerset.speakers,
            at_once=AT_ONCE,
            hop=FRAME,
            hysteresis=self.config.hysteresis,
        )

    def _chunks(self, blocks: Iterable[Tensor]) -> Iterator[Chunk]:
        step = seconds_to_samples(self.config.step_s)
        return stream_waves(blocks, size=CHUNK, step=step, hop=FRAME)

    @torch.inference_mode()
    def _activity(self, waves: Sequence[Tensor]) -> NDArray[np.float16]:
        """(C, F, S + 1): the probability that each one, and that anyone, speaks."""
        silence = (0, CHUNK - len(waves[0]))
        heard = [
            self.network.convolve(torch.nn.functional.pad(wave[None], silence)) for wave in waves
        ]
        nearest = self._nearest[: len(waves[0]) // FRAME]
        p = self.network.classify(torch.cat(heard))[:, nearest].exp()
        both = torch.cat([self._powerset.activity(p), 1 - p[:, :, :1]], dim=2)
        return np.asarray(both.to(torch.float16).numpy())


def nearest_frames(*, hop: int, seen: int) -> Tensor:
    """(F,): which of a network's frames is nearest to the middle of each 20 ms of a chunk.

    hop: samples from one of its frames to the next; seen: samples that one sees.
    """
    frames = (CHUNK - seen) // hop + 1
    middles = torch.arange(CHUNK // FRAME) * FRAME + FRAME / 2
    return ((middles - seen / 2) / hop).round().long().clamp(0, frames - 1)
