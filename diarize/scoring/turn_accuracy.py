"""Which turns of a result have the right speaker, seen from the reference."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from diarize.core.turns import Turn
from diarize.scoring.intervals import pair_speakers, sweep

__all__ = ["right_shares"]


def right_shares(
    reference: Iterable[Turn],
    turns: Sequence[Turn],
    *,
    uem: Iterable[tuple[float, float]] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two arrays, one number a turn: the share of its spoken time that its own speaker speaks, and
    that time in seconds (0, and a share of 0, for a turn in which the reference has no speaker).

    Names are paired one to one, so that they share the most time; a speaker of the result without
    a partner is never right. Only time within `uem` (start_s, end_s) counts, if it is given.
    """
    reference = list(reference)
    scored = None if uem is None else list(uem)
    swept = sweep(reference, turns, uem=scored)
    partner = {h: r for r, h in pair_speakers(swept)}
    columns = {name: column for column, name in enumerate(sorted({t.speaker for t in turns}))}
    shares, seconds = np.zeros(len(turns)), np.zeros(len(turns))
    for number, turn in enumerate(turns):
        alone = sweep(reference, [turn], uem=scored)
        within = alone.seconds * alone.hypothesis[:, 0] * alone.reference.any(axis=1)
        seconds[number] = within.sum()
        own = partner.get(columns[turn.speaker])
        if own is not None and seconds[number] > 0:
            shares[number] = within[alone.reference[:, own]].sum() / seconds[number]
    return shares, seconds
