"""Bringing every recording to one level, so that who spoke does not depend on the volume knob.

Silero hears absolute loudness and log-mel features have a floor, so without this a copy at another
volume gets other turns.
"""

from __future__ import annotations

import torch
from torch import Tensor

from encoder.units import seconds_to_samples

__all__ = ["level_out"]

TARGET = 10 ** (
    -23 / 20
)  # RMS of the loudest blocks: close-talking speech as it is mostly recorded
LARGEST_GAIN = 1000.0  # 60 dB: more would make speech of the last bit of a 16-bit file
BLOCK = seconds_to_samples(0.4)
SKIPPED = 5  # loudest blocks that may be knocks; fewer in a recording under 40 s


def level_out(wave: Tensor) -> Tensor:
    """Wave (T,) -> the same times one gain, with its loud blocks at -23 dBFS RMS.

    The level is the RMS of the 6th loudest block of 0.4 s: a knock on the table counts for nothing,
    and ten minutes of silence around one sentence do not make it quiet. Peaks may pass 1; nothing
    is clipped. Silence stays silence.
    """
    blocks = wave[: len(wave) // BLOCK * BLOCK].reshape(-1, BLOCK)
    if len(blocks) == 0:
        blocks = wave.reshape(1, -1)
    levels = torch.linalg.vector_norm(blocks, dim=1) / max(1, blocks.shape[1]) ** 0.5
    rank = min(SKIPPED, len(levels) // 20)
    level = float(levels.topk(rank + 1).values[-1])
    if not 0 < level < float("inf"):  # silence, or no numbers: whoever reads the wave will say so
        return wave
    return wave * min(TARGET / level, LARGEST_GAIN)
