"""What the caller knows of the number of speakers. Light, so that flags are checked at once."""

from __future__ import annotations

from dataclasses import dataclass

from encoder.errors import ConfigError

__all__ = ["SpeakerCount"]


@dataclass(frozen=True)
class SpeakerCount:
    """What is known about the number of speakers; `minimum == maximum` when it is told."""

    minimum: int = 1
    maximum: int | None = None

    def __post_init__(self) -> None:
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
        """From three numbers of which `speakers`, the exact one, excludes the other two."""
        if speakers is not None:
            if minimum is not None or maximum is not None:
                raise ConfigError(
                    f"the number of speakers is given as {speakers}: leave out its minimum and "
                    "maximum",
                    setting="speakers",
                )
            return cls(speakers, speakers)
        return cls(1 if minimum is None else minimum, maximum)

    @property
    def exact(self) -> int | None:
        """The number of speakers if it is told, else None."""
        return self.minimum if self.minimum == self.maximum else None

    def clip(self, k: int) -> int:
        """The allowed number nearest to k."""
        return max(self.minimum, k if self.maximum is None else min(k, self.maximum))
