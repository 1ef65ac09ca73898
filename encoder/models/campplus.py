"""CAM++ (Wang et al. 2023, arXiv 2303.00332, figure 1 and table 1).

A front end of 2-D convolutions over mel bands and frames, a time-delay layer that halves the frame
rate, three densely connected blocks of time-delay layers, each halved in channels by a transit
layer, then mean and deviation over time and an affine layer. Every dense layer masks its output by
the mean of its input over all frames and over its segment (context-aware masking, equations 2 to
6). The last batch norm is the end: one package that carries the public weights adds a ReLU after
it, which sets half of the values to zero. The defaults are the network of the public weights, of
192 values: 6,848,544 parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from encoder.common.settings import Settings, bounded
from encoder.errors import ConfigError

__all__ = ["DILATIONS", "SEGMENT", "CAMPlusPlus", "CAMPlusPlusConfig"]

SEGMENT = 100  # frames of the halved rate whose mean is a layer's local context
DILATIONS = (1, 2, 2)  # of the three blocks
_STEM = 128  # channels after the first time-delay layer


@dataclass(frozen=True)
class CAMPlusPlusConfig(Settings):
    """Shape of the network."""

    n_mels: int = bounded(80, least=8, most=1024, help="M, mel bands of the input; a multiple of 8")
    front_channels: int = bounded(32, least=1, most=4096, help="channels of the 2-D front end")
    layers: tuple[int, int, int] = bounded(
        (12, 24, 16), least=1, most=64, help="dense layers of each block"
    )
    growth: int = bounded(32, least=1, most=4096, help="channels that a dense layer adds")
    bottleneck: int = bounded(128, least=2, most=4096, help="channels inside a dense layer")
    embedding_size: int = bounded(192, least=1, most=65_536, help="D")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_mels % 8:
            raise ConfigError(f"n_mels is {self.n_mels}: give a multiple of 8")


class CAMPlusPlus(nn.Module):
    """(B, F, M) features without their mean -> (B, D) embeddings of unit norm.

    F >= `minimum_frames`.
    """

    Config = CAMPlusPlusConfig

    def __init__(self, config: CAMPlusPlusConfig | None = None) -> None:
        super().__init__()
        self.config = config or CAMPlusPlusConfig()
        front = self.config.front_channels
        self.front = _FrontEnd(front)
        self.stem = nn.Conv1d(front * self.config.n_mels // 8, _STEM, 5, 2, padding=2, bias=False)
        self.stem_norm = nn.BatchNorm1d(_STEM)
        channels = _STEM
        blocks: list[nn.Module] = []
        for layers, dilation in zip(self.config.layers, DILATIONS, strict=True):
            blocks.append(_DenseBlock(channels, layers, dilation, self.config))
            channels = (channels + layers * self.config.growth) // 2
        self.blocks = nn.Sequential(*blocks)
        self.out_norm = nn.BatchNorm1d(channels)
        self.affine = nn.Linear(2 * channels, self.config.embedding_size, bias=False)
        self.affine_norm = nn.BatchNorm1d(self.config.embedding_size, affine=False)

    @property
    def stride(self) -> int:
        """Input frames for each output frame of the trunk."""
        return 2

    @property
    def minimum_frames(self) -> int:
        """The fewest input frames: a deviation takes two output frames."""
        return self.stride + 1

    def forward(self, features_BFM: Tensor) -> Tensor:
        """Embed whole inputs; mean and deviation are over all frames."""
        x = self.front(features_BFM.transpose(1, 2))
        x = self.blocks(torch.relu(self.stem_norm(self.stem(x))))
        x = torch.relu(self.out_norm(x))
        pooled = torch.cat([x.mean(dim=-1), x.std(dim=-1)], dim=-1)
        return nn.functional.normalize(self.affine_norm(self.affine(pooled)), dim=-1)


class _FrontEnd(nn.Module):
    """(B, M, F) -> (B, C * M / 8, F): residual 2-D convolutions, each stage halving the bands."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _convolution(1, channels, stride=1)
        self.stages = nn.Sequential(
            _Residual(channels, stride=2),
            _Residual(channels, stride=1),
            _Residual(channels, stride=2),
            _Residual(channels, stride=1),
        )
        self.last = _convolution(channels, channels, stride=2)

    def forward(self, bands_BMF: Tensor) -> Tensor:
        x = self.stages(torch.relu(self.first(bands_BMF.unsqueeze(1))))
        return torch.relu(self.last(x)).flatten(1, 2)


class _Residual(nn.Module):
    """Two 3x3 convolutions beside the input, which is projected where the bands are halved."""

    def __init__(self, channels: int, *, stride: int) -> None:
        super().__init__()
        self.first = _convolution(channels, channels, stride=stride)
        self.second = _convolution(channels, channels, stride=1)
        self.beside = (
            _convolution(channels, channels, stride=stride, size=1) if stride > 1 else None
        )

    def forward(self, x: Tensor) -> Tensor:
        beside = x if self.beside is None else self.beside(x)
        return torch.relu(self.second(torch.relu(self.first(x))) + beside)


def _convolution(inner: int, outer: int, *, stride: int, size: int = 3) -> nn.Sequential:
    """Over (B, C, M, F), stepping in the bands; with its batch norm."""
    convolution = nn.Conv2d(inner, outer, size, (stride, 1), padding=size // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outer))


class _DenseBlock(nn.Module):
    """(B, C, F) -> (B, (C + layers * growth) / 2, F): each layer sees all before it."""

    def __init__(
        self, channels: int, layers: int, dilation: int, config: CAMPlusPlusConfig
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            _DenseLayer(channels + i * config.growth, dilation, config) for i in range(layers)
        )
        outer = channels + layers * config.growth
        self.norm = nn.BatchNorm1d(outer)
        self.transit = nn.Conv1d(outer, outer // 2, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.cat([x, layer(x)], dim=1)
        return self.transit(torch.relu(self.norm(x)))


class _DenseLayer(nn.Module):
    """A bottleneck, then a time-delay layer under a context-aware mask (equations 2 to 6)."""

    def __init__(self, channels: int, dilation: int, config: CAMPlusPlusConfig) -> None:
        super().__init__()
        inner, growth = config.bottleneck, config.growth
        self.norm = nn.BatchNorm1d(channels)
        self.narrow = nn.Conv1d(channels, inner, 1, bias=False)
        self.narrow_norm = nn.BatchNorm1d(inner)
        self.delay = nn.Conv1d(inner, growth, 3, padding=dilation, dilation=dilation, bias=False)
        self.squeeze = nn.Conv1d(inner, inner // 2, 1)
        self.mask = nn.Conv1d(inner // 2, growth, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.narrow(torch.relu(self.norm(x)))
        x = torch.relu(self.narrow_norm(x))
        means = nn.functional.avg_pool1d(x, SEGMENT, SEGMENT, ceil_mode=True)
        context = x.mean(dim=-1, keepdim=True) + means
        mask = torch.sigmoid(self.mask(torch.relu(self.squeeze(context))))
        return self.delay(x) * mask.repeat_interleave(SEGMENT, dim=-1)[..., : x.shape[-1]]
