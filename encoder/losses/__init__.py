"""What a network is trained on: mined triplets, a teacher's vectors, a memory of past embeddings.

Embeddings (N, D) of unit norm with their speakers (N,) go in; scalars to minimise come out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from encoder.common.lazy import lazy_exports

if TYPE_CHECKING:
    from encoder.losses.distillation import DistillationLoss
    from encoder.losses.memory_bank import MemoryBank
    from encoder.losses.mining import Triplets, mine_triplets
    from encoder.losses.triplet import cosine_triplet_loss

__all__ = [
    "DistillationLoss",
    "MemoryBank",
    "Triplets",
    "cosine_triplet_loss",
    "mine_triplets",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "DistillationLoss": "encoder.losses.distillation",
        "MemoryBank": "encoder.losses.memory_bank",
        "Triplets": "encoder.losses.mining",
        "cosine_triplet_loss": "encoder.losses.triplet",
        "mine_triplets": "encoder.losses.mining",
    },
)
