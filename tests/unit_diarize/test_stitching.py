"""Chunks' opinions become one timeline."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diarize.segmentation import Segmentation
from diarize.stitching import StitchConfig, speaker_regions, stitch
from encoder.errors import ConfigError

HOP = 320


def segmentation(chunks, starts):
    return Segmentation(
        np.zeros((0, 2), np.int64), np.array(chunks, np.float32), np.array(starts) * HOP, HOP
    )


def test_two_chunks_that_number_their_speakers_differently():
    """Frames 0-5 and 3-8; A speaks 0-4, B 4-7; frame 4 is both's."""
    first = [[1, 0], [1, 0], [1, 0], [1, 0], [1, 1], [0, 1]]  # A, B
    second = [[0, 1], [1, 1], [1, 0], [1, 0], [1, 0], [0, 0]]  # B, A
    found = segmentation([first, second], [0, 3])
    active = stitch(found, np.array([[0, 1], [1, 0]]), length=9 * HOP)
    assert active.T.astype(int).tolist() == [
        [1, 1, 1, 1, 1, 0, 0, 0, 0],
        [0, 0, 0, 0, 1, 1, 1, 1, 0],
    ]
    one = stitch(
        found, np.array([[0, 1], [1, 0]]), length=9 * HOP, config=StitchConfig(exclusive=True)
    )
    assert one.sum(axis=1).max() == 1 and one[4, 0]  # equals go to the first


def test_local_speakers_of_one_label_are_one_and_nobody_counts_for_nothing():
    found = segmentation([[[1, 1, 1], [1, 0, 1]]], [0])
    active = stitch(found, np.array([[0, 0, -1]]), length=2 * HOP)
    assert active.tolist() == [[True], [True]]
    nobody = stitch(found, np.full((1, 3), -1), length=2 * HOP)
    assert nobody.shape == (2, 0)


def test_chunks_that_disagree_are_averaged():
    """Heard by one chunk of three: nobody; by two of three: the one whom more hear."""
    chunks = [[[0.9, 0.0]], [[0.0, 0.0]], [[0.0, 0.0]]]
    labels = np.array([[0, 1]] * 3)
    assert not stitch(segmentation(chunks, [0, 0, 0]), labels, length=HOP).any()
    chunks = [[[0.9, 0.0]], [[0.0, 0.6]], [[0.8, 0.0]]]
    assert stitch(segmentation(chunks, [0, 0, 0]), labels, length=HOP).tolist() == [[True, False]]


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.booleans())
def test_against_loops(seed, C, exclusive):
    rng = np.random.default_rng(seed)
    F, S, K, step = 7, 3, 4, 3
    activity = rng.random((C, F, S)).astype(np.float32)
    labels = rng.integers(-1, K, (C, S))
    starts = np.arange(C) * step
    length = int(starts[-1] + F) * HOP - int(rng.integers(0, HOP))
    config = StitchConfig(exclusive=exclusive)
    got = stitch(segmentation(activity, starts), labels, length=length, config=config)
    for t in range(starts[-1] + F):
        there = [c for c in range(C) if starts[c] <= t < starts[c] + F]
        heard, number = np.zeros(got.shape[1]), 0
        for c in there:
            for k in range(got.shape[1]):
                mine = [activity[c, t - starts[c], s] for s in range(S) if labels[c, s] == k]
                heard[k] += max(mine, default=0)
                number += max(mine, default=0) >= 0.5
        count = int(number / len(there) + 0.5)
        count = min(count, 1) if exclusive else count
        best = sorted(range(len(heard)), key=lambda k: (-np.float32(heard[k]), k))[:count]
        assert set(np.flatnonzero(got[t])) == set(best)


def test_regions_close_gaps_and_drop_blinks():
    active = np.zeros((100, 2), bool)
    active[10:30, 0] = active[35:60, 0] = True  # a gap of 0.1 s
    active[80:83, 0] = True  # 0.06 s
    active[50:90, 1] = True
    first, second = speaker_regions(active, hop=HOP, length=85 * HOP)
    assert (first // HOP).tolist() == [[10, 60]]
    assert (second // HOP).tolist() == [[50, 85]]


def test_a_segmenter_without_speakers_and_a_bad_setting():
    with pytest.raises(ValueError, match="does not tell speakers apart"):
        stitch(Segmentation(np.zeros((0, 2), np.int64)), np.zeros((0, 3), np.int64), length=10)
    with pytest.raises(ConfigError, match="active is 0"):
        StitchConfig(active=0)
