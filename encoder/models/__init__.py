"""Network architectures, by name: features (B, F, M) to embeddings (B, D) of unit norm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from encoder.common.lazy import lazy_exports
from encoder.common.registry import Registry

if TYPE_CHECKING:
    from encoder.models.campplus import CAMPlusPlus
    from encoder.models.gru import GRU
    from encoder.models.rescnn import ResCNN

__all__ = ["ARCHITECTURES", "GRU", "CAMPlusPlus", "ResCNN"]

ARCHITECTURES = Registry(
    "architecture",
    {
        "rescnn": "encoder.models.rescnn:ResCNN",
        "gru": "encoder.models.gru:GRU",
        "campplus": "encoder.models.campplus:CAMPlusPlus",
    },
)

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "CAMPlusPlus": "encoder.models.campplus",
        "GRU": "encoder.models.gru",
        "ResCNN": "encoder.models.rescnn",
    },
)
