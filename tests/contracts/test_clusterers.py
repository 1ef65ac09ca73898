"""What every registered clusterer must do when called through `cluster`."""

from __future__ import annotations

import numpy as np
import pytest

from diarize.clustering import CLUSTERERS
from diarize.clustering.api import SpeakerCount, cluster
from encoder.errors import ConfigError


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
def test_clear_voices_are_found_with_an_unknown_count(clusterer, sizes):
    rows, truth = voices(sizes, noise=0.5)
    assert same_partition(cluster(rows, clusterer), truth)


@pytest.mark.parametrize("noise", [0.2, 0.8])
def test_one_voice_is_one_speaker(clusterer, noise):
    rows, _ = voices([80], noise=noise)
    assert set(cluster(rows, clusterer)) == {0}


@pytest.mark.parametrize("known", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("sizes", [[50], [30, 30], [20, 20, 20, 20]])
def test_the_known_number_is_obeyed_exactly(clusterer, sizes, known):
    rows, _ = voices(sizes)
    labels = cluster(rows, clusterer, SpeakerCount.of(known))
    assert set(labels) == set(range(known))


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


def test_many_vectors_are_not_written_to(clusterer):
    """Beyond `max_exact` rows unit vectors of single precision are not copied."""
    rows, _ = voices([200, 150, 100], noise=0.5)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    before = rows.copy()
    for count in (None, SpeakerCount.of(2), SpeakerCount.of(9)):
        cluster(rows, clusterer, count, max_exact=200)
        np.testing.assert_array_equal(rows, before)


def test_more_rows_than_are_compared_keep_their_speakers(clusterer):
    rows, truth = voices([300, 250, 200], noise=0.5)
    assert same_partition(cluster(rows, clusterer, max_exact=300), truth)


def test_identical_rows_are_one_speaker(clusterer):
    assert set(cluster(np.tile(np.eye(8)[0], (40, 1)), clusterer)) == {0}
    assert len(set(cluster(np.tile(np.eye(8)[0], (40, 1)), clusterer, SpeakerCount.of(3)))) == 3


@pytest.fixture(params=CLUSTERERS.names())
def for_clips(request):
    """Clusters clips with the backend's settings for them, at a mean cosine of 0.45."""
    clusterer = CLUSTERERS.load(request.param).for_clips(0.45)

    def clustered(rows, count=None):
        return cluster(rows, clusterer, count, noise="own")

    return clustered


@pytest.mark.parametrize("sizes", [[20, 15, 1, 1, 1], [6, 5, 4, 2, 1], [40, 40], [1, 1, 30]])
def test_a_single_clip_beside_groups_is_a_speaker(for_clips, sizes):
    rows, truth = voices(sizes, noise=0.5)
    assert same_partition(for_clips(rows), truth)


@pytest.mark.parametrize("N", [1, 2, 3, 4, 30])
def test_clips_that_are_all_different_are_all_speakers(for_clips, N):
    rows, truth = voices([1] * N, noise=0.3)
    assert same_partition(for_clips(rows), truth)


@pytest.mark.parametrize("sizes", [[2], [2, 1], [2, 2], [2] * 15])
def test_two_clips_are_enough_for_a_speaker(for_clips, sizes):
    rows, truth = voices(sizes, noise=0.4)
    assert same_partition(for_clips(rows), truth)


@pytest.mark.parametrize("sizes", [[3], [5], [80]])
def test_clips_of_one_voice_are_one_speaker(for_clips, sizes):
    rows, _ = voices(sizes, noise=0.7)
    assert set(for_clips(rows)) == {0}


@pytest.mark.parametrize("known", [1, 2, 5, 12, 37])
def test_the_known_number_of_speakers_is_obeyed_for_clips(for_clips, known):
    rows, _ = voices([20, 15, 1, 1], noise=0.5)
    assert set(for_clips(rows, SpeakerCount.of(known))) == set(range(known))


def test_different_speakers_are_not_chained_together(for_clips):
    """Each clip is like the next one, the first nothing like the last."""
    angles = np.arange(12) * 0.5
    rows = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    labels = for_clips(rows)
    for k in set(labels):
        own = rows[labels == k]
        assert np.triu(own @ own.T, k=1).sum() / max(1, len(own) * (len(own) - 1) / 2) > -0.01
    assert len(set(labels)) > 1


@pytest.mark.parametrize("min_similarity", [-1.5, 1.5])
def test_a_similarity_that_is_no_cosine_is_refused(min_similarity):
    for name in CLUSTERERS.names():
        with pytest.raises(ConfigError, match=r"1\.5"):
            CLUSTERERS.load(name).for_clips(min_similarity)
