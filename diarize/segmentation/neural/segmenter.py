"""Who speaks within each ten seconds, from the segmentation network of this toolkit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diarize.segmentation import Segmentation, Segmenter
from diarize.segmentation.hysteresis import HysteresisConfig, binarize
from diarize.segmentation.neural.chunks import Chunk, mean_over_chunks, stream_chunks
from diarize.segmentation.neural.powerset import Powerset
from diarize.segmentation.neural.weights import DEFAULT, load_network
from encoder.errors import ConfigError
from encoder.features import LogMel
from encoder.threads import in_threads
from encoder.units import seconds_to_samples

__all__ = ["NeuralConfig", "NeuralSegmenter"]

CHUNK_S = 10.0  # what the network was trained on
AT_ONCE = 16  # chunks


@dataclass(frozen=True)
class NeuralConfig:
    """Settings of `NeuralSegmenter`; the thresholds are on the probability that anyone speaks."""

    weights: str = field(default=DEFAULT, metadata={"help": "a name or a path"})
    step_s: float = field(
        default=5.0, metadata={"help": "from chunk to chunk of 10 s, in seconds; less is slower"}
    )
    hysteresis: HysteresisConfig = field(
        default_factory=lambda: HysteresisConfig(
            onset=0.5, offset=0.5, min_speech_s=0.1, min_silence_s=0.2, padding_s=0.0
        ),
        metadata={"help": "how probabilities become regions"},
    )

    def __post_init__(self) -> None:
        hundredths = round(100 * self.step_s)
        if not 0 < self.step_s <= CHUNK_S or hundredths % 2 or hundredths != 100 * self.step_s:
            raise ConfigError(
                f"step_s is {self.step_s}: give a multiple of 0.02 seconds, at most {CHUNK_S}"
            )


class NeuralSegmenter(Segmenter):
    """Chunks of 10 s through the network, in batches, while the wave goes by.

    CheckpointError without weights. It hears absolute loudness, which is why the pipeline brings
    every recording to one level first.
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
        length = 0

        def counted() -> Iterator[Tensor]:
            nonlocal length
            for block in blocks:
                length += len(block)
                yield block

        chunks = stream_chunks(
            counted(),
            self._log_mel,
            size=seconds_to_samples(CHUNK_S),
            step=seconds_to_samples(self.config.step_s),
        )
        # Few arrays that grow: many small ones would scatter the memory that blocks pass through.
        found, starts, frames = bytearray(), [], 0
        batches = in_threads(self._heard, _batches(chunks))
        try:
            for batch_starts, activity in batches:
                found += activity.tobytes()
                starts += batch_starts
                frames = activity.shape[1]
        finally:
            batches.close()
        S = self._powerset.speakers
        activity = np.frombuffer(found, np.float16).reshape(len(starts), frames, S + 1)
        at = np.array(starts, np.int64)
        speech = mean_over_chunks(
            activity[:, :, S], at // self.frame_hop, -(-length // self.frame_hop)
        )
        regions = binarize(speech, hop=self.frame_hop, length=length, config=self.config.hysteresis)
        return Segmentation(regions, activity[:, :, :S], at, self.frame_hop)

    @torch.inference_mode()
    def _heard(self, chunks: Sequence[Chunk]) -> tuple[list[int], NDArray[np.float16]]:
        """Starts, and (C, F, S + 1): the probability that each one, and that anyone, speaks."""
        features = torch.stack([chunk.features for chunk in chunks])
        p = self.network(features).exp()
        both = torch.cat([self._powerset.activity(p), 1 - p[:, :, :1]], dim=2)
        return [chunk.start for chunk in chunks], both.to(torch.float16).numpy()


def _batches(chunks: Iterator[Chunk]) -> Iterator[list[Chunk]]:
    while batch := list(islice(chunks, AT_ONCE)):
        yield batch
