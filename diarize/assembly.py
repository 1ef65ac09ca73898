"""From labelled windows to turns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diarize.timeline import Turn, merge_touching
from diarize.windows import Windows
from encoder.units import samples_to_seconds

__all__ = ["assemble", "speaker_names"]


def speaker_names(labels: NDArray[np.int64]) -> list[str]:
    """SPEAKER_00, SPEAKER_01, ... for labels 0..K-1."""
    K = int(labels.max(initial=-1)) + 1
    return [f"SPEAKER_{k:02d}" for k in range(K)]


def assemble(windows: Windows, labels: NDArray[np.int64]) -> list[Turn]:
    """Windows and their labels (N,) -> turns in time order; label -1 stays silent.

    Each window's territory goes to its speaker; touching territories of one speaker are one turn.
    """
    names = speaker_names(labels)
    pieces = [
        Turn(samples_to_seconds(int(start)), samples_to_seconds(int(end)), names[label])
        for (start, end), label in zip(windows.territory, labels, strict=True)
        if label >= 0
    ]
    return merge_touching(pieces)
