"""Agglomerative clustering of windows that do not overlap, of one speaker each."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage

from diarize.clustering import CLUSTERERS
from diarize.clustering.agglomerative import Agglomerative, AgglomerativeConfig
from diarize.clustering.api import SpeakerCount, cluster
from diarize.clustering.base import Clusterer
from diarize.clustering.count_estimation import pair_threshold
from tests.contracts.test_clusterers import same_partition, voices

SURPLUS = AgglomerativeConfig(count_by="surplus")


@pytest.mark.parametrize("modelled", [True, False])
def test_only_settings_that_nobody_chose_are_changed(modelled):
    chosen = Agglomerative(AgglomerativeConfig(merge_ratio=0.6))
    assert chosen.for_speaker_windows(modelled=modelled) is chosen
    found = Agglomerative().for_speaker_windows(modelled=modelled)
    assert type(found) is Agglomerative and found.config != AgglomerativeConfig()
    assert (found.config == SURPLUS) is modelled


@pytest.mark.parametrize("name", CLUSTERERS.names())
def test_every_clusterer_has_one_for_them(name):
    for modelled in (True, False):
        found = CLUSTERERS.load(name)().for_speaker_windows(modelled=modelled)
        assert isinstance(found, Clusterer)
        rows, truth = voices([40, 40], noise=0.3)
        labels = cluster(rows, found)
        assert len(set(labels)) >= 2
        for k in set(labels.tolist()):
            assert len(set(truth[labels == k].tolist())) == 1


def test_few_windows_are_a_speaker_where_windows_do_not_overlap():
    rows, truth = voices([30, 30, 3], noise=0.3)
    assert len(set(cluster(rows, Agglomerative()))) == 2
    found = cluster(rows, Agglomerative().for_speaker_windows(modelled=False))
    assert same_partition(found, truth)


def test_a_single_odd_window_is_a_speaker_only_for_a_model_to_judge():
    rows, truth = voices([30, 30, 1], noise=0.3)
    without = cluster(rows, Agglomerative().for_speaker_windows(modelled=False))
    assert same_partition(without[truth < 2], truth[truth < 2]) and len(set(without)) == 2
    assert same_partition(cluster(rows, Agglomerative(SURPLUS)), truth)


@pytest.mark.parametrize("seed", range(4))
def test_surplus_is_the_cut_where_pairs_part_and_nothing_after_it(seed):
    rows, _ = voices([40, 30, 20, 3, 1], noise=1.5, seed=seed)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    tree = linkage(unit, method="average", metric="cosine")
    expected = fcluster(tree, t=1 - pair_threshold(unit), criterion="distance")
    assert len(set(expected)) > len(set(cluster(rows, Agglomerative())))
    assert same_partition(cluster(rows, Agglomerative(SURPLUS)), expected)


def test_bounds_are_obeyed_all_the_same():
    rows, _ = voices([30, 20, 10], noise=1.2)
    for K in (1, 2, 3, 7):
        assert len(set(cluster(rows, Agglomerative(SURPLUS), SpeakerCount.of(K)))) == K
    assert len(set(cluster(rows, Agglomerative(SURPLUS), SpeakerCount.of(maximum=2)))) == 2


def test_two_windows_decide_without_the_short_ones():
    """Of two full windows and a short one that is like neither: two speakers, or one, but not the
    short one's."""
    rows = np.eye(8)[[0, 1, 2]]
    labels = cluster(rows, Agglomerative(SURPLUS), decides=np.array([True, True, False]))
    assert len(set(labels)) == len(set(labels[:2]))
