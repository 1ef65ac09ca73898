"""Choosing triplets inside a batch of embeddings, or with negatives from further away.

A triplet is (anchor, positive, negative): two utterances of one speaker and one of another. With
unit vectors the similarity of a pair is its dot product. Anchors and positives are rows of the
batch; negatives come from the batch and from a pool, if there is one: what the other workers
embedded in this step (the paper, section 2.4), or what was embedded in earlier steps. Strategies
for the negative:

- `random`: any utterance of another speaker.
- `hard`: the most similar utterance of another speaker.
- `semi-hard`: the most similar one that is still less similar than the positive; where none is,
  the least similar of the rest, so that no triplet is lost (Schroff et al. 2015, section 3.2).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from encoder.errors import ConfigError

__all__ = ["STRATEGIES", "Strategy", "Triplets", "mine_triplets"]

Strategy = Literal["random", "hard", "semi-hard"]
STRATEGIES: tuple[Strategy, ...] = ("random", "hard", "semi-hard")


class Triplets(NamedTuple):
    """Rows of cat([embeddings, pool]): three (P,) int64 tensors. P may be 0.

    Anchors and positives are below N, so they are rows of the batch as well; a negative of N or
    more is row `negative - N` of the pool.
    """

    anchors: Tensor
    positives: Tensor
    negatives: Tensor


def mine_triplets(
    embeddings: Tensor,
    speakers: Tensor,
    *,
    strategy: Strategy = "hard",
    sessions: Tensor | None = None,
    generator: torch.Generator | None = None,
    pool: tuple[Tensor, Tensor] | None = None,
) -> Triplets:
    """Every ordered pair of one speaker as (anchor, positive), each with one mined negative.

    Args:
        embeddings: (N, D) of unit norm.
        speakers: (N,) int64.
        strategy: Which negatives: "random", "hard" (the most similar), or "semi-hard".
        sessions: (N,) int64; if given, drops pairs of one session whenever the anchor has a
            positive from another one.
        generator: Of the random choices.
        pool: Embeddings (H, D) and speakers (H,) that may be negatives too; H may be 0.

    Returns:
        Three (P,) int64 tensors; P is 0 when there is no pair or only one speaker.

    Raises:
        ConfigError: The strategy is unknown.
    """
    if strategy not in STRATEGIES:
        raise ConfigError(
            f"unknown mining strategy {strategy!r}: choose one of {', '.join(STRATEGIES)}"
        )
    N = len(speakers)
    same = speakers[:, None] == speakers[None, :]
    pairs = same & ~torch.eye(N, dtype=torch.bool, device=speakers.device)
    if sessions is not None:
        elsewhere = pairs & (sessions[:, None] != sessions[None, :])
        pairs = torch.where(elsewhere.any(dim=1, keepdim=True), elsewhere, pairs)
    others = ~same
    if pool is not None:
        others = torch.cat([others, speakers[:, None] != pool[1][None, :]], dim=1)  # (N, N + H)
    pairs = pairs & others.any(dim=1, keepdim=True)  # an anchor without a negative is no anchor
    anchors, positives = pairs.nonzero(as_tuple=True)
    if len(anchors) == 0:
        return Triplets(anchors, positives, anchors.clone())

    with torch.no_grad():
        everything = embeddings if pool is None else torch.cat([embeddings, pool[0]])
        similarity = embeddings @ everything.T
    candidate = others[anchors]  # (P, N + H)
    rows = similarity[anchors]
    if strategy == "random":
        weights = candidate.to(torch.float32)
        negatives = torch.multinomial(weights, 1, generator=generator).squeeze(1)
    elif strategy == "hard":
        negatives = rows.masked_fill(~candidate, -torch.inf).argmax(dim=1)
    else:
        below = candidate & (rows < similarity[anchors, positives][:, None])
        hardest_below = rows.masked_fill(~below, -torch.inf).argmax(dim=1)
        easiest = rows.masked_fill(~candidate, torch.inf).argmin(dim=1)
        negatives = torch.where(below.any(dim=1), hardest_below, easiest)
    return Triplets(anchors, positives, negatives)
