"""One sweep over all boundaries: who speaks, in truth and in the result, between two of them.

Shapes: E elementary segments, R reference speakers, H hypothesis speakers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from diarize.core.turns import SAME_INSTANT_S, Turn
from diarize.scoring.protocols import FULL, Protocol

__all__ = ["Sweep", "pair_speakers", "sweep"]

_MANY = 300_000_000  # E x R x H; so many sums take a second

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Regions = Iterable[tuple[float, float]]


class Sweep(NamedTuple):
    """The scored time, cut wherever anyone starts or stops.

    seconds (E,) float64: length of each segment.
    reference (E, R), hypothesis (E, H) bool: who speaks in it; speakers sorted by name, also those
    who have no scored time.
    """

    seconds: Floats
    reference: Bools
    hypothesis: Bools

    def by_speaker(self) -> tuple[Bools, Bools]:
        """The same as (R, E) and (H, E): the segments of one speaker lie side by side."""
        return np.ascontiguousarray(self.reference.T), np.ascontiguousarray(self.hypothesis.T)


def sweep(
    reference: Iterable[Turn],
    hypothesis: Iterable[Turn],
    *,
    uem: Regions | None = None,
    protocol: Protocol = FULL,
) -> Sweep:
    """Cut the time that `uem` and `protocol` leave to score into segments of constant speakers.

    `uem` is (start_s, end_s) regions, in any order, overlapping or not; None is the extent of all
    turns, an empty one scores nothing. Turns with end_s <= start_s are ignored. Raises ValueError
    for a time that is not finite.
    """
    truth, result = _by_speaker(reference), _by_speaker(hypothesis)
    scored = _extent([*truth, *result]) if uem is None else _array(uem)
    boundaries = np.concatenate([_NOTHING, *truth]).ravel()
    half = protocol.collar_s
    collars = np.stack([boundaries - half, boundaries + half], axis=1) if half > 0 else _NOTHING

    edges = np.unique(np.concatenate([a.ravel() for a in (*truth, *result, scored, collars)]))
    kept = _active(edges, [scored])[:, 0] & ~_active(edges, [collars])[:, 0]
    speaking = _active(edges, truth)
    if protocol.skip_overlap:
        kept &= speaking.sum(axis=1) < 2
    seconds = np.diff(edges)
    kept &= seconds > SAME_INSTANT_S  # slivers of noise would make an absent speaker present
    return Sweep(seconds[kept], speaking[kept], _active(edges, result)[kept])


def pair_speakers(swept: Sweep) -> list[tuple[int, int]]:
    """One-to-one pairs (reference column, hypothesis column) that share the most time.

    The Hungarian algorithm on shared seconds; speakers who share nothing stay unpaired.
    """
    from scipy.optimize import linear_sum_assignment  # 0.3 s: only when something is scored

    shared = _shared_seconds(swept)
    rows, columns = linear_sum_assignment(-shared)
    return [(int(r), int(h)) for r, h in zip(rows, columns, strict=True) if shared[r, h] > 0]


def _shared_seconds(swept: Sweep) -> Floats:
    """(R, H): how long each pair speaks at a time.

    Of thousands of speakers, whose segments times pairs are too many to add up, the time of each
    hypothesis speaker is added up once and read at the ends of the stretches of reference speech.
    The sums are the same but for their last digits, which decide where two pairings are equal.
    """
    truth, result = swept.by_speaker()
    shared = np.zeros((len(truth), len(result)))
    if truth.size * len(result) < _MANY:
        weighted = swept.reference * swept.seconds[:, None]
        for column, active in enumerate(result):  # a matrix product would need E x H floats
            shared[:, column] = weighted[active].sum(axis=0)
        return shared
    speaker, start, end = _stretches(truth)
    for column, active in enumerate(result):
        spoken = np.concatenate([[0.0], np.cumsum(swept.seconds * active)])
        shared[:, column] = np.bincount(speaker, spoken[end] - spoken[start], minlength=len(truth))
    return shared


def _stretches(active: Bools) -> tuple[NDArray[np.int64], ...]:
    """(row, start, end) of each run of true segments [start, end), row by row."""
    changes = np.diff(np.pad(active, [(0, 0), (1, 1)]), axis=1)
    rows, edges = np.nonzero(changes)
    return rows[::2], edges[::2], edges[1::2]


_NOTHING: Floats = np.zeros((0, 2))


def _array(regions: Regions) -> Floats:
    bounds = np.array([(start, end) for start, end in regions], dtype=np.float64).reshape(-1, 2)
    if not np.isfinite(bounds).all():
        raise ValueError("a turn or a scored region starts or ends at a time that is not finite")
    return bounds[bounds[:, 1] > bounds[:, 0]]


def _by_speaker(turns: Iterable[Turn]) -> list[Floats]:
    """(n, 2) bounds of each speaker, sorted by name, overlapping ones united."""
    groups: dict[str, list[tuple[float, float]]] = {}
    for start_s, end_s, speaker in turns:
        groups.setdefault(speaker, []).append((start_s, end_s))
    bounds = [_unite(_array(groups[speaker])) for speaker in sorted(groups)]
    return [b for b in bounds if len(b)]


def _unite(bounds: Floats) -> Floats:
    """Unite regions that overlap; those that only touch stay apart, each with its boundary."""
    if len(bounds) == 0:
        return bounds
    bounds = bounds[np.lexsort((bounds[:, 1], bounds[:, 0]))]
    reach = np.maximum.accumulate(bounds[:, 1])
    first = np.flatnonzero(np.concatenate([[True], bounds[1:, 0] >= reach[:-1] - SAME_INSTANT_S]))
    last = np.concatenate([first[1:] - 1, [len(bounds) - 1]])
    return np.stack([bounds[first, 0], reach[last]], axis=1)


def _extent(groups: Sequence[Floats]) -> Floats:
    bounds = np.concatenate([_NOTHING, *groups])
    return np.array([[bounds[:, 0].min(), bounds[:, 1].max()]]) if len(bounds) else bounds


def _active(edges: Floats, groups: Sequence[Floats]) -> Bools:
    """(E, len(groups)): does any region of the group cover the segment after each edge but the
    last? All bounds are edges."""
    size = len(edges)
    active = np.zeros((max(size - 1, 0), len(groups)), dtype=bool)
    for column, bounds in enumerate(groups):
        starts = np.bincount(np.searchsorted(edges, bounds[:, 0]), minlength=size)
        ends = np.bincount(np.searchsorted(edges, bounds[:, 1]), minlength=size)
        active[:, column] = np.cumsum(starts - ends)[:-1] > 0
    return active
