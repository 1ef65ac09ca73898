"""From labelled windows, or from the frames in which each speaker speaks, to turns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from diarize.core.labels import speaker_name
from diarize.core.regions import Regions, merge_regions
from diarize.core.turns import Turn
from diarize.embedding.windows import Windows
from diarize.postprocessing.config import AggregationConfig
from diarize.segmentation.hysteresis import HysteresisConfig, binarize
from encoder.common.units import samples_to_seconds

__all__ = [
    "assemble",
    "assemble_regions",
    "by_first_region",
    "speaker_names",
    "speaker_regions",
    "turn_numbers",
    "turn_numbers_of_regions",
    "turn_regions",
]


def speaker_names(labels: NDArray[np.int64]) -> list[str]:
    """SPEAKER_00, SPEAKER_01, ... for labels 0..K-1."""
    K = int(labels.max(initial=-1)) + 1
    return [speaker_name(k) for k in range(K)]


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
    """Make turns of labelled windows: touching territories of one speaker are one turn.

    Args:
        windows: N windows.
        labels: (N,) speakers 0..K-1; windows labelled -1 are in no turn.
        names: what the speakers are called; SPEAKER_00, SPEAKER_01, ... if None.

    Returns:
        Turns in time order, in seconds, which do not overlap.
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


def turn_regions(
    active: NDArray[np.bool_],
    windows: Windows,
    labels: NDArray[np.int64],
    *,
    hop: int,
    length: int,
    config: AggregationConfig | None = None,
) -> tuple[NDArray[np.int64], list[NDArray[np.int64]]]:
    """Who speaks in each frame of `hop` samples (T, K) -> labels (N,) of the windows and the
    regions (n, 2) in samples of each speaker, both numbered by the first region.

    A speaker who is active in no frame, always beneath others, has the territories of the own
    windows.
    """
    regions = [
        own if len(own) else merge_regions(windows.territory[labels == speaker])
        for speaker, own in enumerate(
            speaker_regions(active, hop=hop, length=length, config=config)
        )
    ]
    return by_first_region(labels, regions)


def speaker_regions(
    active: NDArray[np.bool_], *, hop: int, length: int, config: AggregationConfig | None = None
) -> list[NDArray[np.int64]]:
    """(T, K) -> for each speaker the regions (n, 2) in samples, short gaps closed and short regions
    dropped."""
    config = config or AggregationConfig()
    rule = HysteresisConfig(
        onset=0.5,
        offset=0.5,
        min_speech_s=config.min_turn_s,
        min_silence_s=0.0 if config.exclusive else config.min_gap_s,
        padding_s=0.0,
    )
    return [
        binarize(column.astype(np.float32), hop=hop, length=length, config=rule)
        for column in active.T
    ]


def by_first_region(
    labels: NDArray[np.int64], regions: list[NDArray[np.int64]]
) -> tuple[NDArray[np.int64], list[NDArray[np.int64]]]:
    """Labels (N,) and the regions of each, numbered by the start of the first region. Every label
    has a region."""
    order = np.argsort([own[0, 0] for own in regions], kind="stable")
    number = np.append(np.argsort(order), -1)  # -1 stays -1
    return number[labels], [regions[speaker] for speaker in order]


def assemble_regions(regions: Regions, *, names: Sequence[str]) -> list[Turn]:
    """The regions (n, 2) in samples of each of K speakers -> turns in time order, which may
    overlap."""
    return [
        Turn(samples_to_seconds(start), samples_to_seconds(end), names[speaker])
        for start, end, speaker in _in_order(regions).tolist()
    ]


def turn_numbers_of_regions(
    windows: Windows, labels: NDArray[np.int64], regions: Regions
) -> NDArray[np.int64]:
    """The turn (N,) of `assemble_regions` in which the middle of each window's territory lies and
    whose speaker the window has; -1 for windows in none."""
    found = np.full(len(windows), -1, np.int64)
    order = _in_order(regions)
    middle = windows.territory.sum(axis=1) // 2
    for speaker in range(len(regions)):
        own = np.flatnonzero(order[:, 2] == speaker)
        some = np.flatnonzero(labels == speaker)
        if len(own) == 0 or len(some) == 0:
            continue
        at = np.searchsorted(order[own, 0], middle[some], side="right") - 1
        inside = (at >= 0) & (middle[some] < order[own[np.maximum(at, 0)], 1])
        found[some[inside]] = own[at[inside]]
    return found


def _in_order(regions: Regions) -> NDArray[np.int64]:
    """(n, 3) start, end and speaker of each turn, by start."""
    rows = [
        np.column_stack([own, np.full(len(own), speaker)]) for speaker, own in enumerate(regions)
    ]
    turns = np.concatenate([np.zeros((0, 3), np.int64), *rows])
    return turns[np.lexsort((turns[:, 2], turns[:, 1], turns[:, 0]))]
