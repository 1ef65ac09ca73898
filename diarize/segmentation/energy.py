"""Regions from loudness alone, with levels learnt from the recording itself.

The level of each frame (25 ms, every 10 ms, without its mean, in dB) is compared with two levels
that a mixture of two Gaussians finds in the recording: background and speech. Activity is where
a frame stands between them, 0 at the background and 1 at loud speech (a standard deviation above
its mean), so only level differences count: a recording played softer gives the same regions.

It knows nothing of what speech sounds like. Music, typing and slammed doors are speech to it when
they stand out, and a recording is silent to it when speech and background are less than
`min_range_db` apart, as a steady noise or hum is. Prefer it where its speed matters more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from diarize.segmentation.base import Segmentation, Segmenter, recut
from diarize.segmentation.hysteresis import HysteresisConfig, binarize
from encoder.common.settings import Settings, bounded
from encoder.common.units import SAMPLE_RATE

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["EnergyConfig", "EnergySegmenter", "background_and_speech_db"]

HOP = 160
FRAME = 400
# Samples on each side of a hop, so that a frame is centred on the hop it speaks for.
MARGIN = (FRAME - HOP) // 2
FRAMES_AT_ONCE = 1000
# Frames below this are digital silence (16-bit rounding alone is at -101 dB): they say nothing
# about the background of the room.
SILENCE_DB = -140.0
BIN_DB = 0.5
EM_STEPS = 60
MIN_STD_DB = 1.0


@dataclass(frozen=True)
class EnergyConfig(Settings):
    """Settings of `EnergySegmenter`; the thresholds are on the place between the two levels."""

    min_range_db: float = bounded(
        6.0,
        above=0,
        most=200,
        help="no speech at all unless it is this much louder than the background",
    )
    smoothing_s: float = bounded(
        0.05, least=0, most=1, help="average levels over this much time, in seconds"
    )
    hysteresis: HysteresisConfig = field(
        default_factory=HysteresisConfig,
        metadata={"help": "how activity becomes regions"},
    )


class EnergySegmenter(Segmenter):
    """Adaptive energy detector; two passes over the levels, one over the samples."""

    Config = EnergyConfig

    def __init__(self, config: EnergyConfig | None = None) -> None:
        self.config = config or EnergyConfig()

    def segment(self, blocks: Iterable[Tensor]) -> Segmentation:
        """Find the regions of the wave made up by `blocks`; see `Segmenter.segment`."""
        activity, length = self.activity(blocks)
        regions = binarize(activity, hop=HOP, length=length, config=self.config.hysteresis)
        return Segmentation(regions)

    def activity(self, blocks: Iterable[Tensor]) -> tuple[npt.NDArray[np.float32], int]:
        """Return the place (F,) in [0, 1] of each 160 samples' level, and the wave's length."""
        levels, length = _levels_db(blocks)
        background, speech, spread = background_and_speech_db(levels)
        if not speech - background >= self.config.min_range_db:
            return np.zeros_like(levels), length
        place = np.clip((levels - background) / (speech + spread - background), 0, 1)
        width = round(self.config.smoothing_s * SAMPLE_RATE / HOP)
        return np.clip(_moving_mean(place, width), 0, 1), length


def background_and_speech_db(levels: npt.NDArray[np.float32]) -> tuple[float, float, float]:
    """Return the two levels that `levels` (F,) in dB gather around, and the spread of the louder.

    These are the means, and the louder one's standard deviation, of a mixture of two Gaussians,
    fitted by expectation maximisation to a histogram (so a step costs the same for a minute and
    for ten hours). Frames of digital silence do not count; when nothing else is there, both
    levels are `SILENCE_DB` and the spread is 0.
    """
    audible = levels[levels > SILENCE_DB]
    if len(audible) == 0:
        return SILENCE_DB, SILENCE_DB, 0.0
    # Bins hang from the loudest frame: a change of gain moves them along.
    top = float(audible.max())
    counts = np.bincount(np.round((top - audible) / BIN_DB).astype(np.int64)).astype(np.float64)
    centres = top - BIN_DB * np.arange(len(counts))
    mean = np.quantile(audible, [0.1, 0.9]).astype(np.float64)
    std = np.full(2, max(float(audible.std()) / 2, MIN_STD_DB))
    weight = np.full(2, 0.5)
    for _ in range(EM_STEPS):
        log_joint = np.log(weight / std) - 0.5 * ((centres[:, None] - mean) / std) ** 2
        joint = np.exp(log_joint - log_joint.max(axis=1, keepdims=True))
        share = counts[:, None] * joint / joint.sum(axis=1, keepdims=True)
        mass = share.sum(axis=0) + 1e-9
        mean = (share * centres[:, None]).sum(axis=0) / mass
        variance = (share * (centres[:, None] - mean) ** 2).sum(axis=0) / mass
        std = np.maximum(np.sqrt(variance), MIN_STD_DB)
        weight = mass / mass.sum()
    quiet, loud = np.argsort(mean)
    return float(mean[quiet]), float(mean[loud]), float(std[loud])


def _levels_db(blocks: Iterable[Tensor]) -> tuple[npt.NDArray[np.float32], int]:
    """Return the level (F,) of the frame centred on each 160 samples, and the wave's length.

    Beyond its ends the wave is taken to hold its first and its last sample.
    """
    levels, length = [np.zeros(0, dtype=np.float32)], 0
    # The samples not yet used up by frames; the next frame starts with the first of them.
    pending = np.zeros(0, dtype=np.float32)
    for piece in recut(blocks, size=FRAMES_AT_ONCE * HOP):
        if length == 0:
            pending = np.full(MARGIN, piece[0])
        length += len(piece)
        pending = np.concatenate([pending, piece])
        count = max(0, (len(pending) - FRAME) // HOP + 1)
        levels.append(_frame_levels_db(pending, count))
        pending = pending[count * HOP :]
    missing = -(-length // HOP) - sum(map(len, levels))
    if missing:
        tail = np.full(missing * HOP + FRAME, pending[-1])
        levels.append(_frame_levels_db(np.concatenate([pending, tail]), missing))
    return np.concatenate(levels), length


def _frame_levels_db(wave: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.float32]:
    """Return the level in dB of the first `count` frames of `wave`, without their mean."""
    if count == 0:
        return np.zeros(0, dtype=np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(wave, FRAME)[::HOP][:count]
    power = frames.var(axis=1, dtype=np.float64)
    floor = 10 ** (SILENCE_DB / 10)
    return (10 * np.log10(np.maximum(power, floor))).astype(np.float32)


def _moving_mean(values: npt.NDArray[np.float32], width: int) -> npt.NDArray[np.float32]:
    """Average each of `values` (F,) with its neighbours, `width` in all, made odd."""
    half = width // 2
    if half == 0 or len(values) == 0:
        return values
    padded = np.pad(values, half, mode="edge")
    window = np.full(2 * half + 1, 1 / (2 * half + 1), dtype=np.float32)
    return np.convolve(padded, window, mode="valid")
