"""Settings of postprocessing, in a file of their own so that reading them imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, field

from encoder.common.settings import Settings, bounded

__all__ = ["AggregationConfig", "ResegmentationConfig"]


@dataclass(frozen=True)
class AggregationConfig(Settings):
    """How chunks and embeddings become turns. ConfigError for values that cannot be."""

    overlap_threshold: float = bounded(
        0.5,
        above=0,
        most=1,
        help="expected number of speakers beyond 1 from which 2 speak (0 to 1)",
    )
    embedding_weight: float = bounded(
        0.6,
        least=0,
        most=1,
        help="weight of the windows' embeddings; the rest is the chunks' (0 to 1)",
    )
    softmax_scale: float = bounded(
        10.0, least=0, most=10_000, help="factor of the cosines whose softmax is a posterior"
    )
    min_turn_s: float = bounded(0.1, least=0, most=3600, help="drop turns shorter than this")
    min_gap_s: float = bounded(
        0.4, least=0, most=3600, help="close gaps of one speaker shorter than this"
    )
    exclusive: bool = field(
        default=False, metadata={"help": "one speaker at a time: the one with the largest score"}
    )


@dataclass(frozen=True)
class ResegmentationConfig(Settings):
    """What is expected of speakers. The same values suit two very different embedders. ConfigError
    for values that cannot be.

    evidence and prior are the factors Fa and Fb of VBx, where a model of the embedder's vectors is
    at hand; concentration, spread and prior_s describe the vectors where there is none.
    """

    evidence: float = bounded(
        0.5,
        least=1e-12,
        most=10**12,
        help="what a window of 1.6 s and more counts for, with a model of vectors",
    )
    prior: float = bounded(
        4.0,
        least=1e-12,
        most=10**12,
        help="how much evidence a speaker needs to stay, with a model of vectors",
    )
    concentration: float = bounded(
        100.0, least=1e-12, most=10**12, help="nats for a second of speech and a cosine of 1"
    )
    spread: float = bounded(
        0.35,
        least=1e-12,
        most=10**12,
        help="squared distance expected of a speaker's mean from the recording's",
    )
    prior_s: float = bounded(
        8.0, least=1e-12, most=10**12, help="seconds of speech that outweigh this expectation"
    )
    turn_s: float = bounded(4.0, least=1e-12, most=10**12, help="mean length of a turn, in seconds")
