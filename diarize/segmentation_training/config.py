"""Settings of a training of the segmentation network."""

from __future__ import annotations

from dataclasses import dataclass, field

from diarize.segmentation.network.network import SegmentationNetworkConfig
from diarize.segmentation_training.speaker_loss import SpeakerLossConfig
from diarize.simulation.channel_augmentation import ChannelAugmentationConfig
from encoder.common.settings import MOST_SEED, Settings, bounded
from encoder.common.units import seconds_to_samples
from encoder.errors import ConfigError
from encoder.training.distributed import EngineConfig
from encoder.training.optimization import FitConfig

__all__ = ["HOP", "BatchConfig", "SegmentationTrainConfig"]

HOP = 160  # samples of a feature frame, and of a frame of the reference
FRAME = 2 * HOP  # of the network


@dataclass(frozen=True)
class BatchConfig(Settings):
    """Shape of a batch, and who makes it."""

    chunks: int = bounded(32, least=1, most=10_000, help="chunks in a batch (B)")
    chunk_s: float = bounded(10.0, least=0.02, most=600, help="length of a chunk, in seconds")
    quiet: float = bounded(0.2, least=0, most=1, help="probability that a chunk is made quieter")
    quiet_db: float = bounded(30.0, least=0, most=200, help="by up to so many decibels")
    workers: int = bounded(1, least=0, most=256, help="processes that make batches; 0: none")
    ahead: int = bounded(4, least=1, most=1000, help="batches that each of them makes ahead")

    def __post_init__(self) -> None:
        super().__post_init__()
        if seconds_to_samples(self.chunk_s) % FRAME:
            raise ConfigError(f"chunk_s is {self.chunk_s}: give a multiple of 0.02 seconds")


@dataclass(frozen=True)
class SegmentationTrainConfig(Settings):
    """Everything a training run depends on, but the data."""

    seed: int = bounded(1, least=0, most=MOST_SEED, help="of weights and batches")
    threads: int = bounded(2, least=1, most=1024, help="CPU threads of the network")
    init: str = field(
        default="", metadata={"help": "weights to go on from, a name or a path; empty: from chance"}
    )
    teacher: str = field(
        default="",
        metadata={
            "help": "npz of recipes.prepare.teacher_vectors, for [speaker_loss]; empty: none"
        },
    )
    model: SegmentationNetworkConfig = field(default_factory=SegmentationNetworkConfig)
    speaker_loss: SpeakerLossConfig = field(default_factory=SpeakerLossConfig)
    channel_augmentation: ChannelAugmentationConfig = field(
        default_factory=ChannelAugmentationConfig
    )
    batch: BatchConfig = field(default_factory=BatchConfig)
    fit: FitConfig = field(default_factory=FitConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
