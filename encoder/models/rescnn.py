"""Deep Speaker ResCNN (Li et al. 2017, arXiv 1705.02304, table 1 and figure 2).

For each entry C of `channels`: a 5x5 convolution of stride 2, then `blocks` residual blocks of two
3x3 convolutions without projection; batch norm after every convolution; clipped ReLU min(max(x, 0),
20). Then the mean over time, an affine layer, and length normalisation. The defaults are the
paper's: 24,165,568 parameters (convolutions carry no bias: the batch norm after them has one).

A first convolution that takes 4 frames a step instead of 2 halves the cost of everything behind it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from encoder.common.settings import Settings, bounded, shown_value
from encoder.errors import ConfigError

__all__ = ["ResCNN", "ResCNNConfig"]

CLIP = 20.0
_MOST_STAGES = 10  # each halves time and bands


@dataclass(frozen=True)
class ResCNNConfig(Settings):
    """Shape of the network."""

    channels: tuple[int, ...] = bounded(
        (64, 128, 256, 512), least=1, most=8192, help="channels of each stage"
    )
    blocks: int | tuple[int, ...] = bounded(
        3, least=0, most=50, help="residual blocks a stage, or of each stage"
    )
    first_time_stride: int = bounded(
        2, least=1, most=64, help="frames a step of the first convolution; the paper's 2"
    )
    embedding_size: int = bounded(512, least=1, most=65_536, help="D")
    n_mels: int = bounded(64, least=1, most=1024, help="M, mel bands of the input")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= len(self.channels) <= _MOST_STAGES:
            raise ConfigError(
                f"channels is {shown_value(self.channels)}: give 1 to {_MOST_STAGES} values, one a "
                "stage"
            )


class ResCNN(nn.Module):
    """(B, F, M) normalised log-mel -> (B, D) embeddings of unit norm. F may be any length >= 1."""

    Config = ResCNNConfig

    def __init__(self, config: ResCNNConfig | None = None) -> None:
        """Make a network with random weights.

        Args:
            config: Shape of the network.

        Raises:
            ConfigError: `blocks` are not as many as the stages.
        """
        super().__init__()
        self.config = config or ResCNNConfig()
        stages: list[nn.Module] = []
        inner, bands = 1, self.config.n_mels
        for index, (outer, blocks) in enumerate(
            zip(self.config.channels, _each(self.config), strict=True)
        ):
            time_stride = self.config.first_time_stride if index == 0 else 2
            stages.append(_Stage(inner, outer, blocks, time_stride))
            inner, bands = outer, (bands + 1) // 2
        self.trunk = nn.Sequential(*stages)
        self.affine = nn.Linear(inner * bands, self.config.embedding_size)

    @property
    def stride(self) -> int:
        """Input frames per frame of the trunk's output."""
        return self.config.first_time_stride * 2 ** (len(self.config.channels) - 1)

    def forward(self, features: Tensor) -> Tensor:
        # Temporal mean, no deviation: equation 3 of the paper.
        """Embed features.

        Args:
            features: (B, F, M) normalised log-mel, F >= 1.

        Returns:
            (B, D) embeddings of unit norm.
        """
        return self.embed(self.frames(features).mean(dim=2))

    def frames(self, features: Tensor, length: int | None = None) -> Tensor:
        """What the mean over time is taken of.

        Args:
            features: (B, F, M) normalised log-mel.
            length: For inference, how many of the F frames are sound where the others are zero;
                these change nothing, and what is given back is shorter accordingly.

        Returns:
            (B, H, F / stride rounded up).
        """
        B, F, M = features.shape
        maps = features.reshape(B, 1, F, M)
        for stage in self.trunk:
            if length is not None:
                length = -(-length // int(stage.time_stride))  # type: ignore[arg-type]
            maps = stage(maps, length)  # at last (B, C, F / stride, M / 16)
        return maps[:, :, :length].transpose(2, 3).flatten(1, 2)

    def embed(self, pooled: Tensor) -> Tensor:
        """The last layer.

        Args:
            pooled: (N, H) means over time.

        Returns:
            (N, D) embeddings of unit norm.
        """
        return nn.functional.normalize(self.affine(pooled), dim=1)

    @torch.no_grad()
    def fold_norms(self) -> None:
        """Put the batch norms into the convolutions before them: the same function, for inference
        only, and in place, as memory for another copy costs more time than the arithmetic."""
        self.eval()
        for module in self.modules():
            for conv, norm in module.normed if isinstance(module, (_Stage, _Block)) else ():
                _fold(getattr(module, conv), getattr(module, norm))
                setattr(module, norm, nn.Identity())


def _each(config: ResCNNConfig) -> tuple[int, ...]:
    """Residual blocks of each stage."""
    if isinstance(config.blocks, int):
        return (config.blocks,) * len(config.channels)
    if len(config.blocks) != len(config.channels):
        raise ConfigError(
            f"blocks {config.blocks} are of {len(config.blocks)} stages, channels "
            f"{config.channels} of {len(config.channels)}: give one number, or one a stage"
        )
    return config.blocks


class _Stage(nn.Module):
    normed = (("down", "norm"),)

    def __init__(self, inner: int, outer: int, blocks: int, time_stride: int) -> None:
        super().__init__()
        self.time_stride = time_stride
        self.down = nn.Conv2d(inner, outer, 5, stride=(time_stride, 2), padding=2, bias=False)
        self.norm = nn.BatchNorm2d(outer)
        self.blocks = nn.Sequential(*(_Block(outer) for _ in range(blocks)))

    def forward(self, x: Tensor, length: int | None = None) -> Tensor:
        x = _silenced(_clipped_relu(self.norm(self.down(x))), length)
        for block in self.blocks:
            x = block(x, length)
        return x


class _Block(nn.Module):
    normed = (("conv1", "norm1"), ("conv2", "norm2"))

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor, length: int | None = None) -> Tensor:
        y = _silenced(_clipped_relu(self.norm1(self.conv1(x))), length)
        return _silenced(_clipped_relu(self.norm2(self.conv2(y)) + x), length)


def _fold(conv: nn.Conv2d, norm: nn.Module) -> None:
    if not isinstance(norm, nn.BatchNorm2d):
        return  # folded before
    assert norm.running_mean is not None and norm.running_var is not None
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    conv.weight *= scale[:, None, None, None]
    conv.bias = nn.Parameter(norm.bias - norm.running_mean * scale)


def _silenced(x: Tensor, length: int | None) -> Tensor:
    """(B, C, F, M) with zeros from frame `length` on, which is what a convolution meets beyond an
    end; in place."""
    if length is not None:
        x[:, :, length:] = 0
    return x


def _clipped_relu(x: Tensor) -> Tensor:
    return torch.clamp(x, 0.0, CLIP)
