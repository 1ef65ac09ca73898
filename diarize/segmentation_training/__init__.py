"""Training of the segmentation network on simulated conversations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from encoder.common.lazy import lazy_exports

if TYPE_CHECKING:
    from diarize.segmentation_training.batches import ChunkBatches
    from diarize.segmentation_training.config import SegmentationTrainConfig
    from diarize.segmentation_training.objective import PowersetObjective
    from diarize.segmentation_training.speaker_loss import SpeakerLoss
    from diarize.segmentation_training.train import train_segmentation
    from diarize.segmentation_training.validation import validate

__all__ = [
    "ChunkBatches",
    "PowersetObjective",
    "SegmentationTrainConfig",
    "SpeakerLoss",
    "train_segmentation",
    "validate",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "ChunkBatches": "diarize.segmentation_training.batches",
        "PowersetObjective": "diarize.segmentation_training.objective",
        "SegmentationTrainConfig": "diarize.segmentation_training.config",
        "SpeakerLoss": "diarize.segmentation_training.speaker_loss",
        "train_segmentation": "diarize.segmentation_training.train",
        "validate": "diarize.segmentation_training.validation",
    },
)
