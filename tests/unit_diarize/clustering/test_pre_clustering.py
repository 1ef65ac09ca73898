"""Recordings with more windows than are compared with one another: trees, groups, what stays."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import pdist

from diarize.clustering import pre_clustering as reduction
from diarize.clustering.agglomerative import Agglomerative, AgglomerativeConfig
from diarize.clustering.api import SpeakerCount, cluster
from diarize.clustering.linkage.average_linkage import average_tree, cosine_distances, cut_tree
from diarize.clustering.pre_clustering import reduce_rows
from diarize.core.vectors import group_means
from tests.contracts.test_clusterers import same_partition


def unit_rows(N, seed=0, D=16):
    return unit(np.random.default_rng(seed).normal(size=(N, D)))


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def conversation(sizes, *, odd=0, D=192, spread=0.9, shared=0.0, seed=0):
    """Unit vectors float32 (N, D) of voices that talk in turns, and who it is (N,), -1 for `odd`
    rows in no direction that any other has. Two voices have a cosine of shared² or so."""
    rng = np.random.default_rng(seed)
    truth = np.concatenate(
        [np.repeat(k, len(part)) for k, part in turns(rng, [*sizes, odd], len(sizes))]
    )
    centres = unit(rng.normal(size=(len(sizes) + 1, D))).astype(np.float32)
    centres = unit(np.sqrt(1 - shared**2) * centres[:-1] + shared * centres[-1])
    rows = rng.normal(size=(len(truth), D)).astype(np.float32) / D**0.5
    rows *= np.where(truth < 0, 1, spread)[:, None].astype(np.float32)
    rows += np.where(truth[:, None] < 0, 0, centres[truth])
    return unit(rows), truth


def turns(rng, sizes, odd):
    """(speaker, rows of one turn), shuffled; turns of number `odd` are single rows of nobody."""
    parts = []
    for k, size in enumerate(sizes):
        if k == odd:
            parts += [(-1, [row]) for row in range(size)]
        else:
            parts += [(k, part) for part in np.array_split(np.arange(size), -(-size // 8))]
    return [parts[at] for at in rng.permutation(len(parts)) if len(parts[at][1])]


@pytest.mark.parametrize("N", [2, 3, 255, 256, 257, 700])
def test_distances_are_scipys(N):
    rows = unit_rows(N)
    np.testing.assert_allclose(cosine_distances(rows), pdist(rows, "cosine"), atol=1e-12)
    single = cosine_distances(rows.astype(np.float32))
    np.testing.assert_allclose(single, pdist(rows, "cosine"), atol=1e-6)


def test_distances_of_equal_rows_are_never_below_zero():
    rows = np.repeat(unit_rows(40).astype(np.float32), 3, axis=0)
    assert cosine_distances(rows).min() >= 0
    assert cosine_distances(np.concatenate([rows, -rows])).max() <= 2


@pytest.mark.parametrize("seed", range(3))
def test_the_tree_of_rows_is_scipys(seed):
    rows = unit_rows(300, seed)
    theirs = linkage(rows, method="average", metric="cosine")
    ours = average_tree(rows)
    np.testing.assert_allclose(ours[:, 2], theirs[:, 2], atol=1e-12)
    for k in (2, 3, 10, 77, 200):
        assert same_partition(cut_tree(ours, k), cut_tree(theirs, k))


@given(st.integers(3, 120), st.floats(0.02, 0.98), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_tree_of_groups_is_the_rest_of_the_tree_of_their_rows(dtype, N, share, seed):
    rows = unit_rows(N, seed, D=8)
    whole = linkage(rows, method="average", metric="cosine")
    M = max(2, round(share * N))
    group = cut_tree(whole, M)
    sizes = np.bincount(group)
    tree = average_tree(group_means(rows.astype(dtype), group, M), sizes)
    np.testing.assert_allclose(tree[:, 2], whole[N - M :, 2], atol=1e-5)
    for k in range(1, M):
        assert same_partition(cut_tree(tree, k)[group], cut_tree(whole, k))


@pytest.mark.parametrize("sizes", [[1, 3, 1], [2, 1, 9]])
def test_sizes_count_in_a_tree_by_hand(sizes):
    """Groups at 0, 40 and 70 degrees: the last two join first, and the larger of them has the say
    in how far the first one is."""
    degrees = np.radians([0, 40, 70])
    rows = np.stack([np.cos(degrees), np.sin(degrees)], axis=1)
    mean = (sizes[1] * np.cos(degrees[1]) + sizes[2] * np.cos(degrees[2])) / sum(sizes[1:])
    tree = average_tree(rows, np.array(sizes))
    assert tree[:, :2].tolist() == [[1, 2], [0, 3]]
    np.testing.assert_allclose(tree[:, 2], [1 - np.cos(np.radians(30)), 1 - mean], atol=1e-12)


@pytest.mark.parametrize("sizes", [[1, 1], [2, 5]])
def test_groups_that_are_all_alike_make_a_tree(sizes):
    rows = np.repeat(unit_rows(2).astype(np.float32), 20, axis=0)
    tree = average_tree(rows, np.repeat(sizes, 20))
    assert (np.diff(tree[:, 2]) >= 0).all()
    for k in range(1, 41):
        assert len(set(cut_tree(tree, k))) == k
    assert same_partition(cut_tree(tree, 2), np.repeat([0, 1], 20))


@pytest.mark.parametrize(
    ("N", "limit"), [(100, 200), (2500, 500), (2001, 1000), (1501, 7), (1001, 1), (2, 1)]
)
def test_reduction_fits_and_counts_groups_by_first_appearance(N, limit):
    for rows in (unit_rows(N), np.tile(unit_rows(1), (N, 1))):
        group = reduce_rows(rows, limit)
        known, first = np.unique(group, return_index=True)
        assert known.tolist() == list(range(len(known))) and (np.diff(first) > 0).all()
        assert len(known) == min(limit, N)
        assert group.shape == (N,)


def test_reduction_makes_the_surest_merges_wherever_they_are():
    """Strangers in the middle of a recording stay apart while its voices can be merged."""
    strangers = unit_rows(500, D=192)
    before, after = (conversation([500], spread=0.5, seed=seed)[0] for seed in (1, 2))
    group = reduce_rows(np.concatenate([before, strangers, after]), 600)
    assert len(set(group[500:1000])) == 500


def test_odd_windows_do_not_push_voices_together():
    rows, truth = conversation([500] * 6, odd=400, shared=0.6)
    group = reduce_rows(rows, 200)
    members = np.zeros((group.max() + 1, 7), int)
    np.add.at(members, (group, truth), 1)
    assert ((members[:, :6] > 0).sum(axis=1) <= 1).all()
    labels = cluster(rows, Agglomerative(), max_exact=200)
    assert same_partition(labels[truth >= 0], truth[truth >= 0])


@pytest.mark.parametrize("count_by", ["pairs", "silhouette", "eigengap", "distance"])
@pytest.mark.parametrize("told", [None, 4])
def test_a_recording_above_the_exact_limit_keeps_its_speakers(count_by, told):
    rows, truth = conversation([900, 900, 700, 500])
    backend = Agglomerative(AgglomerativeConfig(count_by=count_by))
    labels = cluster(rows, backend, SpeakerCount.of(told), max_exact=300)
    assert same_partition(labels, truth)


@pytest.mark.parametrize(("windows", "speaker"), [(7, False), (40, True)])
def test_windows_are_counted_not_groups(windows, speaker):
    """Forty windows of a voice may be fewer than eight groups, and seven are none even if odd."""
    rows, truth = conversation([1200, 1200, windows], spread=0.6)
    backend = Agglomerative(AgglomerativeConfig(min_cluster_share=0.0))
    group = reduce_rows(rows, 60)
    assert not speaker or len(set(group[truth == 2])) < 8
    labels = cluster(rows, backend, max_exact=60)
    assert len(set(labels)) == 2 + speaker
    assert same_partition(labels[truth < 2], truth[truth < 2])


def test_reduced_and_not_the_labels_are_nearly_the_same():
    rows, _ = conversation([400, 300, 300, 200, 150, 150], odd=60, spread=1.2)
    whole = cluster(rows, Agglomerative(), max_exact=10_000)
    reduced = cluster(rows, Agglomerative(), max_exact=500)
    assert (whole == reduced).mean() > 0.98
    np.testing.assert_array_equal(reduced, cluster(rows, Agglomerative(), max_exact=500))


@pytest.mark.slow
def test_ten_hours_of_twelve_speakers_fit_beside_their_vectors():
    rows, truth = conversation(np.linspace(1500, 8000, 12).astype(int).tolist(), odd=500)
    assert len(rows) > 57_000
    decides = np.ones(len(rows), bool)
    decides[::50] = False
    tracemalloc.start()
    labels = cluster(rows, Agglomerative(), decides=decides)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert same_partition(labels[truth >= 0], truth[truth >= 0])
    assert peak < 150e6


def test_blocks_change_little(monkeypatch):
    rows, truth = conversation([700, 600, 500])
    for block in (50, 200, 1000):
        monkeypatch.setattr(reduction, "BLOCK", block)
        assert same_partition(cluster(rows, Agglomerative(), max_exact=150), truth)
