"""The network of pyannote's segmentation-3.0: who speaks in each frame of a chunk, from the wave.

    wave (B, T) -> a bank of filters, two convolutions (SincNet; Ravanelli and Bengio 2018, arXiv
    1808.00158) -> LSTMs in both directions -> two linear layers -> one of 7 classes a frame

Every stage before the LSTMs is brought to mean 0 and variance 1 over the chunk, so that loudness
and microphone matter little, and nothing can be shared by chunks that overlap (Bredin 2023,
pyannote.audio 2.1; Plaquet and Bredin 2023, arXiv 2310.13025).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from diarize.segmentation.network.powerset import Powerset
from encoder.common.settings import Settings, bounded
from encoder.errors import ConfigError

__all__ = ["PyanNet", "PyanNetConfig"]

KERNEL, POOL = 5, 3  # of the convolutions, and of the maximum after each of the three stages


@dataclass(frozen=True)
class PyanNetConfig(Settings):
    """Shape of `PyanNet`; the defaults are pyannote's segmentation-3.0."""

    filters: int = bounded(80, least=1, most=4096, help="filters of the bank")
    taps: int = bounded(251, least=1, most=16_000, help="samples that a filter spans")
    stride: int = bounded(10, least=1, most=1000, help="samples from one filtering to the next")
    width: int = bounded(60, least=1, most=4096, help="channels of the convolutions")
    layers: int = bounded(4, least=1, most=100, help="LSTMs on top of each other")
    hidden: int = bounded(128, least=1, most=8192, help="units of an LSTM in each direction")
    linear: int = bounded(128, least=1, most=8192, help="units of the two linear layers")
    speakers: int = bounded(3, least=1, most=6, help="local speakers (S)")
    at_once: int = bounded(2, least=1, most=6, help="local speakers at one time")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.at_once > self.speakers:
            raise ConfigError(f"at_once is {self.at_once}: give at most speakers ({self.speakers})")


class PyanNet(nn.Module):
    """(B, T) waves -> (B, F, Q) log-probabilities of classes; T is `seen` at least.

    hop: samples from frame to frame. seen: samples that a frame sees, the first one from the first
    sample on. What a chunk gets does not depend on the others of its batch.
    """

    Config = PyanNetConfig

    def __init__(self, config: PyanNetConfig | None = None) -> None:
        super().__init__()
        c = self.config = config or PyanNetConfig()
        self.wave_norm = nn.InstanceNorm1d(1, affine=True)
        # Learnt as sinc filters, but these are made once: see `pyannet_public`.
        self.filters = nn.Conv1d(1, c.filters, c.taps, stride=c.stride, bias=False)
        self.filters_norm = nn.InstanceNorm1d(c.filters, affine=True)
        self.first = nn.Conv1d(c.filters, c.width, KERNEL)
        self.first_norm = nn.InstanceNorm1d(c.width, affine=True)
        self.second = nn.Conv1d(c.width, c.width, KERNEL)
        self.second_norm = nn.InstanceNorm1d(c.width, affine=True)
        self.lstm = nn.LSTM(c.width, c.hidden, c.layers, batch_first=True, bidirectional=True)
        self.linear = nn.Linear(2 * c.hidden, c.linear)
        self.second_linear = nn.Linear(c.linear, c.linear)
        self.classes = nn.Linear(c.linear, len(Powerset(c.speakers, c.at_once)))
        self.hop = c.stride * POOL**3
        inside = sum(POOL**i * (POOL - 1 + (KERNEL - 1) * (i > 0)) for i in range(3))
        self.seen = c.taps + c.stride * inside

    def forward(self, waves: Tensor) -> Tensor:
        return self.classify(self.convolve(waves))

    def convolve(self, waves: Tensor) -> Tensor:
        """(B, T) -> (B, F, width), what the LSTMs read.

        Where chunks are many, one at a time is faster: all of it then stays near the processor.
        """
        bank = self.filters(self.wave_norm(waves[:, None])).abs()
        stage = _pooled(bank, self.filters_norm)
        stage = _pooled(self.first(stage), self.first_norm)
        return _pooled(self.second(stage), self.second_norm).transpose(1, 2)

    def classify(self, frames: Tensor) -> Tensor:
        """(B, F, width) of `convolve` -> (B, F, Q) log-probabilities; faster for several."""
        states, _ = self.lstm(frames)
        states = nn.functional.leaky_relu(self.linear(states))
        states = nn.functional.leaky_relu(self.second_linear(states))
        return torch.log_softmax(self.classes(states), dim=2)


def _pooled(values: Tensor, norm: nn.InstanceNorm1d) -> Tensor:
    """(B, n, F) -> (B, n, F // 3)."""
    return cast(Tensor, nn.functional.leaky_relu(norm(nn.functional.max_pool1d(values, POOL))))
