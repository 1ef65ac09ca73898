"""The local segmentation network: who speaks in each frame of a chunk.

    log-mel (B, F, M), 10 ms -> three convolutions that halve the rate -> LSTM in both directions
    and attention at 80 ms -> back to 20 ms, beside what the first convolution gives -> one of 7
    classes a frame

The LSTMs learn what a speaker is like, and attention compares speakers over the whole chunk. For
that 80 ms are fine enough, at a quarter of the cost; the edges of speech come from the first
convolution.

Each frame is seen twice: at its level, so that a quiet chunk stays quiet (recordings are brought to
one level first), and without the chunk's mean of each band, so that the microphone matters less.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast, overload

import torch
from torch import Tensor, nn

from diarize.segmentation.network.powerset import Powerset
from encoder.common.settings import Settings, bounded
from encoder.errors import ConfigError

__all__ = ["COARSE", "SegmentationNetwork", "SegmentationNetworkConfig"]

# Of log-mel power in speech at the level of all recordings: about its mean, and its deviation.
LEVEL, SPREAD = -5.0, 4.0
COARSE = 4  # frames of 20 ms in one of 80 ms


@dataclass(frozen=True)
class SegmentationNetworkConfig(Settings):
    """Shape of `SegmentationNetwork`."""

    n_mels: int = bounded(64, least=1, most=1024, help="mel bands (M) of the input")
    width: int = bounded(128, least=1, most=4096, help="channels of the convolutions")
    layers: int = bounded(3, least=1, most=100, help="LSTMs on top of each other")
    hidden: int = bounded(112, least=1, most=8192, help="units of an LSTM in each direction")
    heads: int = bounded(4, least=0, most=256, help="of attention after the LSTMs; 0: none")
    edges: int = bounded(64, least=1, most=4096, help="channels of the last layer, at 20 ms")
    dropout: float = bounded(0.1, least=0, below=1, help="between layers, in training")
    speakers: int = bounded(3, least=1, most=6, help="local speakers (S)")
    at_once: int = bounded(2, least=1, most=6, help="local speakers at one time")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.heads and (2 * self.hidden) % self.heads:
            raise ConfigError(
                f"heads is {self.heads}: give 0, or what divides twice hidden ({self.hidden})"
            )
        if self.at_once > self.speakers:
            raise ConfigError(f"at_once is {self.at_once}: give at most speakers ({self.speakers})")


class SegmentationNetwork(nn.Module):
    """(B, F, M) log-mel, not normalised -> (B, ceil(F / 2), Q) log-probabilities of classes.

    What a chunk gets does not depend on the others of its batch.
    """

    Config = SegmentationNetworkConfig

    def __init__(self, config: SegmentationNetworkConfig | None = None) -> None:
        super().__init__()
        c = self.config = config or SegmentationNetworkConfig()
        self.first = nn.Conv1d(2 * c.n_mels, c.width, 5, stride=2, padding=2)
        self.first_norm = nn.LayerNorm(c.width)
        self.second = nn.Conv1d(c.width, c.width, 3, stride=2, padding=1)
        self.second_norm = nn.LayerNorm(c.width)
        self.third = nn.Conv1d(c.width, c.width, 3, stride=2, padding=1)
        self.third_norm = nn.LayerNorm(c.width)
        self.lstm = nn.LSTM(
            c.width,
            c.hidden,
            c.layers,
            batch_first=True,
            bidirectional=True,
            dropout=c.dropout if c.layers > 1 else 0.0,
        )
        D = 2 * c.hidden
        if c.heads:
            self.attention_norm = nn.LayerNorm(D)
            self.attention = nn.Linear(D, 3 * D)
            self.attended = nn.Linear(D, D)
        self.dropout = nn.Dropout(c.dropout)
        self.finer = nn.Linear(D, COARSE * c.edges)
        self.beside = nn.Linear(c.width, c.edges)
        self.classes = nn.Linear(c.edges, len(Powerset(c.speakers, c.at_once)))

    @overload
    def forward(self, features: Tensor) -> Tensor: ...
    @overload
    def forward(self, features: Tensor, *, with_states: Literal[True]) -> tuple[Tensor, Tensor]: ...

    def forward(
        self, features: Tensor, *, with_states: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        """with_states: give (B, ceil(F / 8), 2 hidden) too, the output of the LSTMs every 80 ms."""
        seen = torch.cat([features - LEVEL, features - features.mean(dim=1, keepdim=True)], dim=2)
        edges = _convolved(seen / SPREAD, self.first, self.first_norm)  # (B, F2, width)
        coarse = _convolved(edges, self.second, self.second_norm)
        coarse = _convolved(coarse, self.third, self.third_norm)  # (B, F8, width)
        states, _ = self.lstm(self.dropout(coarse))  # (B, F8, 2 hidden)
        context = states + self._compared(states) if self.config.heads else states
        B, F8, _ = context.shape
        fine = self.finer(self.dropout(context)).reshape(B, COARSE * F8, -1)[:, : edges.shape[1]]
        both = nn.functional.gelu(fine + self.beside(edges))
        classes = torch.log_softmax(self.classes(both), dim=2)
        return (classes, states) if with_states else classes

    def _compared(self, context: Tensor) -> Tensor:
        """What each frame (B, F, D) takes from all frames of the chunk."""
        B, F, _ = context.shape
        three = self.attention(self.attention_norm(context))
        three = three.reshape(B, F, 3, self.config.heads, -1).permute(2, 0, 3, 1, 4)
        taken = nn.functional.scaled_dot_product_attention(three[0], three[1], three[2])
        return cast(Tensor, self.attended(self.dropout(taken.transpose(1, 2).reshape(B, F, -1))))


def _convolved(values: Tensor, convolution: nn.Conv1d, norm: nn.LayerNorm) -> Tensor:
    """(B, F, n) -> (B, ceil(F / 2), width)."""
    out = convolution(values.transpose(1, 2)).transpose(1, 2)
    return nn.functional.gelu(norm(out))
