"""Speakers joined or parted until there are as many as are allowed, and nothing else changed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diarize.core.speaker_count import SpeakerCount
from diarize.embedding.windows import WindowConfig, Windows
from diarize.postprocessing.count_fitting import fit_count
from tests.support.vector_recordings import D, by_first, centres_of, unit


def windows_of(seconds, alone=None):
    ends = np.round(np.cumsum(seconds) * 16_000).astype(np.int64)
    territory = np.stack([ends - np.diff(ends, prepend=0), ends], axis=1)
    region = np.zeros(len(ends), np.int64)
    return Windows(territory, territory, region, None if alone is None else np.array(alone, bool))


def of_speakers(truth, *, noise=0.5, seed=0):
    rng = np.random.default_rng(seed)
    centres = centres_of(rng, max(truth) + 1)
    rows = centres[truth] + noise * rng.normal(size=(len(truth), D)) / D**0.5
    return unit(rows).astype(np.float32)


def fit(vectors, labels, *bounds, seconds=None, alone=True, config=None):
    N = len(labels)
    windows = windows_of(
        np.full(N, 1.6) if seconds is None else seconds,
        np.full(N, True) if alone is True else alone,
    )
    return fit_count(vectors, windows, np.array(labels), SpeakerCount.of(*bounds), config).tolist()


@pytest.mark.parametrize("bounds", [(), (2,), (None, 1, 5), (None, 2), (None, None, 2)])
def test_a_number_that_is_allowed_is_left_alone(bounds):
    labels = [0, 1, -1, 1, 0, 0]
    assert fit(of_speakers([0, 0, 0, 1, 1, 1]), labels, *bounds) == labels


def test_nobody_stays_nobody():
    assert fit(of_speakers([0, 1]), [-1, -1], 2) == [-1, -1]
    assert fit(np.zeros((0, D), np.float32), np.zeros(0, np.int64), 2) == []


def test_too_many_become_fewer_by_joining_the_most_similar():
    truth = np.repeat([0, 1, 2], 6)
    vectors = of_speakers(truth)
    parts = by_first(truth * 2 + np.arange(18) % 2).tolist()
    assert fit(vectors, parts, 3) == fit(vectors, parts, None, None, 3) == truth.tolist()
    assert len(set(fit(vectors, parts, 2))) == 2 and set(fit(vectors, parts, 1)) == {0}


def test_too_few_become_more_by_the_windows_that_are_most_unlike_theirs():
    truth = np.array([0, 0, 1, 0, 2, 2, 2, 1, 0, 0, 2, 0, 1, 0])
    vectors = of_speakers(truth, noise=0.3)
    two = np.where(truth == 1, 0, truth // 2)  # the second is hidden in the first
    assert fit(vectors, two, 3) == fit(vectors, two, None, 3) == truth.tolist()
    one = np.zeros(len(truth), np.int64)
    assert fit(vectors, one, 3) == truth.tolist()


def test_only_the_odd_windows_group_moves():
    truth = np.array([0] * 8 + [1] * 8 + [2] * 2)
    vectors = of_speakers(truth, noise=0.6, seed=3)
    labels = np.where(truth == 2, 1, truth)
    found = np.array(fit(vectors, labels, 3))
    assert found.tolist() == truth.tolist()
    assert fit(vectors, found.tolist(), 3) == found.tolist()


def test_a_new_speaker_begins_with_a_window_of_one_alone_who_speaks_long_enough():
    """The oddest window is of two at once, the next is too short; the third begins the speaker."""
    axes = np.eye(D, dtype=np.float32)
    rest = unit(axes[0] + 0.05 * np.random.default_rng(0).normal(size=(6, D)) / D**0.5)
    odd = [unit(axes[0] * w + axes[k]) for w, k in [(0.1, 1), (0.3, 2), (0.8, 3)]]
    vectors = np.stack([*rest, *odd]).astype(np.float32)
    labels = np.zeros(9, np.int64)
    alone, seconds = np.arange(9) != 6, np.where(np.arange(9) == 7, 0.5, 1.6)
    assert fit(vectors, labels, 2, alone=alone, seconds=seconds) == [0] * 8 + [1]
    assert fit(vectors, labels, 2, alone=alone)[6:] == [0, 1, 0]
    assert fit(vectors, labels, 2, seconds=seconds)[6:] == [1, 0, 0]
    # Where nothing else is left, these become speakers too.
    assert fit(vectors, labels, 4, alone=alone, seconds=seconds)[6:] != [0, 0, 1]
    assert len(set(fit(vectors, labels, 9, alone=alone, seconds=seconds))) == 9


def test_where_nobody_tells_who_is_alone_a_long_window_begins_the_speaker():
    axes = np.eye(D, dtype=np.float32)
    vectors = unit(axes[[0, 0, 0, 1, 2]] + np.outer([0, 0, 0, 0, 1], axes[0]))
    seconds = [1.6, 1.6, 1.6, 0.9, 1.0]
    labels = np.zeros(5, np.int64)
    assert fit(vectors, labels, 2, seconds=seconds, alone=None) == [0, 0, 0, 0, 1]
    shorter = WindowConfig(min_clustering_window_s=0.9)
    found = fit(vectors, labels, 2, seconds=seconds, alone=None, config=shorter)
    assert found == [0, 0, 0, 1, 0]  # it is the less like the others


def test_windows_without_a_label_keep_that_whatever_their_vector():
    truth = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2, 2])
    vectors = of_speakers(truth, noise=0.3)
    vectors[[3, 9]] = np.nan
    out = np.isin(np.arange(10), [3, 9])
    for labels in (np.zeros(10, np.int64), by_first(truth * 2 + np.arange(10) % 2)):
        found = fit(vectors, np.where(out, -1, labels), 3)
        assert found == np.where(out, -1, truth).tolist()


def test_equal_vectors_are_parted_all_the_same():
    vectors = np.repeat(np.eye(D, dtype=np.float32)[:1], 5, axis=0)
    for K in range(1, 9):
        assert len(set(fit(vectors, np.zeros(5, np.int64), K))) == min(K, 5)


def test_nothing_given_is_written_to():
    vectors, labels = of_speakers([0, 0, 1, 1, 2]), np.array([0, 0, 0, 1, 1])
    before = vectors.copy(), labels.copy()
    for count in (1, 4):
        fit_count(vectors, windows_of(np.ones(5)), labels, SpeakerCount.of(count))
    np.testing.assert_array_equal(vectors, before[0])
    np.testing.assert_array_equal(labels, before[1])


@given(
    st.integers(1, 30), st.integers(1, 8), st.integers(0, 4), st.booleans(), st.integers(0, 10**6)
)
def test_of_any_labels(N, minimum, more, known, seed):
    rng = np.random.default_rng(seed)
    vectors = unit(rng.normal(size=(N, rng.integers(1, 9)))).astype(np.float32)
    labels = by_first(rng.integers(0, rng.integers(1, 9), size=N))
    out = rng.random(N) < 0.2
    labels = np.where(out, -1, labels)
    numbers = sorted(set(labels.tolist()) - {-1})
    labels = np.array([numbers.index(k) if k >= 0 else -1 for k in labels.tolist()])
    alone = rng.random(N) < 0.7 if known else None
    windows = windows_of(rng.uniform(0.3, 3.2, size=N), alone)
    count = SpeakerCount(minimum, minimum + more)
    found = fit_count(vectors, windows, labels, count)
    np.testing.assert_array_equal(found < 0, out)
    K = len(set(found[~out].tolist()))
    assert min(minimum, (~out).sum()) <= K <= minimum + more
    if len(numbers) < K:  # parted: nobody who was apart is together
        pairs = set(zip(found.tolist(), labels.tolist(), strict=True))
        assert len(pairs) == K + out.any()
    np.testing.assert_array_equal(fit_count(vectors, windows, found, count), found)
