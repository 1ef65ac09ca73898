"""The activity in chunks becomes one timeline."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diarize.embedding.windows import WindowConfig, cut_windows
from diarize.postprocessing.aggregation import aggregate
from diarize.postprocessing.config import AggregationConfig
from diarize.postprocessing.speaker_mapping import (
    WindowPosteriors,
    map_local_speakers,
    window_posteriors,
)
from diarize.postprocessing.turns import by_first_region, speaker_regions, turn_regions
from diarize.segmentation.base import ChunkActivity, Segmentation
from encoder.errors import ConfigError

HOP = 320


def segmentation(chunks, starts, regions=((0, 10_000),)):
    activity = ChunkActivity(np.array(chunks, np.float32), np.array(starts) * HOP, HOP)
    return Segmentation(np.array(regions).reshape(-1, 2) * HOP, activity)


def regions_of_speakers(found, windows, embeddings, labels, *, length, config=None):
    """From the labels of windows to the regions of each speaker, as the pipeline does it."""
    active = aggregate(
        found,
        map_local_speakers(found.chunks, windows, embeddings, labels),
        length=length,
        posteriors=window_posteriors(windows, embeddings, labels),
        config=config,
    )
    hop = found.chunks.frame_hop
    return turn_regions(active, windows, labels, hop=hop, length=length, config=config)[1]


def test_two_chunks_that_number_their_speakers_differently():
    """Frames 0-5 and 3-8; A speaks 0-4, B 4-7; frame 4 is both's."""
    first = [[1, 0], [1, 0], [1, 0], [1, 0], [1, 1], [0, 1]]  # A, B
    second = [[0, 1], [1, 1], [1, 0], [1, 0], [1, 0], [0, 0]]  # B, A
    found = segmentation([first, second], [0, 3])
    active = aggregate(found, np.array([[0, 1], [1, 0]]), length=9 * HOP)
    assert active.T.astype(int).tolist() == [
        [1, 1, 1, 1, 1, 0, 0, 0, 0],
        [0, 0, 0, 0, 1, 1, 1, 1, 0],
    ]
    one = aggregate(
        found, np.array([[0, 1], [1, 0]]), length=9 * HOP, config=AggregationConfig(exclusive=True)
    )
    assert one.sum(axis=1).max() == 1 and one[4, 0]  # equals go to the first


def test_local_speakers_of_one_label_are_one_and_those_without_do_not_count():
    found = segmentation([[[1, 1, 1], [1, 0, 1]]], [0])
    active = aggregate(found, np.array([[0, 0, -1]]), length=2 * HOP)
    assert active.tolist() == [[True], [True]]
    none = aggregate(found, np.full((1, 3), -1), length=2 * HOP)
    assert none.shape == (2, 0)


def test_chunks_that_disagree_are_averaged():
    """The one who is active in more of them."""
    labels = np.array([[0, 1]] * 3)
    chunks = [[[0.9, 0.0]], [[0.0, 0.8]], [[0.8, 0.0]]]
    assert aggregate(segmentation(chunks, [0, 0, 0]), labels, length=HOP).tolist() == [
        [True, False]
    ]


def test_someone_speaks_in_the_regions():
    chunk = [[0.9, 0.9], [0.1, 0.0], [0.2, 0.1], [0.8, 0.0]]
    found = segmentation([chunk], [0], regions=[(1, 3)])
    active = aggregate(found, np.array([[0, 1]]), length=4 * HOP)
    assert active.tolist() == [[0, 0], [1, 0], [1, 0], [0, 0]]
    assert not aggregate(segmentation([chunk], [0], []), np.array([[0, 1]]), length=4 * HOP).any()


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
    got = aggregate(segmentation(activity, starts), labels, length=length, config=config)
    for t in range(starts[-1] + F):
        there = [c for c in range(C) if starts[c] <= t < starts[c] + F]
        score = np.zeros(got.shape[1])
        for c in there:
            for k in range(got.shape[1]):
                mine = [activity[c, t - starts[c], s] for s in range(S) if labels[c, s] == k]
                score[k] += max(mine, default=0)
        expected = score.sum() / len(there)
        count = max(1, int(np.floor(expected - 0.5)) + 1)
        count = min(count, 1) if exclusive else count
        best = sorted(range(len(score)), key=lambda k: (-np.float32(score[k]), k))[:count]
        assert set(np.flatnonzero(got[t])) == {k for k in best if score[k] > 0}


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
        aggregate(Segmentation(np.zeros((0, 2), np.int64)), np.zeros((0, 3), np.int64), length=10)
    for name, value in (
        ("overlap_threshold", 0.0),
        ("overlap_threshold", 1.1),
        ("embedding_weight", -0.1),
        ("softmax_scale", -1.0),
    ):
        with pytest.raises(ConfigError, match=f"{name} is"):
            AggregationConfig(**{name: value})


