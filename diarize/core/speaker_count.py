"""What the caller knows of the number of speakers. Imports nothing heavy, so that options are
checked at once."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral

from encoder.errors import ConfigError

__all__ = ["SpeakerCount"]


@dataclass(frozen=True)
class SpeakerCount:
    """Bounds on the number of speakers; they are equal where the number is known.

    Args:
        minimum: the least number, 1 or more.
        maximum: the largest number; None is no bound.

    Raises:
        ConfigError: a bound is no whole number, or no number lies within the bounds.
    """

    minimum: int = 1
    maximum: int | None = None

    def __post_init__(self) -> None:
        for bound in (self.minimum, self.maximum):
            if bound is not None and not isinstance(bound, Integral):
                raise ConfigError(f"the number of speakers is {bound!r}: give a whole number")
        if self.minimum < 1:
            raise ConfigError(f"the number of speakers is {self.minimum}: give 1 or more")
        if self.maximum is not None and self.maximum < self.minimum:
            raise ConfigError(
                f"at most {self.maximum} but at least {self.minimum} speakers: "
                "give a maximum that is not below the minimum"
            )

    @classmethod
    def of(
        cls, speakers: int | None = None, minimum: int | None = None, maximum: int | None = None
    ) -> SpeakerCount:
        """From the three numbers that a user may give.

        Args:
            speakers: the number, where it is known; excludes the other two.
            minimum: the least number; 1 if None.
            maximum: the largest number; None is no bound.

        Returns:
            The bounds.

        Raises:
            ConfigError: a number is no whole one, or the numbers contradict each other.
        """
        if speakers is not None:
            if minimum is not None or maximum is not None:
                raise ConfigError(
                    f"speakers is {speakers}, an exact number: leave out min_speakers and "
                    "max_speakers",
                    setting="speakers",
                )
            return cls(speakers, speakers)
        return cls(1 if minimum is None else minimum, maximum)

    @property
    def exact(self) -> int | None:
        """The number of speakers where it is known, else None."""
        return self.minimum if self.minimum == self.maximum else None

    def clip(self, k: int) -> int:
        """Bring a number of speakers within the bounds.

        Args:
            k: any number.

        Returns:
            The allowed number nearest to it.
        """
        return max(self.minimum, k if self.maximum is None else min(k, self.maximum))

    def to_mapping(self) -> dict[str, int | None]:
        """`speakers`, `min_speakers` and `max_speakers` as `of` takes them; None is not given."""
        if self.exact is not None:
            return {"speakers": self.exact, "min_speakers": None, "max_speakers": None}
        minimum = self.minimum if self.minimum > 1 else None
        return {"speakers": None, "min_speakers": minimum, "max_speakers": self.maximum}
