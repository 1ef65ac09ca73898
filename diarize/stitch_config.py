"""Settings of `diarize.stitching`, apart from it so that reading them imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, field

from encoder.errors import ConfigError

__all__ = ["StitchConfig"]


@dataclass(frozen=True)
class StitchConfig:
    """How frames become turns; ConfigError if it makes no sense."""

    speech: float = field(
        default=0.5, metadata={"help": "expected number of speakers from which one speaks (0 to 1)"}
    )
    overlap: float = field(
        default=0.5, metadata={"help": "how much more than one from which two speak (0 to 1)"}
    )
    voices: float = field(
        default=0.5,
        metadata={"help": "weight of the windows' voices; the rest is that of the chunks (0 to 1)"},
    )
    sharpness: float = field(
        default=10.0, metadata={"help": "what cosines to the speakers are multiplied by"}
    )
    min_turn_s: float = field(default=0.1, metadata={"help": "drop turns shorter than this"})
    min_gap_s: float = field(
        default=0.2, metadata={"help": "close gaps of one speaker shorter than this"}
    )
    exclusive: bool = field(
        default=False, metadata={"help": "one speaker at a time: whoever is heard most"}
    )

    def __post_init__(self) -> None:
        for name in ("speech", "overlap"):
            if not 0 < getattr(self, name) <= 1:
                raise ConfigError(f"{name} is {getattr(self, name)}: give more than 0, at most 1")
        if not 0 <= self.voices <= 1:
            raise ConfigError(f"voices is {self.voices}: give a weight, 0 to 1")
        if not self.sharpness >= 0:
            raise ConfigError(f"sharpness is {self.sharpness}: give 0 or more")
