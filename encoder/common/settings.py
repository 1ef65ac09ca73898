"""What every group of settings is: a frozen dataclass whose numbers know their bounds.

Bounds stand beside default and help in the metadata of a field, and are checked here alone, for
TOML, `a.b=c` and Python alike. Both ends are given: a number that is finite can still be a step of
no sample, or a network that no memory holds.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

from encoder.errors import ConfigError

__all__ = ["MOST_SEED", "Bounds", "Settings", "bounded", "check_numbers", "shown_value"]

MOST_SEED = 2**32 - 1
_MOST_VALUES = 100  # of one setting
_LONGEST = 60  # characters of a value in an error


@dataclasses.dataclass(frozen=True)
class Bounds:
    """`low` to `high`, both included unless said otherwise; each value of several is within.

    rising: the values are a range, from and to.
    """

    low: float
    high: float
    low_included: bool = True
    high_included: bool = True
    rising: bool = False

    def allow(self, value: Any) -> bool:
        """Whether a number is within; NaN is not."""
        above = value >= self.low if self.low_included else value > self.low
        below = value <= self.high if self.high_included else value < self.high
        return bool(above and below)

    def __str__(self) -> str:
        if self.low_included and self.high_included:
            return f"{self.low:,} to {self.high:,}"
        low = f"{self.low:,} or more" if self.low_included else f"more than {self.low:,}"
        high = f"at most {self.high:,}" if self.high_included else f"less than {self.high:,}"
        return f"{low} and {high}"


class Settings:
    """Base of all groups of settings: ConfigError for a number out of its bounds.

    A group with rules of its own, between its fields, has them in a `__post_init__` that calls this
    one first.
    """

    def __post_init__(self) -> None:
        check_numbers(type(self), vars(self))


def bounded(
    default: Any,
    *,
    help: str,
    least: float | None = None,
    most: float | None = None,
    above: float | None = None,
    below: float | None = None,
    rising: bool = False,
) -> Any:
    """A field of numbers: `least` or `above` is one end of what is allowed, `most` or `below` the
    other; `rising` of two values, the second may not be smaller."""
    low, high = (above if least is None else least), (below if most is None else most)
    assert low is not None and high is not None, "a number has bounds at both ends"
    bounds = Bounds(low, high, least is not None, most is not None, rising)
    return dataclasses.field(default=default, metadata={"help": help, "bounds": bounds})


def check_numbers(schema: type, values: Mapping[str, Any], *, where: str = "") -> None:
    """ConfigError for those of `values` that are out of the bounds of `schema`'s fields; it names
    the setting with `where` before it."""
    for knob in dataclasses.fields(schema):
        bounds = knob.metadata.get("bounds")
        if bounds is None or knob.name not in values:
            continue
        value, kind = values[knob.name], str(knob.type)
        if value is None and "None" in kind:
            continue
        several = isinstance(value, tuple) and "tuple" in kind
        stated = f"{where}{knob.name} is {shown_value(value)}"
        if several and len(value) > _MOST_VALUES:
            raise ConfigError(f"{stated}: give at most {_MOST_VALUES} values")
        number = Real if "float" in kind else Integral
        for one in value if several else (value,):
            if not isinstance(one, number) or isinstance(one, bool):
                wanted = "a number" if number is Real else "a whole number"
                raise ConfigError(f"{stated}: give {wanted}, {bounds}")
            if not bounds.allow(one):
                raise ConfigError(f"{stated}: give {bounds}")
        if bounds.rising and list(value) != sorted(value):
            raise ConfigError(f"{stated}: give the smaller number first")


def shown_value(value: Any) -> str:
    """A value for an error, shortened; a whole number may have more digits than Python writes."""
    if isinstance(value, int) and abs(value) >= 10**_LONGEST:
        digits = int(math.log10(abs(value)))  # or one more
        return f"a whole number of {digits + (abs(value) >= 10**digits)} digits"
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        return "too much to be shown"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
