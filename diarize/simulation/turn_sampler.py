"""Who speaks when, without a sound: turn-taking drawn from a style.

The floor goes from turn to turn: the same speaker goes on after a pause, or another one begins,
before the end of the turn or after it. Then come the turns inside others' ("mhm", "right").
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from diarize.simulation.conversation_style import ConversationStyle
from encoder.common.units import SAMPLE_RATE

__all__ = ["FRAME", "Script", "write_script"]

FRAME = 160  # samples; all times are multiples of it
_SHORTEST = 20  # frames of a turn
_APART = 10  # frames between two turns of one speaker, at least
_TRIES = 8  # places looked for, for a turn inside another's


class Script(NamedTuple):
    """`turns` (n, 3) int64: speaker, start, end in samples, sorted by start; of `length` samples.

    Turns lie within [0, length); those of one speaker neither overlap nor touch.
    """

    turns: NDArray[np.int64]
    length: int


def write_script(
    style: ConversationStyle, *, speakers: int, length: int, rng: np.random.Generator
) -> Script:
    """Draw the turns of `length` samples of talk between `speakers` people.

    Some of them may not come to speak. ValueError without speakers.
    """
    if speakers < 1:
        raise ValueError(f"{speakers} speakers cannot talk: give 1 or more")
    frames = length // FRAME
    floor = _floor(style, speakers, frames, rng)
    turns = _inside(style, speakers, floor, rng)
    rows = np.array(sorted(turns, key=lambda turn: turn[1:]), np.int64).reshape(-1, 3)
    rows[:, 1:] = np.minimum(rows[:, 1:], frames) * FRAME
    return Script(rows[rows[:, 2] > rows[:, 1]], length)


def _floor(
    style: ConversationStyle, speakers: int, frames: int, rng: np.random.Generator
) -> list[tuple[int, int, int]]:
    """Turns that hold the floor, in frames; at most two of them at once."""
    shares = rng.dirichlet(np.full(speakers, style.evenness)) + 1e-3
    pace = rng.normal(style.ln_turn[0], style.ln_speaker, speakers)
    turns: list[tuple[int, int, int]] = []
    speaker, start = int(rng.choice(speakers, p=shares / shares.sum())), 0
    before, last = 0, 0  # latest ends: of all but the turn before, and of all
    if rng.random() > 0.5:  # some begin with silence
        start = _frames(rng.exponential(style.late_s))
    while start < frames:
        end = start + _turn(style, float(pace[speaker]), rng)
        turns.append((speaker, start, end))
        before, last = last, max(last, end)
        if speakers == 1 or rng.random() < style.keep_floor:
            pause = _frames(math.exp(rng.normal(*style.ln_pause)))
            start = last + max(_APART, pause)
            continue
        others = shares.copy()
        others[speaker] = 0
        speaker = int(np.searchsorted(np.cumsum(others), rng.random() * others.sum()))
        if rng.random() < style.early_switch:
            # Not before what the turn has said, so that it stays a turn of its own.
            early = min(_frames(rng.exponential(style.early_s)), (last - start) * 3 // 4)
            start = last - early
        else:
            start = last + _frames(rng.exponential(style.late_s))
        start = max(start, before + _APART)  # two at once at most, and no speaker's turns touch
    return turns


def _turn(style: ConversationStyle, pace: float, rng: np.random.Generator) -> int:
    longest = _frames(style.longest_turn_s)
    for _ in range(_TRIES):
        drawn = _frames(math.exp(min(rng.normal(pace, style.ln_turn[1]), 20.0)))
        if drawn <= longest:
            return max(_SHORTEST, drawn)
    return longest


def _inside(
    style: ConversationStyle,
    speakers: int,
    floor: list[tuple[int, int, int]],
    rng: np.random.Generator,
) -> list[tuple[int, int, int]]:
    """The same with turns inside others' added."""
    if speakers == 1:
        return floor
    turns = sorted(floor, key=lambda turn: turn[1])
    a_frame = style.inside_a_minute / _frames(60.0)
    for holder, start, end in floor:
        for _ in range(rng.poisson(a_frame * (end - start))):
            size = max(_SHORTEST, _frames(math.exp(rng.normal(*style.ln_inside))))
            room = end - start - size - 2 * _APART
            allowed = 2 if rng.random() < style.third else 1
            for _ in range(_TRIES if room > 0 else 0):
                speaker = int(rng.integers(speakers - 1))
                speaker += speaker >= holder
                at = start + _APART + int(rng.integers(room))
                if _fits(turns, speaker, at, at + size, allowed):
                    place = bisect_right(turns, at, key=lambda turn: turn[1])
                    turns.insert(place, (speaker, at, at + size))
                    break
    return turns


def _fits(
    turns: list[tuple[int, int, int]], speaker: int, start: int, end: int, allowed: int
) -> bool:
    """Whether the speaker is silent around there, and no more than `allowed` others speak."""
    first = bisect_left(turns, start - _frames(120.0), key=lambda turn: turn[1])
    near = []
    for other, begins, ends in turns[first:]:
        if begins >= end + _APART:
            break
        if ends > start - _APART:
            if other == speaker:
                return False
            if ends > start and begins < end:
                near.append((begins, ends))
    points = [start, *(begins for begins, _ in near if begins > start)]
    return all(sum(b <= at < e for b, e in near) <= allowed for at in points)


def _frames(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE / FRAME)
