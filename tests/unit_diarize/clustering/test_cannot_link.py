"""Rows that are different speakers: constrained linkage, and keeping pairs apart at the door."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diarize.clustering import CLUSTERERS
from diarize.clustering import pre_clustering as reduction
from diarize.clustering.agglomerative import Agglomerative, AgglomerativeConfig
from diarize.clustering.api import SpeakerCount, cluster
from diarize.clustering.cannot_link import among, as_matrix, between_groups, keep_apart
from diarize.clustering.count_enforcement import merge_alike
from diarize.clustering.linkage.average_linkage import APART, average_tree, cut_tree
from diarize.clustering.pre_clustering import reduce_rows
from tests.contracts.test_clusterers import same_partition, voices


def unit_rows(N, seed=0, D=8):
    rows = np.random.default_rng(seed).normal(size=(N, D))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def chunks(sizes):
    """All pairs inside neighbouring rows of such sizes: (P, 2)."""
    ends = np.cumsum([0, *sizes])
    pairs = [
        pair for a, b in itertools.pairwise(ends) for pair in itertools.combinations(range(a, b), 2)
    ]
    return np.array(pairs, np.int64).reshape(-1, 2)


def shared(labels, pairs):
    """How many pairs share a label."""
    return int((labels[pairs[:, 0]] == labels[pairs[:, 1]]).sum())


def merged_one_by_one(unit, pairs, k):
    """The definition: the two most alike groups that may meet become one, down to k groups."""
    groups = [{row} for row in range(len(unit))]
    while len(groups) > k:
        allowed = [
            (np.mean([unit[x] @ unit[y] for x in a for y in b]), i, j)
            for (i, a), (j, b) in itertools.combinations(enumerate(groups), 2)
            if not any((x in a and y in b) or (x in b and y in a) for x, y in pairs)
        ]
        if not allowed:
            break
        _, i, j = max(allowed)
        groups[i] |= groups.pop(j)
    labels = np.empty(len(unit), np.int64)
    for label, rows in enumerate(groups):
        labels[list(rows)] = label
    return labels


@given(st.lists(st.integers(1, 3), min_size=2, max_size=7), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_the_constrained_tree_is_the_definition(sizes, seed):
    N, pairs = sum(sizes), chunks(sizes)
    unit = unit_rows(N, seed)
    tree = average_tree(unit, None, as_matrix(pairs, N))
    free = int((tree[:, 2] < APART).sum())
    assert (np.diff(tree[:, 2]) >= 0).all()
    for k in range(N - free, N + 1):
        assert same_partition(cut_tree(tree, k), merged_one_by_one(unit, pairs, k))
    assert same_partition(merged_one_by_one(unit, pairs, 1), cut_tree(tree, N - free))


def test_a_constrained_tree_of_groups_is_that_of_their_rows():
    unit, group = unit_rows(30, 5), np.arange(30) // 3
    means = np.stack([unit[group == g].mean(axis=0) for g in range(10)])
    pairs = np.array([[0, 1], [2, 7], [3, 4], [3, 5]])
    tree = average_tree(means, np.full(10, 3), as_matrix(pairs, 10))
    for height, (a, b) in zip(tree[:, 2], leaves_of(tree), strict=True):
        mean = (unit[np.isin(group, a)] @ unit[np.isin(group, b)].T).mean()
        meets = any(
            {x in a, y in a} == {True, False} and {x in b, y in b} == {True, False}
            for x, y in pairs.tolist()
        )
        assert height == pytest.approx(1 - mean + APART * meets)


def leaves_of(tree):
    """The leaves of the two branches of every merge."""
    M = len(tree) + 1
    leaves = [[leaf] for leaf in range(M)]
    for a, b in tree[:, :2].astype(int):
        leaves.append(leaves[a] + leaves[b])
        yield leaves[a], leaves[b]


@pytest.fixture(params=CLUSTERERS.names())
def clusterer(request):
    return CLUSTERERS.load(request.param)()


def test_two_voices_that_sound_alike_are_two_where_pairs_say_so():
    rows, truth = voices([40, 40], noise=0.6)
    rows[truth == 1] = 0.95 * rows[truth == 0] + 0.05 * rows[truth == 1]
    assert set(cluster(rows, Agglomerative())) == {0}
    pairs = np.stack([np.flatnonzero(truth == k) for k in (0, 1)], axis=1)
    labels = cluster(rows, Agglomerative(), cannot_link=pairs)
    assert shared(labels, pairs) == 0 and len(set(labels)) > 1


def test_wrong_pairs_part_a_voice_only_in_the_tree():
    """Mended afterwards, a dozen pairs of one voice move as many rows; it stays one speaker."""
    rows, truth = voices([40, 40], noise=0.5)
    pairs = np.flatnonzero(truth == 0)[:24].reshape(2, 12).T
    mended = Agglomerative(AgglomerativeConfig(apart_in_tree=False))
    labels = cluster(rows, mended, cannot_link=pairs)
    assert set(labels) == {0, 1} and shared(labels, pairs) == 0
    assert max((labels == truth).sum(), (labels != truth).sum()) == 68
    labels = cluster(rows, Agglomerative(), cannot_link=pairs)
    assert len(set(labels)) == 3 and shared(labels, pairs) == 0


@given(
    sizes=st.lists(st.integers(1, 3), min_size=4, max_size=25),
    told=st.integers(3, 5),
    seed=st.integers(0, 1000),
)
@settings(max_examples=25, deadline=None)
@pytest.mark.parametrize("name", CLUSTERERS.names())
def test_told_enough_speakers_no_forbidden_pair_shares_a_label(name, sizes, told, seed):
    N, pairs = sum(sizes), chunks(sizes)
    labels = cluster(
        unit_rows(N, seed), CLUSTERERS.load(name)(), SpeakerCount.of(told), cannot_link=pairs
    )
    assert len(set(labels)) == min(told, N)
    if told <= N:
        assert shared(labels, pairs) == 0


@pytest.mark.parametrize("noise", [0.5, 1.5])
@pytest.mark.parametrize("reduced", [False, True])
def test_pairs_of_different_voices_are_kept_apart_unasked(clusterer, noise, reduced):
    rows, truth = voices([60, 50, 40], noise=noise)
    order = np.argsort(truth, kind="stable")
    threes = np.stack([order[:40], order[60:100], order[110:]], axis=1)
    pairs = np.concatenate([threes[:, [0, 1]], threes[:, [1, 2]], threes[:, [0, 2]]])
    labels = cluster(rows, clusterer, cannot_link=pairs, max_exact=60 if reduced else 3000)
    if len(set(labels)) >= 3:
        assert shared(labels, pairs) == 0
    if noise < 1:
        assert same_partition(labels, truth)


def test_too_few_speakers_share_as_little_as_can_be(clusterer):
    unit, pairs = unit_rows(6), chunks([3, 3])
    assert set(cluster(unit, clusterer, SpeakerCount.of(1), cannot_link=pairs)) == {0}
    labels = cluster(unit, clusterer, SpeakerCount.of(2), cannot_link=pairs)
    assert set(labels) == {0, 1} and shared(labels, pairs) == 2


def test_short_rows_that_join_later_are_kept_apart(clusterer):
    rows, truth = voices([30, 30], noise=0.3)
    first, second = np.flatnonzero(truth == 0)[:10], np.flatnonzero(truth == 0)[10:20]
    decides = np.ones(60, bool)
    decides[second] = False
    pairs = np.stack([first, second], axis=1)
    labels = cluster(rows, clusterer, SpeakerCount.of(2), decides=decides, cannot_link=pairs)
    assert shared(labels, pairs) == 0


def test_rows_that_cannot_be_compared_take_their_pairs_along(clusterer):
    rows, truth = voices([20, 20])
    rows[3] = np.nan
    others = np.flatnonzero(truth != truth[5])
    pairs = np.array([[3, 5], [5, others[0] if others[0] != 3 else others[1]]])
    labels = cluster(rows, clusterer, cannot_link=pairs)
    assert labels[3] == -1 and shared(labels, pairs) == 0


def test_no_pairs_change_nothing(clusterer):
    rows, _ = voices([30, 20, 10], noise=1.0)
    for none in (None, [], np.empty((0, 2), np.int64)):
        np.testing.assert_array_equal(
            cluster(rows, clusterer, cannot_link=none), cluster(rows, clusterer)
        )


@pytest.mark.parametrize(
    "pairs", [[[0, 0]], [[0, 9]], [[-1, 2]], [0, 1], [[0.5, 1.0]], [[0, 1, 2]]]
)
def test_what_are_no_pairs_of_rows_is_refused(pairs):
    with pytest.raises(ValueError, match="cannot_link"):
        cluster(unit_rows(9), Agglomerative(), cannot_link=pairs)


def test_the_repair_takes_the_best_places_and_leaves_others_alone():
    unit = np.eye(3)[[0, 0, 1, 2, 0, 1]] + [[0, 0, 0], [0.1, 0.4, 0], *[[0, 0, 0]] * 4]
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    labels = np.array([0, 0, 1, 2, 0, 1])
    assert keep_apart(unit, labels, np.array([[0, 1]])).tolist() == [0, 1, 1, 2, 0, 1]
    assert keep_apart(unit, labels, np.array([[0, 1], [1, 2]])).tolist()[3:] == [2, 0, 1]
    noise = np.array([0, -1, 1, 2, 0, 1])
    np.testing.assert_array_equal(keep_apart(unit, noise, np.array([[0, 1]])), noise)


@given(st.lists(st.integers(1, 4), min_size=3, max_size=30), st.integers(4, 8), st.integers(0, 999))
@settings(max_examples=60, deadline=None)
def test_the_repair_leaves_no_pair_together_where_there_is_room(sizes, K, seed):
    N, pairs = sum(sizes), chunks(sizes)
    labels = np.random.default_rng(seed).integers(-1, K, size=max(N, K))
    labels[:K] = np.arange(K)
    fixed = keep_apart(unit_rows(len(labels), seed), labels, pairs)
    assert not (shared(fixed[:N], pairs) - ((fixed[pairs] < 0).all(axis=1)).sum())
    assert ((fixed < 0) == (labels < 0)).all() and set(fixed) <= set(labels)


@pytest.mark.parametrize("length", [5, 40, 41])
def test_a_chain_of_pairs_longer_than_the_clusters_is_parted(length):
    """Two colours are enough for a path of any length."""
    unit = unit_rows(length, 3, D=2)
    pairs = np.stack([np.arange(length - 1), np.arange(1, length)], axis=1)
    fixed = keep_apart(unit, np.random.default_rng(0).integers(0, 2, size=length), pairs)
    assert shared(fixed, pairs) == 0


def test_reduction_puts_no_pair_into_one_group():
    rows, _ = voices([900, 700], noise=0.3)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    pairs = chunks([2] * 800)
    group = reduce_rows(unit, 400, pairs)
    assert group.max() < 400 and shared(group, pairs) == 0
    assert reduce_rows(unit, 1, pairs).max() == 0  # the limit comes first


def test_groups_with_a_pair_are_not_joined_however_alike():
    rows, truth = voices([30, 30], noise=0.5)
    rows[truth == 1] = rows[truth == 0]
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    assert set(merge_alike(unit, truth, 0.7)) == {0}
    pair = np.array([[np.flatnonzero(truth == 0)[0], np.flatnonzero(truth == 1)[-1]]])
    assert same_partition(merge_alike(unit, truth, 0.7, pair), truth)


def test_pairs_are_renumbered():
    chosen = np.array([True, False, True, True])
    assert among(np.array([[0, 2], [1, 3], [3, 2]]), chosen).tolist() == [[0, 1], [2, 1]]
    group = np.array([0, 0, 2, 1, -1])
    found = between_groups(np.array([[0, 1], [2, 0], [1, 2], [3, 2], [4, 0]]), group)
    assert found.tolist() == [[0, 2], [1, 2]]


def test_joined_groups_may_not_meet_whom_one_of_them_may_not():
    rows, _ = voices([20], noise=0.3)
    unit = np.tile(rows / np.linalg.norm(rows, axis=1, keepdims=True), (3, 1))
    labels = np.repeat([0, 1, 2], 20)
    joined = merge_alike(unit, labels, 0.7, np.array([[25, 45]]))
    assert same_partition(joined, labels == 2)


def test_two_odd_groups_that_may_not_meet_do_not_go_to_one():
    means = np.array([[1.0, 0.0], [0.9, 0.1], [0.9, -0.1]])
    sizes, pair = np.array([10, 1, 1]), np.array([[1, 2]])
    assert reduction._odd(means, sizes, 1, pair[:0]).tolist() == [0, 0, 0]
    assert reduction._odd(means, sizes, 1, pair).tolist() == [0, 0, 1]
