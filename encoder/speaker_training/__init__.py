"""A whole training of an embedder: settings, phases, validation, fine-tuning.

A corpus folder and a `TrainConfig` go in; a file of weights comes out, and in the run's folder what
it takes to go on after a stop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from encoder.common.lazy import lazy_exports

if TYPE_CHECKING:
    from encoder.speaker_training.config import TrainConfig
    from encoder.speaker_training.finetuning import Finetuned, finetune
    from encoder.speaker_training.objectives import SoftmaxObjective, TripletObjective
    from encoder.speaker_training.training_run import train

__all__ = [
    "Finetuned",
    "SoftmaxObjective",
    "TrainConfig",
    "TripletObjective",
    "finetune",
    "train",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "Finetuned": "encoder.speaker_training.finetuning",
        "SoftmaxObjective": "encoder.speaker_training.objectives",
        "TrainConfig": "encoder.speaker_training.config",
        "TripletObjective": "encoder.speaker_training.objectives",
        "finetune": "encoder.speaker_training.finetuning",
        "train": "encoder.speaker_training.training_run",
    },
)
