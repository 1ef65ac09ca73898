"""Triplet loss on cosine similarity (Li et al. 2017, equation 4)."""

from __future__ import annotations

import torch
from torch import Tensor

from encoder.losses.mining import Triplets

__all__ = ["cosine_triplet_loss"]


def cosine_triplet_loss(embeddings: Tensor, triplets: Triplets, *, margin: float) -> Tensor:
    """Mean of max(0, cos(a, n) - cos(a, p) + margin) over triplets.

    Args:
        embeddings: (N, D) of unit norm; with a pool, cat([embeddings, pool]), whose rows the
            triplets name.
        triplets: P rows each of anchors a, positives p and negatives n; P may be 0.
        margin: How much more similar than the negative the positive should be.

    Returns:
        A scalar; without triplets 0, which still carries a gradient (of zeros).
    """
    if len(triplets.anchors) == 0:
        return embeddings.sum() * 0.0
    a, p, n = (embeddings[rows] for rows in triplets)
    return torch.relu((a * n).sum(dim=1) - (a * p).sum(dim=1) + margin).mean()
