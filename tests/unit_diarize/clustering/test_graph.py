"""Neighbours, merging along them, and the generator that they are measured with."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scipy.cluster.hierarchy import linkage

from diarize.clustering.api import SpeakerCount, cluster
from diarize.clustering.graph import Graph, GraphConfig
from diarize.clustering.linkage import nearest_neighbours as neighbours
from diarize.clustering.linkage import sparse_linkage as merging
from diarize.clustering.linkage.average_linkage import cut_tree
from diarize.clustering.linkage.nearest_neighbours import nearest_neighbours
from diarize.clustering.linkage.sparse_linkage import merge_graph, merge_groups
from diarize.clustering.synthetic_embeddings import synthetic_voices
from encoder.errors import ConfigError
from tests.contracts.test_clusterers import same_partition


def exact(rows, min_similarity):
    tree = linkage(rows.astype(np.float64), method="average", metric="cosine")
    return cut_tree(tree, int((tree[:, 2] > 1 - min_similarity).sum()) + 1)


def overlap(found, expected):
    """The share of the expected neighbours that were found."""
    same = [len(set(f) & set(e)) for f, e in zip(found.tolist(), expected.tolist(), strict=True)]
    return sum(same) / expected.size


@pytest.mark.parametrize("index", ["brute", "cells"])
def test_neighbours_are_those_of_all_pairs(monkeypatch, index):
    rows, _ = synthetic_voices(1500)
    if index == "cells":
        pytest.importorskip("faiss")
        monkeypatch.setattr(neighbours, "EXACT_ROWS", 10)
    found, products = nearest_neighbours(rows, 10)
    all_products = rows @ rows.T
    np.fill_diagonal(all_products, -2)
    expected = np.argsort(-all_products, axis=1)[:, :10]
    assert found.shape == products.shape == (1500, 10)
    assert (found != np.arange(1500)[:, None]).all()
    assert overlap(found, expected) > (0.75 if index == "cells" else 0.9999)
    np.testing.assert_allclose(products, np.take_along_axis(all_products, found, axis=1), atol=2e-3)


@pytest.mark.parametrize("index", ["brute", "cells"])
def test_copies_of_one_row_are_each_others_neighbours(monkeypatch, capfd, index):
    rows = np.tile(np.eye(4, dtype=np.float32)[0], (60, 1))
    if index == "cells":
        pytest.importorskip("faiss")
        monkeypatch.setattr(neighbours, "EXACT_ROWS", 10)
    found, products = nearest_neighbours(rows, 7)
    assert (found != np.arange(60)[:, None]).all()
    assert all(len(set(row)) == 7 for row in found.tolist())
    np.testing.assert_allclose(products, 1, atol=1e-3)
    assert "".join(capfd.readouterr()) == ""  # nor does the library behind it print


@pytest.mark.parametrize(("N", "k", "width"), [(0, 3, 0), (1, 3, 0), (2, 3, 1), (5, 9, 4)])
def test_there_are_no_more_neighbours_than_rows(N, k, width):
    rows, _ = synthetic_voices(max(N, 1))
    found, products = nearest_neighbours(rows[:N], k)
    assert found.shape == products.shape == (N, width)
    assert all(sorted({*row, i}) == list(range(N)) for i, row in enumerate(found.tolist()) if width)


@pytest.mark.parametrize("min_similarity", [-1.0, 0.2, 0.35, 0.45, 0.6, 0.9])
@pytest.mark.parametrize("seed", [0, 1])
def test_with_all_pairs_it_is_average_linkage(seed, min_similarity):
    rows, _ = synthetic_voices(300, seed=seed)
    labels = merge_graph(rows, neighbours=299, min_similarity=min_similarity)
    assert same_partition(labels, exact(rows, min_similarity))


def test_pairs_that_the_first_lookup_missed_are_found_later():
    """One speaker of 200 clips, and each looks at three others only."""
    rows, speakers = synthetic_voices(4000, seed=1)
    own = rows[speakers == np.bincount(speakers).argmax()][:200]
    few = merge_graph(own, neighbours=3, min_similarity=0.3)
    assert same_partition(few, exact(own, 0.3))


@pytest.mark.parametrize("target", [1, 5, 60, 299])
def test_merging_stops_at_the_target_with_the_most_similar_merges_made(target):
    rows, _ = synthetic_voices(300)
    tree = linkage(rows.astype(np.float64), method="average", metric="cosine")
    labels = merge_groups(rows, np.ones(300), np.arange(300), neighbours=299, target=target)
    assert same_partition(labels, cut_tree(tree, target))


@pytest.mark.parametrize("copies", [1, 700])
def test_rows_that_are_all_alike_merge_in_few_rounds(monkeypatch, copies):
    rounds = []
    mutual = merging._mutual
    monkeypatch.setattr(merging, "_mutual", lambda *a: rounds.append(1) or mutual(*a))
    rows = np.repeat(np.linalg.qr(np.ones((4, 4)) + 9 * np.eye(4))[0], copies, axis=0)
    labels = merge_graph(rows, neighbours=20, min_similarity=-0.5)
    assert set(labels) == {0}
    assert len(rounds) < 5


def test_copies_count_as_often_as_they_occur():
    """Ten copies of one clip outweigh a clip between them and a stranger."""
    rows = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
    many = np.repeat(rows, [10, 1, 1], axis=0)
    for some in (rows, many):
        assert same_partition(
            merge_graph(some, neighbours=len(some) - 1, min_similarity=0.3), exact(some, 0.3)
        )
    assert len(set(merge_graph(rows, neighbours=2, min_similarity=0.3))) == 1
    assert len(set(merge_graph(many, neighbours=11, min_similarity=0.3))) == 2


@pytest.mark.parametrize("index", ["brute", "cells"])
def test_a_folder_with_one_offs_comes_out_as_with_all_pairs(monkeypatch, index):
    """Pairs put together rightly or wrongly: within a point of exact average linkage."""
    rows, speakers = synthetic_voices(2500, seed=3)
    if index == "cells":
        pytest.importorskip("faiss")
        for module in (neighbours, merging):
            monkeypatch.setattr(module, "EXACT_ROWS", 500)
    labels = cluster(rows, Graph.for_clips(0.45), noise="own")
    assert pair_f(speakers, labels) > pair_f(speakers, exact(rows, 0.45)) - 0.01
    np.testing.assert_array_equal(labels, cluster(rows, Graph.for_clips(0.45), noise="own"))


def pair_f(truth, labels):
    def pairs(codes):
        _, sizes = np.unique(codes, return_counts=True)
        return (sizes * (sizes - 1)).sum()

    together = pairs(truth * (labels.max() + 1) + labels)
    return 2 * together / (pairs(truth) + pairs(labels))


@pytest.mark.parametrize("told", [40, 3000])
def test_a_told_number_far_from_the_found_one_is_obeyed(told):
    rows, _ = synthetic_voices(4000, seed=3)
    labels = cluster(rows, Graph.for_clips(0.45), SpeakerCount.of(told), noise="own")
    assert set(labels) == set(range(told))


def test_without_faiss_many_rows_ask_for_it_and_few_do_not_need_it():
    script = (
        "import sys; sys.modules['faiss'] = None\n"
        "from diarize.clustering.linkage import nearest_neighbours as neighbours\n"
        "from diarize.clustering.synthetic_embeddings import synthetic_voices\n"
        "from encoder.errors import BackendUnavailable\n"
        "rows, _ = synthetic_voices(200)\n"
        "print(neighbours.nearest_neighbours(rows, 3)[0].shape)\n"
        "neighbours.EXACT_ROWS = 100\n"
        "try: neighbours.nearest_neighbours(rows, 3)\n"
        "except BackendUnavailable as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.startswith("(200, 3)\nmore than 100 rows need faiss")
    assert "deepspeaker-diarize[large]" in done.stdout


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"neighbours": 0}, "neighbours is 0"),
        ({"min_similarity": 2.0}, "min_similarity is 2.0"),
        ({"min_cluster_share": 1.0}, "min_cluster_share is 1.0"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, says):
    with pytest.raises(ConfigError, match=says):
        GraphConfig(**settings)


def test_the_generator_is_what_it_says():
    rows, speakers = synthetic_voices(4000, seed=1)
    again, _ = synthetic_voices(4000, seed=1)
    np.testing.assert_array_equal(rows, again)
    assert rows.dtype == np.float32 and rows.shape == (4000, 256)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    a, b = np.triu_indices(4000, k=1)
    cosines, same = (rows @ rows.T)[a, b], speakers[a] == speakers[b]
    assert cosines[same].mean() == pytest.approx(0.65, abs=0.03)
    assert cosines[same].std() == pytest.approx(0.14, abs=0.02)
    assert cosines[~same].mean() == pytest.approx(0.11, abs=0.03)
    assert cosines[~same].std() == pytest.approx(0.13, abs=0.02)
    sizes = np.bincount(speakers)
    assert 0.5 < (sizes == 1).mean() < 0.65
    assert 100 < sizes.max() <= 2000
