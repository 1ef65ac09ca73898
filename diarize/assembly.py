"""From labelled windows to turns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from diarize.timeline import Turn
from diarize.windows import Windows
from encoder.units import samples_to_seconds

__all__ = ["assemble", "speaker_names", "turn_numbers"]


def speaker_names(labels: NDArray[np.int64]) -> list[str]:
    """SPEAKER_00, SPEAKER_01, ... for labels 0..K-1."""
    K = int(labels.max(initial=-1)) + 1
    return [f"SPEAKER_{k:02d}" for k in range(K)]


def turn_numbers(windows: Windows, labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """The turn (N,) that each window is in, from 0 in time order; -1 for windows of label -1.

    Windows follow each other in time, so a turn goes on while speaker and territory do.
    """
    spoken = labels >= 0
    starts = spoken.copy()
    goes_on = (labels[1:] == labels[:-1]) & (windows.territory[1:, 0] == windows.territory[:-1, 1])
    starts[1:] &= ~goes_on
    return np.where(spoken, np.cumsum(starts) - 1, -1)


def assemble(
    windows: Windows, labels: NDArray[np.int64], *, names: Sequence[str] | None = None
) -> list[Turn]:
    """Windows and their labels (N,) -> turns in time order; label -1 stays silent.

    Each window's territory goes to its speaker; touching territories of one speaker are one turn.
    names: what the speakers 0..K-1 are called; `speaker_names` if not given.
    """
    names = speaker_names(labels) if names is None else names
    turns = turn_numbers(windows, labels)
    inside = np.flatnonzero(turns >= 0)
    _, first = np.unique(turns[inside], return_index=True)
    last = np.append(first, len(inside))[1:] - 1
    return [
        Turn(
            samples_to_seconds(int(windows.territory[inside[a], 0])),
            samples_to_seconds(int(windows.territory[inside[b], 1])),
            names[labels[inside[a]]],
        )
        for a, b in zip(first, last, strict=True)
    ]
