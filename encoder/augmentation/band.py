"""The band of a telephone line, for waves in NumPy and in torch alike."""

from __future__ import annotations

from typing import Any, TypeVar

__all__ = ["band_attenuation"]

ArrayT = TypeVar("ArrayT", bound=Any)


def band_attenuation(hertz: ArrayT, low_hz: float, high_hz: float) -> ArrayT:
    """What a band divides the power at frequencies (n,) by, of 1 Hz or more; about 1 inside.

    It falls by 24 dB an octave below `low_hz` and by 96 dB an octave above `high_hz`.
    """
    return (1 + (low_hz / hertz) ** 8) * (1 + (hertz / high_hz) ** 32)  # type: ignore[no-any-return]
