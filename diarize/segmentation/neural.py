"""Who speaks within each ten seconds, from the segmentation network of this toolkit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diarize.segmentation.base import Segmentation, Segmenter
from diarize.segmentation.chunk_inference import CHUNK_S, ChunkedConfig, segment_chunks
from diarize.segmentation.chunk_stream import Chunk, stream_chunks
from diarize.segmentation.hysteresis import HysteresisConfig
from diarize.segmentation.network.powerset import Powerset
from diarize.segmentation.network.weights import DEFAULT, load_network
from encoder.common.units import seconds_to_samples
from encoder.features.log_mel import LogMel

__all__ = ["NeuralConfig", "NeuralSegmenter"]

AT_ONCE = 16  # chunks


@dataclass(frozen=True)
class NeuralConfig(ChunkedConfig):
    """Settings of `NeuralSegmenter`; the thresholds are on the probability that anyone speaks."""

    weights: str = field(default=DEFAULT, metadata={"help": "a name or a path"})
    hysteresis: HysteresisConfig = field(
        default_factory=lambda: replace(ChunkedConfig().hysteresis, onset=0.65, offset=0.65),
        metadata={"help": "how probabilities become regions; it speaks through pauses"},
    )


class NeuralSegmenter(Segmenter):
    """Chunks of 10 s through the network, in batches, while the wave goes by.

    CheckpointError without weights. It depends on absolute loudness, which is why the pipeline
    brings every recording to one level first.
    """

    Config = NeuralConfig

    def __init__(self, config: NeuralConfig | None = None) -> None:
        self.config = config or NeuralConfig()
        self.network, features, self.fingerprint = load_network(self.config.weights)
        self._log_mel = LogMel(features)
        self._powerset = Powerset(self.network.config.speakers, self.network.config.at_once)
        self.frame_hop = 2 * features.hop  # samples

    def segment(self, blocks: Iterable[Tensor]) -> Segmentation:
        """Regions and local speakers of the wave made up by `blocks`; see `Segmenter.segment`."""
        return segment_chunks(
            blocks,
            self._chunks,
            self._activity,
            speakers=self._powerset.speakers,
            at_once=AT_ONCE,
            hop=self.frame_hop,
            hysteresis=self.config.hysteresis,
        )

    def _chunks(self, blocks: Iterable[Tensor]) -> Iterator[Chunk]:
        size, step = seconds_to_samples(CHUNK_S), seconds_to_samples(self.config.step_s)
        return stream_chunks(blocks, self._log_mel, size=size, step=step)

    @torch.inference_mode()
    def _activity(self, features: Sequence[Tensor]) -> NDArray[np.float16]:
        """(C, F, S + 1): the probability that each one, and that anyone, speaks."""
        p = self.network(torch.stack(list(features))).exp()
        both = torch.cat([self._powerset.activity(p), 1 - p[:, :, :1]], dim=2)
        return np.asarray(both.to(torch.float16).numpy())
