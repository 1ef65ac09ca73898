"""Network architectures, by name: features (B, F, M) to embeddings (B, D) of unit norm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from encoder.common.lazy import lazy_exports
from encoder.common.registry import Registry

if TYPE_CHECKING:
    from encoder.models.gru import GRU
    from encoder.models.rescnn import ResCNN

__all__ = ["ARCHITECTURES", "GRU", "ResCNN"]

ARCHITECTURES = Registry(
    "architecture",
    {"rescnn": "encoder.models.rescnn:ResCNN", "gru": "encoder.models.gru:GRU"},
)

__getattr__, __dir__ = lazy_exports(
    __name__, {"GRU": "encoder.models.gru", "ResCNN": "encoder.models.rescnn"}
)
