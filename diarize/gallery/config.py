"""Settings of naming speakers, in a file that imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, field

from encoder.errors import ConfigError

__all__ = ["NamingConfig"]


@dataclass(frozen=True)
class NamingConfig:
    """When a speaker gets an enrolled name. A similarity, where given, replaces the probability.

    The default is for recordings: their speakers share a room or a line, so that they are more
    similar than the clips that calibrations are fitted on. Of 27 unknown speakers in development
    conversations 6 got a wrong name at 0.9 and 2 at 0.97, for 2 right names fewer of 26
    (recipes/evaluate/naming.py).
    """

    min_probability: float = field(
        default=0.97,
        metadata={"help": "of being that enrolled speaker, by the embedder's calibration"},
    )
    min_similarity: float | None = field(
        default=None, metadata={"help": "cosine to the nearest exemplar, instead of a probability"}
    )
    min_lead: float = field(
        default=0.05, metadata={"help": "by how much the next speaker must be less similar"}
    )
    min_speech_s: float = field(
        default=2.0, metadata={"help": "speakers with less speech stay unnamed"}
    )
    min_agreement: float = field(
        default=0.6,
        metadata={"help": "share of a speaker's speech that must be nearest to the name"},
    )

    def __post_init__(self) -> None:
        if not 0 < self.min_probability < 1:
            raise ConfigError(f"min_probability is {self.min_probability}: give more than 0 and "
                              "less than 1")  # fmt: skip
        if self.min_similarity is not None and not -1 <= self.min_similarity <= 1:
            raise ConfigError(f"min_similarity is {self.min_similarity}: give -1 to 1")
        if not 0 <= self.min_agreement <= 1:
            raise ConfigError(f"min_agreement is {self.min_agreement}: give 0 to 1")
        if not (self.min_lead >= 0 and self.min_speech_s >= 0):
            raise ConfigError("min_lead and min_speech_s may not be below 0")
