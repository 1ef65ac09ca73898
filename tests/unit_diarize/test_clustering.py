"""The door's own work: reduction, enforcing counts, cutting trees, counting."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.metrics import silhouette_score

from diarize.clustering import door
from diarize.clustering.agglomerative import Agglomerative
from diarize.clustering.counting import count_by_eigengap, silhouettes
from diarize.clustering.counts import cut_tree, enforce_count
from diarize.clustering.door import SpeakerCount, cluster
from diarize.clustering.reduction import reduce_rows
from encoder.errors import ConfigError
from tests.contracts.test_clusterers import same_partition, voices


def unit_rows(N, seed=0, D=16):
    rows = np.random.default_rng(seed).normal(size=(N, D))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@given(st.integers(2, 40), st.integers(1, 45), st.integers(0, 1000))
@settings(max_examples=60)
def test_cut_tree_gives_exactly_k_clusters_and_scipys_where_scipy_can(N, k, seed):
    tree = linkage(unit_rows(N, seed), method="average", metric="cosine")
    labels = cut_tree(tree, k)
    assert len(set(labels)) == min(k, N)
    theirs = fcluster(tree, t=min(k, N), criterion="maxclust")
    if len(set(theirs)) == min(k, N):
        assert same_partition(labels, theirs)


@given(st.integers(2, 30), st.integers(1, 8), st.integers(0, 8), st.integers(0, 1000))
@settings(max_examples=60)
def test_enforced_counts_lie_within_the_bounds(N, minimum, more, seed):
    labels = np.random.default_rng(seed).integers(-1, 6, size=N)
    fixed = enforce_count(unit_rows(N, seed), labels, minimum, minimum + more)
    labelled = (labels >= 0).sum()
    found = len(set(fixed[fixed >= 0]))
    assert found <= minimum + more
    assert found >= min(minimum, labelled)
    assert ((fixed < 0) == (labels < 0)).all()


def test_merging_takes_the_two_most_alike():
    rows = np.array([[1, 0, 0], [0.9, 0.1, 0], [0, 0, 1.0]])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    assert enforce_count(rows, np.array([0, 1, 2]), 1, 2).tolist() == [0, 0, 2]


@pytest.mark.parametrize(("N", "limit"), [(100, 200), (2500, 500), (2001, 1000)])
def test_reduction_fits_and_maps_every_row(N, limit):
    rows, group = reduce_rows(unit_rows(N), limit)
    assert len(rows) <= limit and group.shape == (N,)
    assert set(group) == set(range(len(rows)))
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-9)


def test_a_recording_above_the_exact_limit_keeps_its_speakers(monkeypatch):
    monkeypatch.setattr(door, "MAX_EXACT", 300)
    rows, truth = voices([900, 900, 700], noise=0.6)
    assert same_partition(cluster(rows, Agglomerative()), truth)


@pytest.mark.parametrize("seed", range(3))
def test_silhouettes_agree_with_scikit_learn(seed):
    rows = unit_rows(40, seed)
    tree = linkage(rows, method="average", metric="cosine")
    ours = silhouettes(rows, tree, 6)
    theirs = [silhouette_score(rows, cut_tree(tree, k), metric="cosine") for k in range(2, 7)]
    np.testing.assert_allclose(ours, theirs, atol=1e-9)


@pytest.mark.parametrize("K", [2, 3, 5, 7])
def test_eigengap_counts_clear_voices(K):
    rows, _ = voices([30] * K, noise=0.5)
    assert count_by_eigengap(rows / np.linalg.norm(rows, axis=1, keepdims=True), 10) == K


def test_noise_stays_out_only_when_asked():
    class Half:
        def fit_predict(self, unit, count):
            labels = np.zeros(len(unit), np.int64)
            labels[len(unit) // 2 :] = -1
            return labels

    rows = unit_rows(10)
    assert set(cluster(rows, Half())) == {0}
    assert set(cluster(rows, Half(), noise="keep")) == {0, -1}


class TenOnly:
    """A backend that labels its first ten rows, two by two, and calls the rest noise."""

    def fit_predict(self, unit, count):
        labels = np.full(len(unit), -1, np.int64)
        labels[:10] = np.arange(10) // 2
        return labels


def test_the_told_number_is_obeyed_in_spite_of_noise():
    labels = cluster(unit_rows(50), TenOnly(), SpeakerCount.of(15))
    assert set(labels) == set(range(15))


def test_rows_that_do_not_decide_follow_and_noise_stays_noise():
    rows = unit_rows(50)
    decides = np.ones(50, bool)
    decides[[20, 30]] = False
    labels = cluster(rows, TenOnly(), decides=decides, noise="keep")
    assert (labels[[20, 30]] >= 0).all()
    assert (labels[40:] == -1).all()


def test_rows_that_do_not_decide_make_no_speaker():
    rows, truth = voices([30, 30, 3], noise=0.3)
    labels = cluster(rows, Agglomerative(), SpeakerCount.of(2), decides=truth < 2)
    assert same_partition(labels[truth < 2], truth[truth < 2])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"speakers": 0}, "is 0"),
        ({"speakers": 2, "maximum": 3}, "exact"),
        ({"minimum": 5, "maximum": 3}, "at most 3"),
        ({"minimum": -1}, "is -1"),
        ({"maximum": 0}, "at most 0"),
    ],
)
def test_counts_that_cannot_be_are_refused(arguments, says):
    with pytest.raises(ConfigError, match=says):
        SpeakerCount.of(**arguments)
