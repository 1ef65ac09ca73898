"""Learning what speakers are like from the vectors that a speaker model gives them.

Who speaks with whom says little about a speaker, and a small computer makes few conversations. So
the network is also asked, wherever one person speaks alone, which of the batch's people it is: its
output there, mapped into the space of the speaker model, should lie closest to that person's
vector. The map is trained along and is not part of the network.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from diarize.segmentation.network.network import COARSE
from diarize.segmentation.network.powerset import IGNORED
from encoder.common.settings import Settings, bounded

__all__ = ["SpeakerLoss", "SpeakerLossConfig"]


@dataclass(frozen=True)
class SpeakerLossConfig(Settings):
    """How much the speakers count."""

    weight: float = bounded(0.0, least=0, most=1_000_000, help="beside the loss of the classes")
    scale: float = bounded(16.0, above=0, most=10_000, help="what cosines are multiplied by")


class SpeakerLoss(nn.Module):
    """Cross entropy of the batch's speakers, in frames where one of them is alone.

    vectors: (N, E) unit vectors; one of zeros is not known and is left out. size: values that the
    network gives a frame.
    """

    def __init__(self, vectors: Tensor, size: int, config: SpeakerLossConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("vectors", vectors, persistent=False)
        self.vectors: Tensor
        self.map = nn.Linear(size, vectors.shape[1])

    def forward(self, states: Tensor, speakers: Tensor) -> tuple[Tensor, dict[str, float]]:
        """`weight` times the loss, and how often the right speaker is closest.

        states (B, F8, size); speakers (B, F) int64, the number of who is alone, or IGNORED. Frames
        at the rate of `states` count in which all frames have one speaker.
        """
        B, F8, _ = states.shape
        fill = COARSE * F8 - speakers.shape[1]
        fine = nn.functional.pad(speakers, (0, fill), value=IGNORED).reshape(B, F8, COARSE)
        one = (fine == fine[:, :, :1]).all(dim=2) & (fine[:, :, 0] != IGNORED)
        known = self.vectors.any(dim=1)
        one &= known[fine[:, :, 0].clamp(min=0)]
        if not one.any():
            return states.sum() * 0.0, {}
        numbers, which = fine[:, :, 0][one].unique(return_inverse=True)
        mapped = nn.functional.normalize(self.map(states[one]), dim=1)
        logits = self.config.scale * (mapped @ self.vectors[numbers].T)
        loss = nn.functional.cross_entropy(logits, which)
        right = float((logits.argmax(dim=1) == which).float().mean())
        return self.config.weight * loss, {"speaker_accuracy": right}
