"""Bringing every recording to one level, so that turns do not depend on its volume.

Silero depends on absolute loudness and log-mel features have a floor, so without this a copy at
another volume gets other turns. An offset or a hum that drowns the voice is taken away first: it
would set the level, and hide the voice from the networks. Elsewhere nothing is taken away, since
the networks learnt from sound as it is, and lose a little by the filter.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from encoder.audio.high_pass import HighPass, high_passed
from encoder.common.units import seconds_to_samples

__all__ = ["LevelMeter", "level_out"]

TARGET = 10 ** (-23 / 20)  # RMS of the loudest blocks, as of most close-talking speech
LARGEST_GAIN = 1000.0  # 60 dB: more would make speech of the last bit of a 16-bit file
BLOCK = seconds_to_samples(0.4)
SKIPPED = 5  # loudest blocks that may be knocks; fewer in a recording under 40 s
NOTHING = 1e-5  # RMS: -100 dBFS, below the last bit of 16
DROWNED = 10 ** (3 / 20)  # the level falls by more without what lies below the voice; others: 1 dB


class LevelMeter:
    """Measures the gain that a recording needs, piece by piece, however it is cut.

    The level is the RMS of the 6th loudest block of 0.4 s: a knock on the table does not count, and
    ten minutes of silence around one sentence do not make it quiet.
    """

    def __init__(self) -> None:
        self._plain, self._voice = _Blocks(), _Blocks()
        self._high_pass = HighPass()

    def add(self, wave: Tensor) -> None:
        """Measure the next piece (T,)."""
        self._plain.add(wave)
        self._voice.add(self._high_pass.add(wave))

    @property
    def drowned(self) -> bool:
        """Whether what lies below the voice is louder than the voice, and has to be taken away."""
        return NOTHING < self._voice.level < self._plain.level / DROWNED

    @property
    def gain(self) -> float:
        """What brings the loud blocks of all pieces so far to -23 dBFS RMS; 1 for silence."""
        level = (self._voice if self.drowned else self._plain).level
        if not 0 < level < float("inf"):  # silence, or no numbers, which the segmenter refuses
            return 1.0
        return min(TARGET / level, LARGEST_GAIN)


class _Blocks:
    """The levels of a wave's blocks."""

    def __init__(self) -> None:
        self._levels = [np.zeros(0)]
        self._rest = np.zeros(0, np.float32)

    def add(self, wave: Tensor) -> None:
        samples = np.concatenate([self._rest, wave.numpy()])
        whole = len(samples) // BLOCK * BLOCK
        if whole:
            self._levels.append(_rms(samples[:whole].reshape(-1, BLOCK)))
        self._rest = samples[whole:].copy()

    @property
    def level(self) -> float:
        levels = np.concatenate(self._levels)
        if not len(levels):
            levels = _rms(self._rest[None, :])
        rank = min(SKIPPED, len(levels) // 20)
        return float(np.sort(levels)[-1 - rank])


def level_out(wave: Tensor) -> Tensor:
    """Bring a wave to the level of all recordings, -23 dBFS RMS in its loud parts.

    Args:
        wave: (T,) float32 at 16 kHz.

    Returns:
        (T,) the wave times one gain, without what lies below the voice where that is louder than
        the voice. Peaks may pass 1; nothing is clipped.
    """
    meter = LevelMeter()
    meter.add(wave)
    return torch.mul(high_passed(wave) if meter.drowned else wave, meter.gain)


def _rms(blocks: NDArray[np.float32]) -> NDArray[np.float64]:
    """(n, size) -> (n,)."""
    squares = np.einsum("bt,bt->b", blocks, blocks, dtype=np.float64)
    return np.sqrt(squares / max(1, blocks.shape[1]))
