"""Deep Speaker GRU (Li et al. 2017, arXiv 1705.02304, table 2).

One 5x5 convolution of stride 2 with batch norm and clipped ReLU, which halves time and bands; then
`layers` GRU layers that run forward in time, the mean over time, an affine layer, and length
normalisation. The defaults are the paper's, which says 23 M: 22,565,056 parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from encoder.common.settings import Settings, bounded

__all__ = ["GRU", "GRUConfig"]

CLIP = 20.0


@dataclass(frozen=True)
class GRUConfig(Settings):
    """Shape of the network."""

    channels: int = bounded(64, least=1, most=8192, help="channels of the convolution")
    hidden: int = bounded(1024, least=1, most=16_384, help="units of each GRU layer")
    layers: int = bounded(3, least=1, most=100, help="GRU layers")
    embedding_size: int = bounded(512, least=1, most=65_536, help="D")
    n_mels: int = bounded(64, least=1, most=1024, help="M, mel bands of the input")


class GRU(nn.Module):
    """(B, F, M) normalised log-mel -> (B, D) embeddings of unit norm. F may be any length >= 1."""

    Config = GRUConfig

    def __init__(self, config: GRUConfig | None = None) -> None:
        """Make a network with random weights.

        Args:
            config: Shape of the network.
        """
        super().__init__()
        self.config = c = config or GRUConfig()
        bands = (c.n_mels + 1) // 2
        self.down = nn.Conv2d(1, c.channels, 5, stride=2, padding=2, bias=False)
        self.norm = nn.BatchNorm2d(c.channels)
        self.recurrent = nn.GRU(c.channels * bands, c.hidden, c.layers, batch_first=True)
        self.affine = nn.Linear(c.hidden, c.embedding_size)

    @property
    def stride(self) -> int:
        """Input frames per frame of the GRU."""
        return 2

    def forward(self, features: Tensor) -> Tensor:
        """Embed features.

        Args:
            features: (B, F, M) normalised log-mel, F >= 1.

        Returns:
            (B, D) embeddings of unit norm.
        """
        B, F, M = features.shape
        maps = self.norm(self.down(features.reshape(B, 1, F, M)))  # (B, C, F / 2, M / 2)
        frames = torch.clamp(maps, 0.0, CLIP).transpose(1, 2).flatten(2)  # (B, F / 2, C * M / 2)
        states, _ = self.recurrent(frames)
        return nn.functional.normalize(self.affine(states.mean(dim=1)), dim=1)
