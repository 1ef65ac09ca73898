"""Training objectives on embeddings of unit norm.

- `cosine_triplet_loss`: Deep Speaker, equation 5: max(0, cos(a, n) - cos(a, p) + margin).
- `SoftmaxObjective`: the pre-training classifier on top of the embedding. With unit class vectors,
  a scale and an additive margin (Wang et al. 2018, arXiv 1801.05599) it trains the very cosine that
  is used afterwards; margin 0 is plain (normalised) softmax.
- `TripletObjective`: mined triplets, optionally with the classifier kept on as a regulariser.
- `teacher_loss`: optional in both, 1 - cosine to the vector that a larger public model gives the
  clean utterance. It says much more about a voice than a class number does, which is what a small
  corpus and a small computer need most.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from encoder.mining import Strategy, Triplets, mine_triplets

__all__ = [
    "Batch",
    "SoftmaxObjective",
    "TripletObjective",
    "cosine_triplet_loss",
    "teacher_loss",
]


class Batch(NamedTuple):
    """features (B, F, M) normalised log-mel; speakers and takes (B,) int64; teacher (B, D) unit
    vectors, if there is one."""

    features: Tensor
    speakers: Tensor
    takes: Tensor
    teacher: Tensor | None = None


def cosine_triplet_loss(embeddings: Tensor, triplets: Triplets, *, margin: float) -> Tensor:
    """Mean of max(0, cos(a, n) - cos(a, p) + margin) over the triplets; a scalar.

    embeddings (N, D) of unit norm. No triplets give 0 that still carries a gradient (of zeros).
    """
    if len(triplets.anchors) == 0:
        return embeddings.sum() * 0.0
    a, p, n = (embeddings[rows] for rows in triplets)
    return torch.relu((a * n).sum(dim=1) - (a * p).sum(dim=1) + margin).mean()


def teacher_loss(embeddings: Tensor, teacher: Tensor | None) -> Tensor:
    """Mean of 1 - cosine between unit vectors (B, D) and (B, D); 0 without a teacher."""
    if teacher is None:
        return embeddings.sum() * 0.0
    return (1 - (embeddings * teacher).sum(dim=1)).mean()


class SoftmaxObjective(nn.Module):
    """Cross entropy over K speakers from scale * (cos(e, w_k) - margin of the true k), plus
    `teacher_weight` times the teacher's loss."""

    def __init__(
        self,
        embedding_size: int,
        speakers: int,
        *,
        scale: float = 30.0,
        margin: float = 0.2,
        teacher_weight: float = 0.0,
    ) -> None:
        super().__init__()
        # About unit length, so that one step size suits these vectors and the network alike.
        self.weight = nn.Parameter(torch.randn(speakers, embedding_size) / embedding_size**0.5)
        self.scale, self.margin, self.teacher_weight = scale, margin, teacher_weight

    def logits(self, embeddings: Tensor) -> Tensor:
        """(B, K) cosines to the class vectors."""
        return embeddings @ nn.functional.normalize(self.weight, dim=1).T

    def loss(
        self, embeddings: Tensor, speakers: Tensor, progress: float
    ) -> tuple[Tensor, dict[str, float]]:
        """Loss and measurements; the margin grows from 0 over the first fifth of training."""
        cosines = self.logits(embeddings)
        margin = self.margin * min(1.0, progress / 0.2)
        target = nn.functional.one_hot(speakers, cosines.shape[1]).to(cosines.dtype)
        loss = nn.functional.cross_entropy(self.scale * (cosines - margin * target), speakers)
        right = (cosines.detach().argmax(dim=1) == speakers).float().mean()
        return loss, {"loss": float(loss.detach()), "accuracy": float(right)}

    def forward(
        self, model: nn.Module, batch: Batch, *, progress: float
    ) -> tuple[Tensor, dict[str, float]]:
        embeddings = model(batch.features)
        loss, measured = self.loss(embeddings, batch.speakers, progress)
        return _with_teacher(loss, measured, embeddings, batch.teacher, self.teacher_weight)


def _with_teacher(
    loss: Tensor,
    measured: dict[str, float],
    embeddings: Tensor,
    teacher: Tensor | None,
    weight: float,
) -> tuple[Tensor, dict[str, float]]:
    if weight == 0:
        return loss, measured
    extra = teacher_loss(embeddings, teacher)
    return loss + weight * extra, {**measured, "teacher_loss": float(extra.detach())}


class TripletObjective(nn.Module):
    """Triplets mined over the batch, plus `softmax_weight` times the classifier's loss and
    `teacher_weight` times the teacher's."""

    def __init__(
        self,
        *,
        margin: float = 0.1,
        strategy: Strategy = "hard",
        classifier: SoftmaxObjective | None = None,
        softmax_weight: float = 0.0,
        teacher_weight: float = 0.0,
    ) -> None:
        super().__init__()
        self.margin, self.strategy = margin, strategy
        self.classifier = classifier if softmax_weight > 0 else None
        self.softmax_weight, self.teacher_weight = softmax_weight, teacher_weight

    def forward(
        self, model: nn.Module, batch: Batch, *, progress: float
    ) -> tuple[Tensor, dict[str, float]]:
        embeddings = model(batch.features)
        triplets = mine_triplets(
            embeddings, batch.speakers, strategy=self.strategy, takes=batch.takes
        )
        loss = cosine_triplet_loss(embeddings, triplets, margin=self.margin)
        measured = {
            "triplet_loss": float(loss.detach()),
            "violating": self._violating(embeddings, triplets),
        }
        if self.classifier is not None:
            extra, also = self.classifier.loss(embeddings, batch.speakers, 1.0)
            loss = loss + self.softmax_weight * extra
            measured["accuracy"] = also["accuracy"]
        loss, measured = _with_teacher(
            loss, measured, embeddings, batch.teacher, self.teacher_weight
        )
        return loss, {"loss": float(loss.detach()), **measured}

    def _violating(self, embeddings: Tensor, triplets: Triplets) -> float:
        """Share of triplets that still break the margin; about 1 with a loss stuck at the margin
        means collapse."""
        if len(triplets.anchors) == 0:
            return 0.0
        with torch.no_grad():
            a, p, n = (embeddings[rows] for rows in triplets)
            return float(((a * (n - p)).sum(dim=1) + self.margin > 0).float().mean())
