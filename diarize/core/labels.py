"""How speakers and groups are numbered, and what a number is called."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["by_first_appearance", "speaker_name"]


def by_first_appearance(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same groups (N,), numbered 0..K-1 in the order of their first rows; -1 stays -1."""
    known, first, compact = np.unique(labels, return_index=True, return_inverse=True)
    noise = int((known < 0).sum())  # -1 comes first
    number = np.full(len(known), -1, np.int64)
    number[noise + np.argsort(first[noise:])] = np.arange(len(known) - noise)
    return number[compact]


def speaker_name(label: int, *, digits: int = 2) -> str:
    """What the speaker of a label from 0 on is called without a better name: SPEAKER_00."""
    return f"SPEAKER_{label:0{digits}d}"
