"""Settings of naming, apart so that reading them imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from encoder.errors import ConfigError

if TYPE_CHECKING:
    pass

__all__ = ["NamingConfig"]


@dataclass(frozen=True)
class NamingConfig:
    """When a voice gets a name. A similarity, where given, decides instead of the probability.

    The default is for recordings: all voices in them share a room or a line, so that people are
    more alike than the clips that calibrations are fitted on. Of 27 unknown voices in development
    conversations 6 got a wrong name at 0.9 and 2 at 0.97, for 2 right names fewer of 26
    (recipes/evaluate/naming.py).
    """

    min_probability: float = field(
        default=0.97, metadata={"help": "of being that person, by the embedder's calibration"}
    )
    min_similarity: float | None = field(
        default=None, metadata={"help": "cosine to the nearest exemplar, instead of a probability"}
    )
    min_lead: float = field(
        default=0.05, metadata={"help": "similarity by which the next person must be farther"}
    )
    min_speech_s: float = field(
        default=2.0, metadata={"help": "voices heard for less stay unnamed"}
    )
    min_agreement: float = field(
        default=0.6, metadata={"help": "share of a voice's speech that must be nearest to its name"}
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
