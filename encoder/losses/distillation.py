"""Learning from the vectors that a larger public model gives the clean utterances.

They say much more about a speaker than a class number does, which is what a small corpus and a
small computer need most. Two ways to listen:

- `teacher_loss`: be the same vector. Where the sizes differ, a linear map from the student's space
  into the teacher's is trained along; it is not part of the network and is not shipped.
- `relation_loss`: have the same similarities between the utterances of a batch, in a space of any
  size (Tung and Mori 2019, similarity-preserving knowledge distillation, arXiv 1907.09682; Park et
  al. 2019, relational knowledge distillation, arXiv 1904.05068).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from encoder.errors import ConfigError

__all__ = ["DistillationLoss", "relation_loss", "teacher_loss", "teacher_projection"]


def teacher_loss(embeddings: Tensor, teacher: Tensor | None) -> Tensor:
    """Mean of 1 - cosine between unit vectors (B, D) and (B, D); 0 without a teacher."""
    if teacher is None:
        return embeddings.sum() * 0.0
    return (1 - (embeddings * teacher).sum(dim=1)).mean()


def relation_loss(embeddings: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference of the two (B, B) matrices of cosines, off the diagonal.

    Unit vectors (B, D) and (B, E); D and E may differ. 0, with a gradient of zeros, for B < 2.
    """
    B = len(embeddings)
    if B < 2:
        return embeddings.sum() * 0.0
    difference = embeddings @ embeddings.T - teacher @ teacher.T
    off = ~torch.eye(B, dtype=torch.bool, device=embeddings.device)
    return difference[off].square().mean()


def teacher_projection(embedding_size: int, teacher_size: int) -> nn.Linear | None:
    """The map from the student's vectors to the teacher's; None where the sizes agree."""
    if embedding_size == teacher_size:
        return None
    return nn.Linear(embedding_size, teacher_size, bias=False)


class DistillationLoss(nn.Module):
    """`weight` times the teacher's loss plus `relation_weight` times the relation loss.

    projection: of `teacher_projection`; give the same one to both phases of a training.
    Raises ConfigError for a negative weight; when called, for weights without a teacher's vectors,
    vectors without a weight, and sizes that do not fit.
    """

    def __init__(
        self,
        *,
        weight: float = 0.0,
        relation_weight: float = 0.0,
        projection: nn.Linear | None = None,
    ) -> None:
        super().__init__()
        for name, value in (("teacher_weight", weight), ("relation_weight", relation_weight)):
            if value < 0:
                raise ConfigError(f"{name} is {value}: give 0, or a number above it")
        self.weight, self.relation_weight = weight, relation_weight
        self.projection = projection if weight > 0 else None

    def forward(
        self, embeddings: Tensor, teacher: Tensor | None
    ) -> tuple[Tensor, dict[str, float]]:
        """The weighted sum, and each loss before its weight by name."""
        wanted = self.weight > 0 or self.relation_weight > 0
        if teacher is None:
            if wanted:
                raise ConfigError(
                    f"teacher_weight is {self.weight} and relation_weight {self.relation_weight}, "
                    "but the batches have no teacher's vectors: give a teacher, or set both to 0"
                )
            return embeddings.sum() * 0.0, {}
        if not wanted:
            raise ConfigError(
                "the batches have a teacher's vectors, but teacher_weight and relation_weight are "
                "0: set one of them, or train without a teacher"
            )
        total, measured = embeddings.sum() * 0.0, {}
        if self.weight > 0:
            loss = teacher_loss(self._projected(embeddings, teacher), teacher)
            total, measured["teacher_loss"] = total + self.weight * loss, float(loss.detach())
        if self.relation_weight > 0:
            loss = relation_loss(embeddings, teacher)
            total = total + self.relation_weight * loss
            measured["relation_loss"] = float(loss.detach())
        return total, measured

    def _projected(self, embeddings: Tensor, teacher: Tensor) -> Tensor:
        D, wanted = embeddings.shape[1], teacher.shape[1]
        size = D if self.projection is None else self.projection.out_features
        if size != wanted:
            raise ConfigError(
                f"the teacher's vectors have {wanted} values and the embedding {size}: set "
                f"embedding_size to {wanted}, or give projection=teacher_projection({D}, {wanted})"
            )
        if self.projection is None:
            return embeddings
        return nn.functional.normalize(self.projection(embeddings), dim=1)
