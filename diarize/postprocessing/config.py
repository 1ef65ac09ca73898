"""Settings of postprocessing, in a file of their own so that reading them imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from encoder.errors import ConfigError

__all__ = ["AggregationConfig", "ResegmentationConfig"]


@dataclass(frozen=True)
class AggregationConfig:
    """How chunks and embeddings become turns. ConfigError for values that cannot be."""

    overlap_threshold: float = field(
        default=0.5,
        metadata={"help": "expected number of speakers beyond 1 from which 2 speak (0 to 1)"},
    )
    embedding_weight: float = field(
        default=0.6,
        metadata={"help": "weight of the windows' embeddings; the rest is the chunks' (0 to 1)"},
    )
    softmax_scale: float = field(
        default=10.0, metadata={"help": "factor of the cosines whose softmax is a posterior"}
    )
    min_turn_s: float = field(default=0.1, metadata={"help": "drop turns shorter than this"})
    min_gap_s: float = field(
        default=0.4, metadata={"help": "close gaps of one speaker shorter than this"}
    )
    exclusive: bool = field(
        default=False, metadata={"help": "one speaker at a time: the one with the largest score"}
    )

    def __post_init__(self) -> None:
        if not 0 < self.overlap_threshold <= 1:
            raise ConfigError(
                f"overlap_threshold is {self.overlap_threshold}: give more than 0 and at most 1"
            )
        if not 0 <= self.embedding_weight <= 1:
            raise ConfigError(f"embedding_weight is {self.embedding_weight}: give 0 to 1")
        if not self.softmax_scale >= 0:
            raise ConfigError(f"softmax_scale is {self.softmax_scale}: give 0 or more")


@dataclass(frozen=True)
class ResegmentationConfig:
    """What is expected of speakers. The same values suit two very different embedders. ConfigError
    for values that are not above 0.

    evidence and prior are the factors Fa and Fb of VBx, where a model of the embedder's vectors is
    at hand; concentration, spread and prior_s describe the vectors where there is none.
    """

    evidence: float = field(
        default=0.5,
        metadata={"help": "what a window of 1.6 s and more counts for, with a model of vectors"},
    )
    prior: float = field(
        default=4.0,
        metadata={"help": "how much evidence a speaker needs to stay, with a model of vectors"},
    )
    concentration: float = field(
        default=100.0,
        metadata={"help": "nats for a second of speech and a cosine of 1"},
    )
    spread: float = field(
        default=0.35,
        metadata={"help": "squared distance expected of a speaker's mean from the recording's"},
    )
    prior_s: float = field(
        default=8.0, metadata={"help": "seconds of speech that outweigh this expectation"}
    )
    turn_s: float = field(default=4.0, metadata={"help": "mean length of a turn, in seconds"})

    def __post_init__(self) -> None:
        for knob in fields(self):
            if not 0 < (value := getattr(self, knob.name)) < float("inf"):
                raise ConfigError(f"{knob.name} is {value}: give a number above 0")
