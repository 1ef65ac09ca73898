"""Network architectures, by name."""

from __future__ import annotations

from encoder.common.registry import Registry

__all__ = ["ARCHITECTURES"]

ARCHITECTURES = Registry(
    "architecture",
    {"rescnn": "encoder.models.rescnn:ResCNN", "gru": "encoder.models.gru:GRU"},
)
