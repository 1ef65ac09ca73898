"""What the segmentation network is trained on."""

from __future__ import annotations

from torch import Tensor, nn

from diarize.segmentation.network.powerset import IGNORED, Powerset
from diarize.segmentation_training.batches import Batch
from diarize.segmentation_training.speaker_loss import SpeakerLoss
from encoder.training.objective import Objective

__all__ = ["PowersetObjective"]


class PowersetObjective(Objective):
    """Cross entropy of powerset classes, with each chunk's columns in the order that fits best,
    and what `speaker_loss` adds to it."""

    def __init__(self, powerset: Powerset, speaker_loss: SpeakerLoss | None = None) -> None:
        super().__init__()
        self.powerset = powerset
        self.voices = speaker_loss  # checkpoints hold it under this name

    def forward(
        self, network: nn.Module, batch: Batch, *, progress: float = 0.0
    ) -> tuple[Tensor, dict[str, float]]:
        """The loss and how often the likeliest class is right."""
        log_probabilities, states = network(batch.features.float(), with_states=True)
        fit = self.powerset.fit(log_probabilities, batch.classes)
        loss = fit.loss.mean()
        scored = fit.classes != IGNORED
        right = (log_probabilities.argmax(dim=2) == fit.classes) & scored
        accuracy = float(right.sum()) / max(1, int(scored.sum()))
        measured = {"loss": float(loss.detach()), "accuracy": accuracy}
        if self.voices is None:
            return loss, measured
        more, seen = self.voices(states, batch.speakers)
        return loss + more, {**measured, **seen}
