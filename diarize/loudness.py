"""Raising quiet recordings, for models that hear absolute loudness.

Silero finds half of the speech at -65 dBFS, and log-mel features have a floor. Recordings that are
loud enough stay as they are, to the sample.
"""

from __future__ import annotations

import torch
from torch import Tensor

from encoder.units import seconds_to_samples

__all__ = ["raise_level"]

TARGET = 10 ** (-35 / 20)  # RMS of the loudest blocks; below it silero begins to lose words
LARGEST_GAIN = 100.0  # 40 dB: more would only raise noise
BLOCK = seconds_to_samples(0.4)


def raise_level(wave: Tensor) -> Tensor:
    """Wave (T,) -> the same, or a louder one if its loud blocks lie below -35 dBFS RMS.

    The level is the 95th percentile of the RMS of blocks of 0.4 s, so that a single knock on the
    table counts for nothing.
    """
    blocks = wave[: len(wave) // BLOCK * BLOCK].reshape(-1, BLOCK)
    if len(blocks) == 0:
        return wave
    levels = blocks.square().mean(dim=1).sqrt()
    rank = max(0, round(0.95 * len(levels)) - 1)
    level = float(levels.sort().values[rank])
    if level <= 0 or level >= TARGET:
        return wave
    return torch.clamp(wave * min(TARGET / level, LARGEST_GAIN), -1.0, 1.0)
