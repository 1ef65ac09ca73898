"""Training objectives on embeddings of unit norm.

- `cosine_triplet_loss`: Deep Speaker, equation 5: max(0, cos(a, n) - cos(a, p) + margin).
- `SoftmaxObjective`: the pre-training classifier on top of the embedding. With unit class vectors,
  a scale and an additive margin (Wang et al. 2018, arXiv 1801.05599) it trains the very cosine that
  is used afterwards; margin 0 is plain (normalised) softmax.
- `TripletObjective`: mined triplets, optionally with the classifier kept on as a regulariser.

Both may listen to a teacher (`encoder/losses/distillation.py`). A triplet's negatives come from the
batch, from the other workers' batches, and from a history of past embeddings, if there is one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from encoder.data.batch_sampler import Batch
from encoder.errors import ConfigError
from encoder.losses.distillation import (
    DistillationLoss,
    relation_loss,
    teacher_loss,
    teacher_projection,
)
from encoder.losses.memory_bank import MemoryBank, select_batch
from encoder.losses.mining import Strategy, Triplets, mine_triplets
from encoder.losses.triplet import cosine_triplet_loss
from encoder.speaker_training.collapse_detector import CollapseDetector
from encoder.training.distributed import Engine
from encoder.training.objective import Objective

__all__ = [
    "SoftmaxObjective",
    "TripletObjective",
    "relation_loss",
    "teacher_loss",
    "teacher_projection",
]


class SoftmaxObjective(Objective):
    """Cross entropy over K speakers from scale * (cos(e, w_k) - margin of the true k), plus what
    the teacher adds (see `DistillationLoss`)."""

    def __init__(
        self,
        embedding_size: int,
        speakers: int,
        *,
        scale: float = 30.0,
        margin: float = 0.2,
        teacher_weight: float = 0.0,
        relation_weight: float = 0.0,
        projection: nn.Linear | None = None,
    ) -> None:
        super().__init__()
        # About unit length, so that one step size suits these vectors and the network alike.
        self.weight = nn.Parameter(torch.randn(speakers, embedding_size) / embedding_size**0.5)
        self.scale, self.margin = scale, margin
        self.teacher = DistillationLoss(
            weight=teacher_weight, relation_weight=relation_weight, projection=projection
        )

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
        taught, also = self.teacher(embeddings, batch.teacher)
        return loss + taught, {**measured, **also}


class TripletObjective(Objective):
    """Triplets mined over the batch and what is around it, plus `softmax_weight` times the
    classifier's loss and what the teacher adds (see `DistillationLoss`).

    history: its embeddings are negatives too, and the batch joins it afterwards.
    hard_speakers: so many speakers of a batch are chosen by the history as hard for each other
        (see `select_batch`) once it is full; 0 for none.

    Raises ConfigError for a weight below 0, a weight without a classifier, or `hard_speakers`
    without a history.
    """

    def __init__(
        self,
        *,
        margin: float = 0.1,
        strategy: Strategy = "hard",
        classifier: SoftmaxObjective | None = None,
        softmax_weight: float = 0.0,
        teacher_weight: float = 0.0,
        relation_weight: float = 0.0,
        projection: nn.Linear | None = None,
        history: MemoryBank | None = None,
        hard_speakers: int = 0,
    ) -> None:
        super().__init__()
        if softmax_weight < 0:
            raise ConfigError(f"softmax_weight is {softmax_weight}: give 0, or a number above it")
        if softmax_weight > 0 and classifier is None:
            raise ConfigError(
                f"softmax_weight is {softmax_weight} without a classifier: "
                "give the one that was pre-trained, or set it to 0"
            )
        if hard_speakers > 0 and history is None:
            raise ConfigError(
                f"hard_speakers is {hard_speakers} without a history: give one, or set it to 0"
            )
        self.margin, self.strategy = margin, strategy
        self.classifier = classifier if softmax_weight > 0 else None
        self.softmax_weight = softmax_weight
        self.teacher = DistillationLoss(
            weight=teacher_weight, relation_weight=relation_weight, projection=projection
        )
        self.history, self.hard_speakers = history, hard_speakers
        self._engine: Engine | None = None
        self._watch = CollapseDetector(margin)

    def bind(self, engine: Engine) -> None:
        """Mine over all workers of this engine; called by `fit`."""
        self._engine = engine if engine.world_size > 1 else None

    def choose(self, number: int) -> Tensor | None:
        """(P,) speakers that batch `number` should hold; None for any. It depends on the number
        and the history alone."""
        if self.hard_speakers == 0 or self.history is None or len(self.history) < self.history.size:
            return None
        generator = torch.Generator().manual_seed(number)
        return select_batch(
            self.history, speakers=self.hard_speakers, utterances=1, generator=generator
        ).speakers

    def warning(self) -> str | None:
        """A sentence for the user, once, when the training has collapsed."""
        return self._watch.warning()

    def forward(
        self, model: nn.Module, batch: Batch, *, progress: float
    ) -> tuple[Tensor, dict[str, float]]:
        embeddings = model(batch.features)
        everything, speakers = self._surroundings(embeddings, batch)
        B = len(embeddings)
        triplets = mine_triplets(
            embeddings,
            batch.speakers,
            strategy=self.strategy,
            sessions=batch.sessions,
            pool=None if len(everything) == B else (everything[B:], speakers[B:]),
        )
        loss = cosine_triplet_loss(everything, triplets, margin=self.margin)
        measured = {
            "triplet_loss": float(loss.detach()),
            "violating": self._violating(everything, triplets),
        }
        if self._watch.collapsed(measured["triplet_loss"], measured["violating"]):
            measured["collapsed"] = 1.0
        if self.classifier is not None:
            extra, also = self.classifier.loss(embeddings, batch.speakers, 1.0)
            loss = loss + self.softmax_weight * extra
            measured["accuracy"] = also["accuracy"]
        taught, also = self.teacher(embeddings, batch.teacher)
        loss = loss + taught
        return loss, {"loss": float(loss.detach()), **measured, **also}

    def _surroundings(self, embeddings: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Embeddings (B + H, D) and speakers (B + H,): the batch, the other workers' batches, the
        history."""
        rows, names = [embeddings], [batch.speakers]
        everyones = [embeddings, batch.speakers, batch.sessions]
        if self._engine is not None:
            everyones = [self._engine.gather(x) for x in everyones]
            first = self._engine.rank * len(embeddings)
            last = first + len(embeddings)
            rows += [everyones[0][:first], everyones[0][last:]]
            names += [everyones[1][:first], everyones[1][last:]]
        if self.history is not None:
            past, whose = self.history.pool()
            rows.append(past)
            names.append(whose)
            self.history.push(*everyones)
        if len(rows) == 1:
            return embeddings, batch.speakers
        return torch.cat(rows), torch.cat(names)

    def _violating(self, embeddings: Tensor, triplets: Triplets) -> float:
        """Share of triplets that still break the margin; about 1 with a loss stuck at the margin
        means collapse."""
        if len(triplets.anchors) == 0:
            return 0.0
        with torch.no_grad():
            a, p, n = (embeddings[rows] for rows in triplets)
            return float(((a * (n - p)).sum(dim=1) + self.margin > 0).float().mean())
