"""Chunks' opinions become one timeline."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diarize.embedding.windows import WindowConfig, cut_windows
from diarize.postprocessing.aggregation import (
    WindowPosteriors,
    by_first_heard,
    heard_regions,
    speaker_regions,
    stitch,
)
from diarize.postprocessing.config import AggregationConfig
from diarize.postprocessing.speaker_mapping import local_labels
from diarize.segmentation.base import Segmentation
from encoder.errors import ConfigError

HOP = 320


def segmentation(chunks, starts, regions=((0, 10_000),)):
    return Segmentation(
        np.array(regions).reshape(-1, 2) * HOP,
        np.array(chunks, np.float32),
        np.array(starts) * HOP,
        HOP,
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
        found, np.array([[0, 1], [1, 0]]), length=9 * HOP, config=AggregationConfig(exclusive=True)
    )
    assert one.sum(axis=1).max() == 1 and one[4, 0]  # equals go to the first


def test_local_speakers_of_one_label_are_one_and_nobody_counts_for_nothing():
    found = segmentation([[[1, 1, 1], [1, 0, 1]]], [0])
    active = stitch(found, np.array([[0, 0, -1]]), length=2 * HOP)
    assert active.tolist() == [[True], [True]]
    nobody = stitch(found, np.full((1, 3), -1), length=2 * HOP)
    assert nobody.shape == (2, 0)


def test_chunks_that_disagree_are_averaged():
    """The one whom more hear."""
    labels = np.array([[0, 1]] * 3)
    chunks = [[[0.9, 0.0]], [[0.0, 0.8]], [[0.8, 0.0]]]
    assert stitch(segmentation(chunks, [0, 0, 0]), labels, length=HOP).tolist() == [[True, False]]


def test_regions_say_whether_anybody_speaks():
    chunk = [[0.9, 0.9], [0.1, 0.0], [0.2, 0.1], [0.8, 0.0]]
    found = segmentation([chunk], [0], regions=[(1, 3)])
    active = stitch(found, np.array([[0, 1]]), length=4 * HOP)
    assert active.tolist() == [[0, 0], [1, 0], [1, 0], [0, 0]]
    assert not stitch(segmentation([chunk], [0], []), np.array([[0, 1]]), length=4 * HOP).any()


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.booleans())
def test_against_loops(seed, C, exclusive):
    rng = np.random.default_rng(seed)
    F, S, K, step = 7, 3, 4, 3
    activity = rng.random((C, F, S)).astype(np.float32)
    labels = rng.integers(-1, K, (C, S))
    starts = np.arange(C) * step
    length = int(starts[-1] + F) * HOP - int(rng.integers(0, HOP))
    config = AggregationConfig(exclusive=exclusive)
    got = stitch(segmentation(activity, starts), labels, length=length, config=config)
    for t in range(starts[-1] + F):
        there = [c for c in range(C) if starts[c] <= t < starts[c] + F]
        heard = np.zeros(got.shape[1])
        for c in there:
            for k in range(got.shape[1]):
                mine = [activity[c, t - starts[c], s] for s in range(S) if labels[c, s] == k]
                heard[k] += max(mine, default=0)
        expected = heard.sum() / len(there)
        count = max(1, int(np.floor(expected - 0.5)) + 1)
        count = min(count, 1) if exclusive else count
        best = sorted(range(len(heard)), key=lambda k: (-np.float32(heard[k]), k))[:count]
        assert set(np.flatnonzero(got[t])) == {k for k in best if heard[k] > 0}


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
    with pytest.raises(ValueError, match="does not tell speakers apart"):
        local_labels(Segmentation(np.zeros((0, 2), np.int64)), *nothing())
    assert heard_regions(Segmentation(np.zeros((0, 2), np.int64)), *nothing(), length=10) is None
    for wrong in ({"overlap": 0.0}, {"overlap": 1.1}, {"voices": -0.1}, {"sharpness": -1.0}):
        with pytest.raises(ConfigError, match=f"{next(iter(wrong))} is"):
            AggregationConfig(**wrong)


def nothing():
    return cut_windows(np.zeros((0, 2), np.int64), length=0), np.zeros((0, 2)), np.zeros(0, int)


def test_two_halves_are_one_speaker():
    """The chunk does not know which of two it is: that is no overlap."""
    found = segmentation([[[0.55, 0.55], [0.9, 0.8], [0.2, 0.2]]], [0])
    active = stitch(found, np.array([[0, 1]]), length=3 * HOP)
    assert active.sum(axis=1).tolist() == [1, 2, 1]
    strict = stitch(
        found, np.array([[0, 1]]), length=3 * HOP, config=AggregationConfig(overlap=0.8)
    )
    assert strict.sum(axis=1).tolist() == [1, 1, 1]


def test_voices_decide_where_chunks_do_not():
    found = segmentation([[[0.5, 0.5], [0.9, 0.1], [0.5, 0.5], [0.5, 0.5]]], [0])
    territory = np.array([[0, 2 * HOP], [2 * HOP, 3 * HOP]])
    voices = WindowPosteriors(territory, np.array([[0.3, 0.7], [0.9, 0.1]], np.float32))
    labels = np.array([[0, 1]])
    active = stitch(found, labels, length=4 * HOP, voices=voices)
    assert active.argmax(axis=1).tolist() == [1, 0, 0, 0]  # no window in the last: the first
    assert (active.sum(axis=1) == 1).all()
    only = AggregationConfig(voices=1.0)
    active = stitch(found, labels, length=4 * HOP, voices=voices, config=only)
    assert active[:2].argmax(axis=1).tolist() == [1, 1]


def test_a_long_recording_goes_by_in_blocks(monkeypatch):
    rng = np.random.default_rng(0)
    activity, starts = rng.random((9, 10, 3)).astype(np.float32), np.arange(9) * 4
    labels = rng.integers(-1, 3, (9, 3))
    territory = np.arange(0, 43, 7)[:, None] * HOP + np.array([0, 7 * HOP])
    voices = WindowPosteriors(
        territory, rng.dirichlet(np.ones(3), len(territory)).astype(np.float32)
    )
    args = (segmentation(activity, starts), labels)
    whole = stitch(*args, length=42 * HOP, voices=voices)
    for block in (1, 5, 11):
        monkeypatch.setattr("diarize.postprocessing.aggregation.BLOCK", block)
        assert np.array_equal(stitch(*args, length=42 * HOP, voices=voices), whole)


# Local speakers

A, B = np.eye(2, dtype=np.float32)


def conversation():
    """A speaks in frames 0-99 and 200-299, B in 100-199, both in 90-99; two chunks of 200 frames,
    the second numbers them the other way. Windows of 50 frames."""
    truth = np.zeros((300, 2), np.float32)
    truth[:100, 0] = truth[200:, 0] = truth[90:200, 1] = 1
    chunks = [truth[:200], truth[100:, ::-1]]
    windows = cut_windows(
        np.array([[0, 300 * HOP]]),
        length=300 * HOP,
        config=WindowConfig(window_s=1.0, step_s=1.0),
    )
    embeddings = np.array([B if 100 <= b < 200 else A for b in windows.bounds[:, 0] // HOP])
    return segmentation(chunks, [0, 100]), windows, embeddings


def test_local_speakers_are_who_the_windows_sound_like():
    found, windows, embeddings = conversation()
    labels = (embeddings[:, 1] > 0).astype(np.int64)
    assert local_labels(found, windows, embeddings, labels).tolist() == [[0, 1], [1, 0]]
    regions = heard_regions(found, windows, embeddings, labels, length=300 * HOP)
    assert [(own // HOP).tolist() for own in regions] == [[[0, 100], [200, 300]], [[90, 200]]]
    one = heard_regions(
        found,
        windows,
        embeddings,
        labels,
        length=300 * HOP,
        config=AggregationConfig(exclusive=True),
    )
    assert sum(int(np.diff(own).sum()) for own in one) == 300 * HOP


def test_local_speakers_of_a_chunk_are_different_speakers():
    """Even where all windows sound like A; a single speaker is all there is, though."""
    found, windows, embeddings = conversation()
    labels = np.zeros(len(windows), np.int64)
    labels[0] = 1
    like_a = np.tile(A, (len(windows), 1))
    for names in local_labels(found, windows, like_a, labels):
        assert sorted(names) == [0, 1]
    assert local_labels(found, windows, embeddings, labels * 0).tolist() == [[0, 0], [0, 0]]


def test_nobody_with_windows_is_lost():
    """The third voice is none of the chunks' two, but it was told to be there."""
    found, windows, embeddings = conversation()
    labels = (embeddings[:, 1] > 0).astype(np.int64)
    labels[0] = 2
    like = np.where(labels[:, None] == 2, [[0.0, 1.0]], embeddings).astype(np.float32)
    regions = heard_regions(found, windows, like, labels, length=300 * HOP)
    assert len(regions) == 3 and all(len(own) for own in regions)


def test_speakers_are_numbered_as_they_are_heard():
    regions = [np.array([[50, 60]]), np.array([[10, 20], [90, 95]]), np.array([[30, 40]])]
    labels, again = by_first_heard(np.array([0, 2, -1, 1, 0]), regions)
    assert labels.tolist() == [2, 1, -1, 0, 2]
    assert [own[0, 0] for own in again] == [10, 30, 50]
    labels, again = by_first_heard(np.zeros(0, np.int64), [])
    assert labels.shape == (0,) and again == []
