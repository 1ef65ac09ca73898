"""Every mining strategy against nested loops."""

import pytest
import torch

from encoder.errors import ConfigError
from encoder.mining import STRATEGIES, mine_triplets


def batch(seed):
    """Embeddings (N, D), speakers (N,), takes (N,) of random shape and structure."""
    g = torch.Generator().manual_seed(seed)
    N, K = (int(torch.randint(2, high, (), generator=g)) for high in (12, 6))
    embeddings = torch.nn.functional.normalize(torch.randn(N, 3, generator=g), dim=1)
    speakers = torch.randint(K, (N,), generator=g)
    return embeddings, speakers, torch.randint(3, (N,), generator=g)


def pairs_by_loops(speakers, takes=None):
    N, found = len(speakers), []
    for a in range(N):
        if all(speakers[n] == speakers[a] for n in range(N)):
            continue
        same = [p for p in range(N) if p != a and speakers[p] == speakers[a]]
        elsewhere = [p for p in same if takes is not None and takes[p] != takes[a]]
        found += [(a, p) for p in (elsewhere or same)]
    return found


def negative_by_loops(strategy, embeddings, speakers, a, p):
    similarity = {
        n: float(embeddings[a] @ embeddings[n])
        for n in range(len(speakers))
        if speakers[n] != speakers[a]
    }
    if strategy == "hard":
        return max(similarity, key=similarity.get)
    positive = float(embeddings[a] @ embeddings[p])
    below = {n: s for n, s in similarity.items() if s < positive}
    return max(below, key=below.get) if below else min(similarity, key=similarity.get)


@pytest.mark.parametrize("with_takes", [False, True])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_against_nested_loops(strategy, with_takes):
    seen = 0
    for seed in range(60):
        embeddings, speakers, takes = batch(seed)
        takes = takes if with_takes else None
        got = mine_triplets(embeddings, speakers, strategy=strategy, takes=takes)
        a, p, n = (rows.tolist() for rows in got)
        assert list(zip(a, p, strict=True)) == pairs_by_loops(speakers, takes)
        assert all(rows.dtype == torch.int64 for rows in got)
        assert all(speakers[i] != speakers[j] for i, j in zip(a, n, strict=True))
        if strategy != "random":
            expected = [
                negative_by_loops(strategy, embeddings, speakers, i, j)
                for i, j in zip(a, p, strict=True)
            ]
            assert n == expected
        seen += len(a)
    assert seen > 500


def test_strategies_differ():
    embeddings, speakers, _ = batch(3)
    mined = [
        mine_triplets(embeddings, speakers, strategy=s).negatives.tolist()
        for s in ("hard", "semi-hard")
    ]
    assert mined[0] != mined[1]


def test_random_reaches_every_other_speaker_and_follows_its_generator():
    embeddings, speakers = torch.eye(8), torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])

    def draw(seed):
        g = torch.Generator().manual_seed(seed)
        return mine_triplets(embeddings, speakers, strategy="random", generator=g).negatives

    assert torch.equal(draw(5), draw(5))
    reached = {int(draw(seed)[0]) for seed in range(200)}
    assert reached == {2, 3, 4, 5, 6, 7}


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(
    "speakers", [[], [4], [0, 0, 0], [0, 1, 2]], ids=["empty", "one", "one-speaker", "singles"]
)
def test_no_triplet_is_an_empty_result(strategy, speakers):
    speakers = torch.tensor(speakers, dtype=torch.int64)
    got = mine_triplets(torch.randn(len(speakers), 3), speakers, strategy=strategy)
    assert [rows.shape for rows in got] == [(0,)] * 3
    assert all(rows.dtype == torch.int64 for rows in got)


def test_takes_by_hand():
    speakers = torch.tensor([0, 0, 0, 1, 1])
    takes = torch.tensor([7, 7, 8, 9, 9])  # speaker 1 has one recording only: its pairs stay
    a, p, _ = mine_triplets(torch.randn(5, 3), speakers, takes=takes)
    pairs = list(zip(a.tolist(), p.tolist(), strict=True))
    assert pairs == [(0, 2), (1, 2), (2, 0), (2, 1), (3, 4), (4, 3)]


def test_mining_leaves_no_trace_in_the_gradient():
    embeddings = torch.randn(4, 3, requires_grad=True)
    negatives = mine_triplets(embeddings, torch.tensor([0, 0, 1, 1])).negatives
    assert not negatives.requires_grad


def test_unknown_strategy():
    with pytest.raises(ConfigError, match="'hardest': choose one of random, hard, semi-hard"):
        mine_triplets(torch.eye(2), torch.tensor([0, 1]), strategy="hardest")