def test_without_windows_local_speakers_are_none():
    found = segmentation([[[1, 0], [1, 1]]], [0])
    windows = cut_windows(np.zeros((0, 2), np.int64), length=0)
    nothing = windows, np.zeros((0, 2), np.float32), np.zeros(0, np.int64)
    assert map_local_speakers(found.chunks, *nothing).tolist() == [[-1, -1]]
    assert regions_of_speakers(found, *nothing, length=2 * HOP) == []


def test_two_halves_are_one_speaker():
    """The chunk does not know which of two it is: that is no overlap."""
    found = segmentation([[[0.55, 0.55], [0.9, 0.8], [0.2, 0.2]]], [0])
    active = aggregate(found, np.array([[0, 1]]), length=3 * HOP)
    assert active.sum(axis=1).tolist() == [1, 2, 1]
    strict = aggregate(
        found, np.array([[0, 1]]), length=3 * HOP, config=AggregationConfig(overlap_threshold=0.8)
    )
    assert strict.sum(axis=1).tolist() == [1, 1, 1]


def test_embeddings_decide_where_chunks_do_not():
    found = segmentation([[[0.5, 0.5], [0.9, 0.1], [0.5, 0.5], [0.5, 0.5]]], [0])
    territory = np.array([[0, 2 * HOP], [2 * HOP, 3 * HOP]])
    posteriors = WindowPosteriors(territory, np.array([[0.3, 0.7], [0.9, 0.1]], np.float32))
    labels = np.array([[0, 1]])
    active = aggregate(found, labels, length=4 * HOP, posteriors=posteriors)
    assert active.argmax(axis=1).tolist() == [1, 0, 0, 0]  # no window in the last: the first
    assert (active.sum(axis=1) == 1).all()
    only = AggregationConfig(embedding_weight=1.0)
    active = aggregate(found, labels, length=4 * HOP, posteriors=posteriors, config=only)
    assert active[:2].argmax(axis=1).tolist() == [1, 1]


def test_a_long_recording_goes_by_in_blocks(monkeypatch):
    rng = np.random.default_rng(0)
    activity, starts = rng.random((9, 10, 3)).astype(np.float32), np.arange(9) * 4
    labels = rng.integers(-1, 3, (9, 3))
    territory = np.arange(0, 43, 7)[:, None] * HOP + np.array([0, 7 * HOP])
    posteriors = WindowPosteriors(
        territory, rng.dirichlet(np.ones(3), len(territory)).astype(np.float32)
    )
    args = (segmentation(activity, starts), labels)
    whole = aggregate(*args, length=42 * HOP, posteriors=posteriors)
    for block in (1, 5, 11):
        monkeypatch.setattr("diarize.postprocessing.aggregation.BLOCK", block)
        assert np.array_equal(aggregate(*args, length=42 * HOP, posteriors=posteriors), whole)


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


def test_local_speakers_are_the_speakers_of_their_windows():
    found, windows, embeddings = conversation()
    labels = (embeddings[:, 1] > 0).astype(np.int64)
    assert map_local_speakers(found.chunks, windows, embeddings, labels).tolist() == [
        [0, 1],
        [1, 0],
    ]
    regions = regions_of_speakers(found, windows, embeddings, labels, length=300 * HOP)
    assert [(own // HOP).tolist() for own in regions] == [[[0, 100], [200, 300]], [[90, 200]]]
    one = regions_of_speakers(
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
    for names in map_local_speakers(found.chunks, windows, like_a, labels):
        assert sorted(names) == [0, 1]
    assert map_local_speakers(found.chunks, windows, embeddings, labels * 0).tolist() == [
        [0, 0],
        [0, 0],
    ]


def test_no_speaker_with_windows_is_lost():
    """The third speaker is none of the two of the chunks, but the known count has three."""
    found, windows, embeddings = conversation()
    labels = (embeddings[:, 1] > 0).astype(np.int64)
    labels[0] = 2
    like = np.where(labels[:, None] == 2, [[0.0, 1.0]], embeddings).astype(np.float32)
    regions = regions_of_speakers(found, windows, like, labels, length=300 * HOP)
    assert len(regions) == 3 and all(len(own) for own in regions)


def test_speakers_are_numbered_by_their_first_regions():
    regions = [np.array([[50, 60]]), np.array([[10, 20], [90, 95]]), np.array([[30, 40]])]
    labels, again = by_first_region(np.array([0, 2, -1, 1, 0]), regions)
    assert labels.tolist() == [2, 1, -1, 0, 2]
    assert [own[0, 0] for own in again] == [10, 30, 50]
    labels, again = by_first_region(np.zeros(0, np.int64), [])
    assert labels.shape == (0,) and again == []
