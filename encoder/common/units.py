"""Seconds and samples: the house's one rate, and one function each way.

Inside, time is an integer sample offset at 16 kHz, half open; public numbers are seconds.
"""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal

__all__ = ["SAMPLE_RATE", "samples_to_seconds", "seconds_to_samples"]

SAMPLE_RATE = 16000


def seconds_to_samples(seconds: float) -> int:
    """The sample nearest to `seconds`; a time halfway between two goes to the later one.

    The decimal a person would write counts, not its binary neighbour: 0.00003125 s is exactly
    half a sample and gives 1. Raises ValueError for NaN and infinities.
    """
    time = Decimal(repr(float(seconds)))
    if not time.is_finite():
        raise ValueError(f"{seconds} is not a time: give a finite number of seconds")
    return int((time * SAMPLE_RATE + Decimal("0.5")).to_integral_value(ROUND_FLOOR))


def samples_to_seconds(samples: int) -> float:
    """The time of sample `samples` in seconds; `seconds_to_samples` gives the same sample back."""
    return samples / SAMPLE_RATE
