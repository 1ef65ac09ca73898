"""What lies below the voice is taken away: offset, rumble, the hum of the mains.

The constant offset of a sound card, or a hum that is louder than the voice, sets the level that a
recording seems to have, and networks that never met it find no speech. The lowest voices begin at
about 75 Hz. The filter is a Chebyshev high-pass of the second kind (flat where it lets through): it
looks at the past only, so blocks go through one by one, and above 100 Hz it delays by less than
10 ms.
"""

from __future__ import annotations

from functools import cache

import torch
from numpy.typing import NDArray
from torch import Tensor

from encoder.common.units import SAMPLE_RATE

__all__ = ["HighPass", "high_passed"]

STOP_HZ = 60.0  # the mains of half the world; the other half's 50 Hz lies below
STOP_DB = 40.0  # what is left of it, and of everything lower
ORDER = 9  # odd, so nothing is left of an offset; -3 dB at 72 Hz


class HighPass:
    """The filter for one wave that comes piece by piece, however it is cut.

    It begins as if the first sample had been there for ever, so an offset leaves no knock.
    """

    def __init__(self) -> None:
        self._state: NDArray | None = None

    def add(self, wave: Tensor) -> Tensor:
        """The next piece (T,) float32 -> (T,) without what lies below the voice."""
        from scipy.signal import sosfilt

        if not len(wave):
            return wave
        sections, resting = _sections()
        if self._state is None:
            self._state = resting * float(wave[0])
        filtered, self._state = sosfilt(sections, wave.double().numpy(), zi=self._state)
        return torch.from_numpy(filtered).float()


def high_passed(wave: Tensor) -> Tensor:
    """A wave (T,) float32 at 16 kHz without what lies below the voice."""
    return HighPass().add(wave)


@cache
def _sections() -> tuple[NDArray, NDArray]:
    """Second-order sections (S, 6) and their state (S, 2) after a constant 1."""
    from scipy.signal import cheby2, sosfilt_zi

    sections = cheby2(ORDER, STOP_DB, STOP_HZ, "highpass", fs=SAMPLE_RATE, output="sos")
    return sections, sosfilt_zi(sections)
