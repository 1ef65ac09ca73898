"""Numbers that tell one kind of talk from another, of real conversations and of drawn ones."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from encoder.common.units import SAMPLE_RATE

__all__ = ["MEASURED", "TurnTaking", "turn_taking"]


class TurnTaking(NamedTuple):
    """Shares in [0, 1], seconds, and counts a minute.

    A turn is a stretch of one speaker; `inside` is the share of turns that lie within a turn of
    somebody else. The others follow each other; where the speaker changes it is a switch, and its
    gap, negative for an overlap, is the next start less the latest end before.
    """

    speech: float  # share of time
    overlap: float  # share of speech in which two or more speak
    turn_median_s: float
    turn_mean_s: float
    ln_turn_mean: float
    ln_turn_sd: float
    inside: float
    switches_a_minute: float
    early_switches: float  # share of switches that overlap
    gap_p10_s: float
    gap_p50_s: float
    gap_p90_s: float
    top_share: float  # of all speaking time, by who speaks most


# From the reference annotations of AMI (test, words only), MSDWild (few speakers) and VoxConverse
# (test). Telephone calls overlap less than MSDWild's films: the style "call" aims at 0.09.
MEASURED: dict[str, TurnTaking] = {
    "meeting": TurnTaking(
        0.804, 0.146, 1.37, 4.12, 0.43, 1.41, 0.383, 6.4, 0.43, -1.60, 0.15, 1.74, 0.37
    ),
    "call": TurnTaking(
        0.898, 0.124, 1.57, 3.11, 0.56, 1.01, 0.227, 13.9, 0.49, -0.93, 0.00, 0.66, 0.59
    ),
    "broadcast": TurnTaking(
        0.899, 0.031, 3.07, 7.93, 1.19, 1.33, 0.113, 4.0, 0.33, -0.72, 0.13, 1.56, 0.51
    ),
}


def turn_taking(turns: NDArray[np.int64], *, length: int) -> TurnTaking:
    """Of turns (n, 3) speaker, start, end in samples, sorted by start, in `length` samples.

    NaN for what there is nothing to take it from. ValueError without turns.
    """
    if not len(turns):
        raise ValueError("there are no turns to take numbers from")
    speaker, start, end = turns.T
    seconds = (end - start) / SAMPLE_RATE
    speech, overlap = _covered(start, end)
    outer = turns[~_inside(turns)]
    latest = np.maximum.accumulate(outer[:, 2])[:-1]
    switched = outer[1:, 0] != outer[:-1, 0]
    gaps_s = (outer[1:, 1] - latest)[switched] / SAMPLE_RATE
    p10, p50, p90 = np.quantile(gaps_s, (0.1, 0.5, 0.9)) if len(gaps_s) else (np.nan,) * 3
    talk = np.bincount(speaker, weights=seconds)
    return TurnTaking(
        speech=speech / length,
        overlap=overlap / speech,
        turn_median_s=float(np.median(seconds)),
        turn_mean_s=float(seconds.mean()),
        ln_turn_mean=float(np.log(seconds).mean()),
        ln_turn_sd=float(np.log(seconds).std()),
        inside=1 - len(outer) / len(turns),
        switches_a_minute=len(gaps_s) / (length / SAMPLE_RATE / 60),
        early_switches=float((gaps_s < 0).mean()) if len(gaps_s) else float("nan"),
        gap_p10_s=float(p10),
        gap_p50_s=float(p50),
        gap_p90_s=float(p90),
        top_share=float(talk.max() / talk.sum()),
    )


def _covered(start: NDArray[np.int64], end: NDArray[np.int64]) -> tuple[int, int]:
    """Samples in which at least one speaks, and at least two."""
    at = np.concatenate([start, end])
    change = np.concatenate([np.ones_like(start), -np.ones_like(end)])
    order = np.argsort(at, kind="stable")
    at, count = at[order], np.cumsum(change[order])
    width = np.diff(at)
    return int(width[count[:-1] >= 1].sum()), int(width[count[:-1] >= 2].sum())


def _inside(turns: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(n,) whether a turn lies within one turn of another speaker."""
    found = np.zeros(len(turns), bool)
    for speaker in np.unique(turns[:, 0]):
        own = turns[:, 0] == speaker
        _, start, end = turns[~own].T
        if not len(start):
            continue
        # Others that start no later: the latest end among them tells whether one covers it.
        last = np.searchsorted(start, turns[own, 1], side="right") - 1
        latest = np.maximum.accumulate(end)
        found[own] = (last >= 0) & (latest[np.maximum(last, 0)] >= turns[own, 2])
    return found
