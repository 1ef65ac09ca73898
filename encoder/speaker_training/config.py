"""What a training run depends on: one TOML file, read into these groups.

Two phases, as in the paper: pre-training as a classifier of the training speakers, then triplets. A
third may go on with milder augmentation, closer to clean speech.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from encoder.augmentation.spectral import AugmentConfig
from encoder.common.config import from_mapping
from encoder.common.settings import MOST_SEED, Settings, bounded
from encoder.data.batch_sampler import SamplerConfig
from encoder.errors import ConfigError
from encoder.losses.mining import Strategy
from encoder.models import ARCHITECTURES
from encoder.training.distributed import EngineConfig
from encoder.training.loop import FitConfig

__all__ = ["Phase", "SoftmaxPhase", "TrainConfig", "TripletPhase", "model_config"]


@dataclass(frozen=True)
class Phase(Settings):
    """What every phase has."""

    epochs: float = bounded(
        0.0, least=0, most=1_000_000, help="instead of fit.steps: how often each utterance is drawn"
    )
    teacher_weight: float = bounded(
        0.0, least=0, most=1_000_000, help="of 1 - cosine to the teacher"
    )
    relation_weight: float = bounded(
        0.0, least=0, most=1_000_000, help="of the difference from the teacher's similarities"
    )
    augmentation: AugmentConfig | None = field(
        default=None, metadata={"help": "of this phase alone; the config's if it is not given"}
    )
    sampler: SamplerConfig = field(default_factory=SamplerConfig)
    fit: FitConfig = field(default_factory=FitConfig)


@dataclass(frozen=True)
class SoftmaxPhase(Phase):
    """Pre-training as a classifier of the training speakers."""

    scale: float = bounded(30.0, above=0, most=10_000, help="multiplies cosines before the softmax")
    margin: float = bounded(0.2, least=0, most=2, help="taken from the true speaker's cosine")
    sampler: SamplerConfig = field(default_factory=lambda: SamplerConfig(speakers=64, utterances=1))


@dataclass(frozen=True)
class TripletPhase(Phase):
    """Triplets from the pre-trained weights."""

    margin: float = bounded(0.1, least=0, most=4, help="of the triplet loss; the paper's 0.1")
    strategy: Strategy = field(default="hard", metadata={"help": "which negatives"})
    softmax_weight: float = bounded(0.0, least=0, most=1_000_000, help="keeps the classifier on")
    history: int = bounded(
        0, least=0, most=10_000_000, help="past embeddings that are negatives too; 0: none"
    )
    hard_speakers: int = bounded(
        0,
        least=0,
        most=1_000_000,
        help="speakers of a batch chosen as hard for each other; 0: none",
    )
    sampler: SamplerConfig = field(default_factory=lambda: SamplerConfig(speakers=48, utterances=2))


@dataclass(frozen=True)
class TrainConfig(Settings):
    """Everything a training run depends on, but the data; each field has its help in its metadata.

    `from_mapping(TrainConfig, read_toml(path))` of `encoder.common` reads one from a file.
    """

    seed: int = bounded(1, least=0, most=MOST_SEED, help="of weights, batches and augmentation")
    threads: int = bounded(2, least=1, most=1024, help="CPU threads of a worker")
    architecture: str = field(
        default="rescnn", metadata={"help": f"one of {', '.join(ARCHITECTURES.names())}"}
    )
    model: dict[str, Any] = field(
        default_factory=dict, metadata={"help": "shape of the network: fields of its Config"}
    )
    init: str = field(
        default="", metadata={"help": "weights to go on from, a name or a path; empty: from chance"}
    )
    validation_share: float = bounded(
        0.04, least=0, below=1, help="share of the training speakers kept for validation"
    )
    speeds: tuple[float, ...] = bounded(
        (1.0,), least=0.5, most=2, help="copies in the bank; each other than 1 is a new speaker"
    )
    one_speed_copy: bool = field(
        default=False, metadata={"help": "each speaker has one of the other speeds, not all"}
    )
    telephone: float = bounded(
        0.0, least=0, most=1, help="share of the utterances with a telephone copy in the bank"
    )
    teacher: str = field(
        default="", metadata={"help": "npz of recipes.prepare.teacher_vectors; empty: no teacher"}
    )
    selected_weights: Literal["last", "best"] = field(
        default="last",
        metadata={"help": "which of the averaged weights: the last, or the best validated"},
    )
    augmentation: AugmentConfig = field(default_factory=AugmentConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    softmax: SoftmaxPhase = field(default_factory=SoftmaxPhase)
    triplet: TripletPhase = field(default_factory=TripletPhase)
    clean_finetune: TripletPhase | None = field(
        default=None,
        metadata={"help": "more triplets at the end, closer to clean speech; none if not given"},
    )


def model_config(config: TrainConfig) -> Any:
    """The `Config` of the architecture, with the values of `config.model`; ConfigError if they
    clash."""
    if config.init and config.model:
        raise ConfigError(
            f"init is {config.init!r} and [model] is given: take [model] out, it comes with the "
            "weights"
        )
    schema = ARCHITECTURES.load(config.architecture).Config
    return from_mapping(schema, config.model, where="model.")
