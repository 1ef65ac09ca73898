"""Pieces of sentences that several rooms write in the same way, and what a terminal may get."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["JOINERS", "and_more", "plural", "printable"]

JOINERS = "\u200c\u200d"  # Persian and the scripts of India cannot be written without them


def plural(count: int, noun: str) -> str:
    """1 clip, 2 clips."""
    return f"{count} {noun}" + ("" if count == 1 else "s")


def and_more(names: Iterable[str], most: int = 3) -> str:
    """The first `most` names and how many are left: "a, b, c and 2 more"."""
    names = list(names)
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def printable(text: str) -> str:
    """The text with escapes for what would move the cursor, colour, hide or turn around the rest:
    names of files and speakers come from others. For terminals; files hold names as they are."""
    return "".join(
        c if c.isprintable() or c in JOINERS else c.encode("unicode_escape").decode() for c in text
    )
