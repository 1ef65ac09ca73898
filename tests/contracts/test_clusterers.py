"""What every registered clusterer must do behind the door."""

from __future__ import annotations

import numpy as np
import pytest

from diarize.clustering import CLUSTERERS
from diarize.clustering.door import SpeakerCount, cluster


@pytest.fixture(params=CLUSTERERS.names())
def clusterer(request):
    return CLUSTERERS.load(request.param)()


def voices(sizes, *, noise=0.25, size=64, seed=0):
    """Rows around random directions: `sizes[k]` rows of speaker k, in shuffled order."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(len(sizes), size))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    truth = np.repeat(np.arange(len(sizes)), sizes)
    rng.shuffle(truth)
    rows = centres[truth] + rng.normal(size=(len(truth), size)) * noise / size**0.5
    return rows.astype(np.float32), truth


def same_partition(a, b):
    return len(set(zip(a.tolist(), b.tolist(), strict=True))) == len(set(a)) == len(set(b))


@pytest.mark.parametrize("sizes", [[40, 40], [60, 30, 30], [25, 25, 25, 25, 25]])
def test_clear_voices_are_found_without_being_told(clusterer, sizes):
    rows, truth = voices(sizes, noise=0.5)
    assert same_partition(cluster(rows, clusterer), truth)


@pytest.mark.parametrize("noise", [0.2, 0.8])
def test_one_voice_is_one_speaker(clusterer, noise):
    rows, _ = voices([80], noise=noise)
    assert set(cluster(rows, clusterer)) == {0}


@pytest.mark.parametrize("told", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("sizes", [[50], [30, 30], [20, 20, 20, 20]])
def test_the_told_number_is_obeyed_exactly(clusterer, sizes, told):
    rows, _ = voices(sizes)
    labels = cluster(rows, clusterer, SpeakerCount.of(told))
    assert set(labels) == set(range(told))


def test_bounds_are_obeyed(clusterer):
    rows, _ = voices([30, 30, 30])
    assert len(set(cluster(rows, clusterer, SpeakerCount.of(maximum=2)))) == 2
    assert len(set(cluster(rows, clusterer, SpeakerCount.of(minimum=5)))) == 5
    assert len(set(cluster(rows, clusterer, SpeakerCount.of(minimum=2, maximum=6)))) == 3


@pytest.mark.parametrize("N", [0, 1, 2, 3, 5])
def test_few_rows(clusterer, N):
    rows, _ = voices([10])
    labels = cluster(rows[:N], clusterer)
    assert labels.dtype == np.int64 and labels.shape == (N,)
    assert (labels >= 0).all()
    labels = cluster(rows[:N], clusterer, SpeakerCount.of(4))
    assert len(set(labels)) == min(4, N)


def test_rows_that_cannot_be_compared_get_no_speaker(clusterer):
    rows, truth = voices([30, 30])
    rows[3], rows[7], rows[11] = np.nan, 0.0, np.inf
    labels = cluster(rows, clusterer)
    assert labels[[3, 7, 11]].tolist() == [-1, -1, -1]
    usable = np.delete(np.arange(60), [3, 7, 11])
    assert same_partition(labels[usable], truth[usable])


def test_labels_are_numbered_by_first_appearance(clusterer):
    labels = cluster(voices([20, 20, 20])[0], clusterer)
    firsts = [int(np.flatnonzero(labels == k)[0]) for k in range(labels.max() + 1)]
    assert firsts == sorted(firsts)


def test_length_of_the_vectors_does_not_matter(clusterer):
    rows, _ = voices([30, 30])
    scale = np.random.default_rng(1).uniform(0.1, 50, size=(60, 1))
    np.testing.assert_array_equal(cluster(rows, clusterer), cluster(rows * scale, clusterer))


def test_two_runs_agree(clusterer):
    rows, _ = voices([30, 20, 10], noise=1.0)
    np.testing.assert_array_equal(cluster(rows, clusterer), cluster(rows, clusterer))


def test_identical_rows_are_one_speaker(clusterer):
    assert set(cluster(np.tile(np.eye(8)[0], (40, 1)), clusterer)) == {0}
    assert len(set(cluster(np.tile(np.eye(8)[0], (40, 1)), clusterer, SpeakerCount.of(3)))) == 3
