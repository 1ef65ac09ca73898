"""No features: networks that take the wave itself."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from encoder.common.settings import Settings

__all__ = ["PlainWave", "PlainWaveConfig"]


@dataclass(frozen=True)
class PlainWaveConfig(Settings):
    """It has no settings: a mono wave in [-1, 1] at 16 kHz."""


class PlainWave(nn.Module):
    """(B, T) -> (B, T)."""

    Config = PlainWaveConfig

    def __init__(self, config: PlainWaveConfig | None = None) -> None:
        super().__init__()
        self.config = config or PlainWaveConfig()

    def forward(self, wave: Tensor) -> Tensor:
        """The wave as it is."""
        return wave
