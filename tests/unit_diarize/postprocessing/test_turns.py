"""Windows with labels become turns; every window knows its turn."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from diarize.core.turns import Turn, merge_touching
from diarize.embedding.windows import cut_windows
from diarize.postprocessing.turns import assemble, speaker_names, turn_numbers
from encoder.common.units import samples_to_seconds


def cut(*regions):
    bounds = np.array(regions, np.int64).reshape(-1, 2)
    return cut_windows(bounds, length=int(bounds.max(initial=0)))


def test_by_hand():
    windows = cut((0, 16_000), (16_100, 48_000))  # one window, then three or so
    labels = np.array([0, 0, *[1] * (len(windows) - 2)])
    turns = assemble(windows, labels, names=["Anna", "Ben"])
    border = samples_to_seconds(int(windows.territory[1, 1]))
    assert turns == [(0.0, 1.0, "Anna"), (16_100 / 16_000, border, "Anna"), (border, 3.0, "Ben")]
    assert turn_numbers(windows, labels).tolist() == [0, 1, *[2] * (len(windows) - 2)]


def test_nobody_and_nothing():
    windows = cut((0, 48_000))
    nobody = np.full(len(windows), -1)
    assert assemble(windows, nobody) == [] and set(turn_numbers(windows, nobody)) == {-1}
    assert assemble(cut(), np.zeros(0, np.int64)) == []


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_turns_are_the_territories_merged(data):
    lengths = data.draw(st.lists(st.integers(1_000, 90_000), min_size=1, max_size=5))
    gaps = data.draw(st.lists(st.integers(1, 20_000), min_size=5, max_size=5))
    regions, at = [], 0
    for length, gap in zip(lengths, gaps, strict=False):
        regions.append((at, at + length))
        at += length + gap
    windows = cut(*regions)
    labels = np.array(
        data.draw(st.lists(st.integers(-1, 2), min_size=len(windows), max_size=len(windows)))
    )
    names = speaker_names(labels)
    pieces = [
        Turn(samples_to_seconds(int(a)), samples_to_seconds(int(b)), names[k])
        for (a, b), k in zip(windows.territory, labels, strict=True)
        if k >= 0
    ]
    turns = assemble(windows, labels)
    assert turns == merge_touching(pieces)
    numbers = turn_numbers(windows, labels)
    for piece, number in zip(pieces, numbers[labels >= 0], strict=True):
        assert turns[number].start_s <= piece.start_s and piece.end_s <= turns[number].end_s
