"""Channel augmentation of simulated conversations: speakers should not differ by their microphones.

Each speaker was recorded somewhere else, so a network could learn microphones in place of speakers;
in real conversations all share one. Training therefore passes turns through equalisers drawn for
each, whoever speaks, and all turns through one band or below one noise, and makes speakers
unequally loud.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from encoder.augmentation.band import band_attenuation
from encoder.common.settings import Settings, bounded
from encoder.common.units import SAMPLE_RATE

__all__ = ["ChannelAugmentationConfig", "band_limited", "equalised"]

_LOWEST_HZ = 60.0
_RINGS = SAMPLE_RATE // 100  # samples that a filter rings on


@dataclass(frozen=True)
class ChannelAugmentationConfig(Settings):
    """How often what is done to the channel; nothing by default. ConfigError for what cannot be."""

    equaliser: float = bounded(
        0.0, least=0, most=1, help="probability that a turn passes an equaliser of its own"
    )
    band_limit: float = bounded(
        0.0, least=0, most=1, help="probability that all pass one band of 3.2 to 7 kHz"
    )
    noise: float = bounded(0.0, least=0, most=1, help="probability of loud noise behind all")
    level: float = bounded(
        0.0,
        least=0,
        most=1,
        help="probability of little noise, and speakers as unequally loud as with headsets",
    )
    equaliser_db: float = bounded(
        6.0, least=0, most=60, help="deviation of its gains, an octave apart, in dB"
    )
    noise_db: tuple[float, float] = bounded(
        (6.0, 20.0), least=-200, most=200, rising=True, help="speech over that noise, range in dB"
    )

    level_db: float = bounded(
        8.0, least=0, most=60, help="deviation of the speakers' levels then, in dB"
    )


def equalised(
    wave: NDArray[np.float32], deviation_db: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """A turn (T,) through a filter drawn for it, as loud as before."""
    n = _size(len(wave))
    octave, beyond = _octaves(n)
    gains = (10 ** (rng.normal(0, deviation_db, int(octave.max()) + 2) / 20)).astype(np.float32)
    out = _filtered(wave, gains[octave] * (1 - beyond) + gains[octave + 1] * beyond, n)
    before, after = float(np.dot(wave, wave)), float(np.dot(out, out))
    return out * np.float32(np.sqrt(before / after)) if after > 0 else out


def band_limited(wave: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """(T,) without what lies above some 3.2 to 7 kHz, and perhaps below some 50 to 350 Hz."""
    high = float(np.exp(rng.uniform(np.log(3200), np.log(7000))))
    low = float(rng.uniform(50, 350)) if rng.random() < 0.5 else 1.0
    n = _size(len(wave))
    power = band_attenuation(np.maximum(_hertz(n), 1), low, high)
    return _filtered(wave, 1 / np.sqrt(power), n)


def _size(samples: int) -> int:
    """Of the transform; one of few, so that what depends on it alone is kept."""
    return -(-(samples + _RINGS) // SAMPLE_RATE) * SAMPLE_RATE


def _hertz(n: int) -> NDArray[np.float32]:
    return np.arange(n // 2 + 1, dtype=np.float32) * np.float32(SAMPLE_RATE / n)


@functools.lru_cache(maxsize=16)
def _octaves(n: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Of each frequency, the whole octaves above the lowest, and how far beyond it lies."""
    octaves = np.log2(np.maximum(_hertz(n), _LOWEST_HZ) / _LOWEST_HZ)
    whole = octaves.astype(np.int64)
    return whole, (octaves - whole).astype(np.float32)


def _filtered(wave: NDArray[np.float32], gain: NDArray[np.floating], n: int) -> NDArray[np.float32]:
    spectrum = scipy.fft.rfft(wave, n)
    spectrum *= gain.astype(np.float32)
    return np.asarray(scipy.fft.irfft(spectrum, n)[: len(wave)], np.float32)
