"""JSON: the result as plain values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["format_json"]


def format_json(mapping: Mapping[str, Any]) -> str:
    """Indented UTF-8 text with a final newline; NaN is refused, because JSON has none."""
    return json.dumps(mapping, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
