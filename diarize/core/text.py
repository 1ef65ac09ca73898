"""Pieces of sentences that several rooms write in the same way."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["and_more", "plural"]


def plural(count: int, noun: str) -> str:
    """1 clip, 2 clips."""
    return f"{count} {noun}" + ("" if count == 1 else "s")


def and_more(names: Iterable[str], most: int = 3) -> str:
    """The first `most` names and how many are left: "a, b, c and 2 more"."""
    names = list(names)
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
