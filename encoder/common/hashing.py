"""Choices by a hash of a name: the same on every machine, whatever else is in the list."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

__all__ = ["hash_choice", "hash_share"]

T = TypeVar("T")


def hash_share(text: str) -> float:
    """A number in [0, 1) that depends on `text` alone, evenly spread over texts."""
    return int.from_bytes(_digest(text)[:4], "big") / 2**32


def hash_choice(text: str, options: Sequence[T]) -> T:
    """One of `options` (at least one), independent of `hash_share` of the same text."""
    return options[int.from_bytes(_digest(text)[4:8], "big") % len(options)]


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
