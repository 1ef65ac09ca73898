"""The door's own work: reduction, enforcing counts, cutting trees, counting."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.metrics import silhouette_score

from diarize.clustering import count_enforcement as counts
from diarize.clustering import splitting
from diarize.clustering.agglomerative import Agglomerative
from diarize.clustering.api import SpeakerCount, cluster
from diarize.clustering.base import Clusterer
from diarize.clustering.count_enforcement import enforce_count, join_nearest, merge_similar
from diarize.clustering.count_estimation import count_by_eigengap, silhouettes
from diarize.clustering.linkage.average_linkage import cut_tree
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
    assert enforce_count(rows, np.array([0, 1, 2]), 1, 2).tolist() == [0, 0, 1]


def merged_one_by_one(unit, labels, maximum):
    """The definition, from scratch for every merge."""
    labels = labels.copy()
    while len(known := np.unique(labels[labels >= 0])) > maximum:
        best = max(
            ((unit[labels == a] @ unit[labels == b].T).mean(), a, b)
            for i, a in enumerate(known)
            for b in known[:i]
        )
        labels[labels == best[1]] = best[2]
    return labels


def split_one_by_one(unit, labels, minimum):
    """The definition, with a new tree for every split."""
    labels = labels.copy()
    while len(known := np.unique(labels[labels >= 0])) < minimum:
        divisible = [k for k in known if (labels == k).sum() > 1]
        loosest = min(divisible, key=lambda k: (unit[labels == k] @ unit[labels == k].T).mean())
        rows = np.flatnonzero(labels == loosest)
        tree = linkage(unit[rows], method="average", metric="cosine")
        labels[rows[cut_tree(tree, 2) == 1]] = labels.max() + 1
    return labels


@pytest.mark.parametrize("maximum", [1, 2, 7, 25])
@pytest.mark.parametrize("compared", [1000, 20])  # all clusters, or the nearest of many
def test_merging_down_to_a_count_is_the_definition(monkeypatch, maximum, compared):
    monkeypatch.setattr(counts, "MAX_COMPARED", compared)
    unit, labels = unit_rows(120, D=6), np.random.default_rng(2).integers(-1, 40, size=120)
    expected = merged_one_by_one(unit, labels, maximum)
    assert same_partition(enforce_count(unit, labels, 1, maximum), expected)


@pytest.mark.parametrize("minimum", [4, 9, 40, 90])
def test_splitting_up_to_a_count_is_the_definition(minimum):
    unit, labels = unit_rows(90, D=6), np.random.default_rng(2).integers(-1, 3, size=90)
    minimum = min(minimum, int((labels >= 0).sum()))
    expected = split_one_by_one(unit, labels, minimum)
    assert same_partition(enforce_count(unit, labels, minimum, None), expected)


def test_a_cluster_too_large_for_a_tree_is_split_all_the_same(monkeypatch):
    monkeypatch.setattr(splitting, "MAX_ROWS", 50)
    rows, truth = voices([900, 300, 200], noise=0.4)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    nobody = np.zeros(len(rows), np.int64)
    assert same_partition(enforce_count(unit, nobody, 3, None), truth)
    assert len(set(enforce_count(unit, nobody, 1400, None))) == 1400


def joined_while_alike(unit, labels, ratio):
    """The definition, from scratch for every two that are joined."""
    labels = labels.copy()
    while len(known := np.unique(labels)) > 1:
        inside = {}
        for k in known:
            own = unit[labels == k] @ unit[labels == k].T
            pairs = len(own) * (len(own) - 1)
            inside[k] = (own.sum() - np.trace(own)) / pairs if pairs else 0.0
        excess, a, b = max(
            (
                (unit[labels == a] @ unit[labels == b].T).mean()
                - ratio * (inside[a] + inside[b]) / 2,
                a,
                b,
            )
            for i, a in enumerate(known)
            for b in known[:i]
        )
        if excess < 0:
            break
        labels[labels == a] = b
    return labels


@pytest.mark.parametrize("ratio", [0.2, 0.5, 0.7, 0.9])
def test_groups_are_joined_while_they_are_alike_by_definition(ratio):
    rows, truth = voices([9, 30, 14, 25, 1, 17], noise=1.0, size=6)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    labels = truth * 2 + np.arange(len(truth)) % 2
    expected = joined_while_alike(unit, labels, ratio)
    assert 1 <= len(set(expected)) < len(set(labels))
    assert same_partition(merge_similar(unit, labels, ratio), expected)


def test_joining_the_nearest_speaker_is_the_definition():
    unit, labels = unit_rows(80), np.random.default_rng(3).integers(-1, 5, size=80)
    joined = join_nearest(unit, labels)
    for row in range(80):
        means = [unit[labels == k].mean(axis=0) for k in range(5)]
        cosines = [unit[row] @ mean / np.linalg.norm(mean) for mean in means]
        assert joined[row] == (labels[row] if labels[row] >= 0 else int(np.argmax(cosines)))


@pytest.mark.parametrize("seed", range(3))
def test_silhouettes_agree_with_scikit_learn(seed):
    rows = unit_rows(40, seed)
    tree = linkage(rows, method="average", metric="cosine")
    ours = silhouettes(rows, lambda k: cut_tree(tree, k), 6)
    theirs = [silhouette_score(rows, cut_tree(tree, k), metric="cosine") for k in range(2, 7)]
    np.testing.assert_allclose(ours, theirs, atol=1e-9)


@pytest.mark.parametrize("K", [2, 3, 5, 7])
def test_eigengap_counts_clear_voices(K):
    rows, _ = voices([30] * K, noise=0.5)
    assert count_by_eigengap(rows / np.linalg.norm(rows, axis=1, keepdims=True), 10) == K


def test_noise_stays_out_only_when_asked():
    class Half(Clusterer):
        def fit_predict(self, unit, count, group=None):
            labels = np.zeros(len(unit), np.int64)
            labels[len(unit) // 2 :] = -1
            return labels

    rows = unit_rows(10)
    assert set(cluster(rows, Half())) == {0}
    assert set(cluster(rows, Half(), noise="keep")) == {0, -1}
    assert cluster(rows, Half(), noise="own").tolist() == [0, 0, 0, 0, 0, 1, 2, 3, 4, 5]
    assert len(set(cluster(rows, Half(), SpeakerCount.of(3), noise="own"))) == 3


def test_nothing_but_noise_is_one_speaker_unless_every_row_may_be_one():
    class Nobody(Clusterer):
        def fit_predict(self, unit, count, group=None):
            return np.full(len(unit), -1, np.int64)

    assert set(cluster(unit_rows(10), Nobody())) == {0}
    assert cluster(unit_rows(10), Nobody(), noise="own").tolist() == list(range(10))


@pytest.mark.parametrize("scales", [True, False])
def test_only_a_backend_that_does_not_scale_gets_merged_rows(scales):
    class Counting(Clusterer):
        def fit_predict(self, unit, count, group=None):
            self.seen = unit.shape, unit.dtype
            return np.zeros(len(unit), np.int64)

    backend = Counting()
    backend.scales = scales
    cluster(unit_rows(3000).astype(np.float32), backend, max_exact=1000)
    (N, _), dtype = backend.seen
    assert dtype == np.float32
    assert N == 3000 if scales else N <= 1000


def test_vectors_of_any_length_and_precision_become_unit_vectors():
    class Norms(Clusterer):
        def fit_predict(self, unit, count, group=None):
            self.norms = np.linalg.norm(unit, axis=1)
            return np.zeros(len(unit), np.int64)

    rows = unit_rows(60) * np.logspace(-30, 30, 60)[:, None]
    for dtype, max_exact in ((np.float64, 100), (np.float32, 100), (np.float64, 30)):
        backend = Norms()
        backend.scales = True
        labels = cluster(rows.astype(dtype), backend, max_exact=max_exact)
        assert (labels == 0).all()
        np.testing.assert_allclose(backend.norms, 1, atol=1e-6)
    with_bad = unit_rows(60)
    with_bad[[0, 31, 59]] = [[np.inf], [0], [np.nan]]
    backend = Norms()
    labels = cluster(with_bad, backend, max_exact=10)
    assert np.flatnonzero(labels < 0).tolist() == [0, 31, 59]


class TenOnly(Clusterer):
    """A backend that labels its first ten rows, two by two, and calls the rest noise."""

    def fit_predict(self, unit, count, group=None):
        labels = np.full(len(unit), -1, np.int64)
        labels[:10] = np.arange(10) // 2
        return labels


def test_the_known_number_is_obeyed_in_spite_of_noise():
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


@pytest.mark.parametrize(
    "given",
    [
        (None, None, None),
        (3, None, None),
        (None, 2, None),
        (1, None, None),
        (None, 2, 5),
        (None, None, 4),
    ],
)
def test_counts_are_written_as_they_were_given(given):
    assert tuple(SpeakerCount.of(*given).to_mapping().values()) == given


def test_a_backend_without_settings_for_clips_says_so():
    with pytest.raises(ConfigError, match="TenOnly has no settings for clips"):
        TenOnly.for_clips(0.5)
    TenOnly.check_rows(10**9)  # needs nothing


def test_a_backend_that_takes_groups_is_given_them_with_all_rows():
    class Grouped(Clusterer):
        takes_groups = True

        def fit_predict(self, unit, count, group=None):
            self.group = group
            return np.zeros(len(unit), np.int64)

    backend = Grouped()
    cluster(unit_rows(300), backend, max_exact=300)
    assert backend.group is None
    cluster(unit_rows(300), backend, max_exact=100)
    assert backend.group.shape == (300,) and 0 < backend.group.max() < 100


@pytest.mark.parametrize(
    ("windows_of_one", "windows_of_another", "speakers"),
    [
        (22, 5, 2),  # 12 s: a fifth of all is somebody
        (22, 3, 1),  # under 2.8 s nobody is
        (200, 5, 1),  # in a minute and a half 3.2 s are asked for
        (200, 8, 2),
    ],
)
def test_a_short_recording_has_shorter_speakers(windows_of_one, windows_of_another, speakers):
    rows, _ = voices([windows_of_one, windows_of_another])
    labels = cluster(rows, Agglomerative())
    assert labels.max() + 1 == speakers
