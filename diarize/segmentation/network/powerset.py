"""Powerset classes: one class for each set of local speakers that may speak in a frame.

With 3 local speakers, 2 of them at once, there are 7: none, each one, each pair. A network that
chooses one class a frame needs no threshold for overlap (Plaquet and Bredin 2023, arXiv
2310.13025). Which column a local speaker gets is arbitrary, so the loss is that of the best of the
S! orders of the columns (Yu et al. 2017, arXiv 1607.00325).
"""

from __future__ import annotations

from itertools import combinations, permutations
from typing import NamedTuple

import torch
from torch import Tensor, nn

__all__ = ["IGNORED", "Fit", "Powerset"]

IGNORED = -1  # the class of a frame that no loss and no score looks at


class Fit(NamedTuple):
    """The best order of the columns for each chunk.

    loss (B,): cross entropy a frame; classes (B, F): the reference in that order.
    """

    loss: Tensor
    classes: Tensor


class Powerset:
    """The sets of at most `at_once` of `speakers`, by size, then by members.

    classes: (Q, S) bool, who speaks in each of the Q classes.
    """

    def __init__(self, speakers: int = 3, at_once: int = 2) -> None:
        if not 1 <= at_once <= speakers:
            raise ValueError(f"{at_once} of {speakers} speakers at once cannot be")
        self.speakers, self.at_once = speakers, at_once
        sets = [c for size in range(at_once + 1) for c in combinations(range(speakers), size)]
        self.classes = torch.tensor([[s in c for s in range(speakers)] for c in sets])
        number = {c: q for q, c in enumerate(sets)}
        # Members as bits -> class; sets that are too large have none.
        self._of_bits = torch.full((2**speakers,), IGNORED)
        for members, q in number.items():
            self._of_bits[sum(2**s for s in members)] = q
        # [p, q]: the class that q becomes when column s is called orders[p][s]
        self._reordered = torch.tensor(
            [
                [number[tuple(sorted(order[s] for s in members))] for members in sets]
                for order in permutations(range(speakers))
            ]
        )

    def __len__(self) -> int:
        return len(self.classes)

    def of(self, activity: Tensor) -> Tensor:
        """(B, F, S) bool -> (B, F) int64 classes.

        Where more than `at_once` speak in a frame, those count who speak most in the chunk, of
        equals the first.
        """
        S = self.speakers
        if activity.dim() != 3 or activity.shape[2] != S:
            raise ValueError(f"activity must be (B, F, {S}), not {tuple(activity.shape)}")
        order = activity.sum(dim=1).argsort(dim=1, descending=True, stable=True)[:, None]
        ranked = activity.gather(2, order.expand_as(activity))
        ranked = ranked & (ranked.cumsum(dim=2) <= self.at_once)
        bits = (ranked * 2 ** order.expand_as(activity)).sum(dim=2)
        return self._of_bits.to(bits.device)[bits]

    def activity(self, probabilities: Tensor) -> Tensor:
        """(..., Q) probabilities of classes -> (..., S) probabilities that each speaks."""
        return probabilities @ self.classes.to(probabilities)

    def fit(self, log_probabilities: Tensor, classes: Tensor) -> Fit:
        """Cross entropy of (B, F, Q) for the best order of the columns of (B, F) `classes`.

        Frames of class IGNORED do not count; a chunk of nothing else has loss 0. The loss of an
        order needs only the sums over the frames of each class, so that all orders cost as much as
        one.
        """
        B, _, Q = log_probabilities.shape
        reference = nn.functional.one_hot(classes + 1, Q + 1)[..., 1:].to(log_probabilities.dtype)
        sums = torch.einsum("bfr,bfq->brq", reference, log_probabilities)  # r reference, q network
        reordered = self._reordered.to(classes.device)  # (P, Q)
        losses = -sums[:, torch.arange(Q), reordered].sum(dim=2)  # (B, P)
        best = losses.argmin(dim=1)
        frames = (classes != IGNORED).sum(dim=1).clamp(min=1)
        named = reordered[best].gather(1, classes.clamp(min=0))
        return Fit(
            losses[torch.arange(B), best] / frames,
            torch.where(classes == IGNORED, classes, named),
        )
