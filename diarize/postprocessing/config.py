"""Settings of `diarize.postprocessing.aggregation`, apart from it so that reading them imports
nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from encoder.errors import ConfigError

__all__ = ["AggregationConfig", "ResegmentationConfig"]


@dataclass(frozen=True)
class AggregationConfig:
    """How frames become turns; ConfigError if it makes no sense."""

    overlap: float = field(
        default=0.5,
        metadata={"help": "by how much more than one is expected to speak if two do (0 to 1)"},
    )
    voices: float = field(
        default=0.6,
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
        if not 0 < self.overlap <= 1:
            raise ConfigError(f"overlap is {self.overlap}: give more than 0 and at most 1")
        if not 0 <= self.voices <= 1:
            raise ConfigError(f"voices is {self.voices}: give a weight, 0 to 1")
        if not self.sharpness >= 0:
            raise ConfigError(f"sharpness is {self.sharpness}: give 0 or more")


@dataclass(frozen=True)
class ResegmentationConfig:
    """What is expected of speakers. The same values suit two very different embedders."""

    concentration: float = field(
        default=100.0, metadata={"help": "nats that a second of speech says per unit of cosine"}
    )
    spread: float = field(
        default=0.35,
        metadata={"help": "squared distance expected of a speaker's mean from the recording's"},
    )
    prior_s: float = field(
        default=8.0, metadata={"help": "seconds of speech that outweigh this expectation"}
    )
    turn_s: float = field(default=4.0, metadata={"help": "how long somebody speaks at a time"})

    def __post_init__(self) -> None:
        for knob in fields(self):
            if not 0 < (value := getattr(self, knob.name)) < float("inf"):
                raise ConfigError(f"{knob.name} is {value}: give a number above 0")
