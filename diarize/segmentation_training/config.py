"""Settings of a training of the segmentation network."""

from __future__ import annotations

from dataclasses import dataclass, field

from diarize.segmentation.network.network import SegmentationNetworkConfig
from diarize.segmentation_training.speaker_loss import SpeakerLossConfig
from diarize.simulation.channel_augmentation import ChannelAugmentationConfig
from encoder.common.units import seconds_to_samples
from encoder.errors import ConfigError
from encoder.training.distributed import EngineConfig
from encoder.training.optimization import FitConfig

__all__ = ["HOP", "BatchConfig", "SegmentationTrainConfig"]

HOP = 160  # samples of a feature frame, and of a frame of the reference
FRAME = 2 * HOP  # of the network


@dataclass(frozen=True)
class BatchConfig:
    """Shape of a batch, and who makes it."""

    chunks: int = field(default=32, metadata={"help": "chunks in a batch (B)"})
    chunk_s: float = field(default=10.0, metadata={"help": "length of a chunk, in seconds"})
    quiet: float = field(default=0.2, metadata={"help": "probability that a chunk is made quieter"})
    quiet_db: float = field(default=30.0, metadata={"help": "by up to so many decibels"})
    workers: int = field(default=1, metadata={"help": "processes that make batches; 0: none"})
    ahead: int = field(default=4, metadata={"help": "batches that each of them makes ahead"})

    def __post_init__(self) -> None:
        if self.chunks < 1 or self.workers < 0 or self.ahead < 1:
            raise ConfigError(
                f"chunks {self.chunks}, workers {self.workers}, ahead {self.ahead}: give at least "
                "1, 0 and 1"
            )
        if not 0 <= self.quiet <= 1 or self.quiet_db < 0:
            raise ConfigError(
                f"quiet {self.quiet} and quiet_db {self.quiet_db}: give a probability and zero or "
                "more decibels"
            )
        samples = seconds_to_samples(self.chunk_s)
        if samples < FRAME or samples % FRAME:
            raise ConfigError(f"chunk_s is {self.chunk_s}: give a multiple of 0.02 seconds")


@dataclass(frozen=True)
class SegmentationTrainConfig:
    """Everything a training run depends on, but the data."""

    seed: int = field(default=1, metadata={"help": "of weights and batches"})
    threads: int = field(default=2, metadata={"help": "CPU threads of the network"})
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
