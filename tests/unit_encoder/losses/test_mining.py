"""Every mining strategy against nested loops."""

import pytest
import torch

from encoder.errors import ConfigError
from encoder.losses.mining import STRATEGIES, mine_triplets


def batch(seed):
    """Embeddings (N, D), speakers (N,), sessions (N,) of random shape and structure."""
    g = torch.Generator().manual_seed(seed)
    N, K = (int(torch.randint(2, high, (), generator=g)) for high in (12, 6))
    embeddings = torch.nn.functional.normalize(torch.randn(N, 3, generator=g), dim=1)
    speakers = torch.randint(K, (N,), generator=g)
    return embeddings, speakers, torch.randint(3, (N,), generator=g)


def pairs_by_loops(speakers, sessions=None):
    N, found = len(speakers), []
    for a in range(N):
        if all(speakers[n] == speakers[a] for n in range(N)):
            continue
        same = [p for p in range(N) if p != a and speakers[p] == speakers[a]]
        elsewhere = [p for p in same if sessions is not None and sessions[p] != sessions[a]]
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


@pytest.mark.parametrize("with_sessions", [False, True])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_against_nested_loops(strategy, with_sessions):
    seen = 0
    for seed in range(60):
        embeddings, speakers, sessions = batch(seed)
        sessions = sessions if with_sessions else None
        got = mine_triplets(embeddings, speakers, strategy=strategy, sessions=sessions)
        a, p, n = (rows.tolist() for rows in got)
        assert list(zip(a, p, strict=True)) == pairs_by_loops(speakers, sessions)
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


def pool_of(seed, speakers):
    """Embeddings (H, D) and speakers (H,); some of the batch, some strangers; H may be 0."""
    g = torch.Generator().manual_seed(1000 + seed)
    H = int(torch.randint(0, 9, (), generator=g))
    embeddings = torch.nn.functional.normalize(torch.randn(H, 3, generator=g), dim=1)
    return embeddings, torch.randint(-2, int(speakers.max()) + 3, (H,), generator=g)


def with_pool_by_loops(strategy, embeddings, speakers, sessions, pool):
    """(anchor, positive, the negatives allowed) of every triplet."""
    everything, names = torch.cat([embeddings, pool[0]]), torch.cat([speakers, pool[1]])
    found = []
    for a in range(len(speakers)):
        others = [n for n in range(len(names)) if names[n] != speakers[a]]
        same = [p for p in range(len(speakers)) if p != a and speakers[p] == speakers[a]]
        elsewhere = [p for p in same if sessions is not None and sessions[p] != sessions[a]]
        for p in elsewhere or same:
            if not others:
                continue
            similar = {n: float(everything[a] @ everything[n]) for n in others}
            below = [n for n in others if similar[n] < float(everything[a] @ everything[p])]
            if strategy == "random":
                found.append((a, p, others))
            elif strategy == "hard":
                found.append((a, p, [max(others, key=similar.get)]))
            elif below:
                found.append((a, p, [max(below, key=similar.get)]))
            else:
                found.append((a, p, [min(others, key=similar.get)]))
    return found


@pytest.mark.parametrize("with_sessions", [False, True])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_negatives_from_a_pool_against_nested_loops(strategy, with_sessions):
    from_pool, more_than_without = 0, 0
    for seed in range(60):
        embeddings, speakers, sessions = batch(seed)
        pool = pool_of(seed, speakers)
        more = {"sessions": sessions if with_sessions else None, "strategy": strategy}
        a, p, n = (rows.tolist() for rows in mine_triplets(embeddings, speakers, pool=pool, **more))
        expected = with_pool_by_loops(strategy, embeddings, speakers, more["sessions"], pool)
        assert list(zip(a, p, strict=True)) == [(i, j) for i, j, _ in expected]
        assert all(k in allowed for k, (_, _, allowed) in zip(n, expected, strict=True))
        from_pool += sum(k >= len(speakers) for k in n)
        more_than_without += len(a) - len(mine_triplets(embeddings, speakers, **more).anchors)
    assert (
        from_pool > 100
    )  # both kinds of negatives were met, and anchors that only the pool serves
    assert more_than_without > 0


def test_a_pool_by_hand():
    embeddings = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    speakers = torch.tensor([5, 5])
    pool = (torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.8, 0.6]]), torch.tensor([5, 6, 7]))
    got = mine_triplets(embeddings, speakers, strategy="hard", pool=pool)
    # The nearest of the pool to row 0 is of its own speaker; rows 2, 3, 4 are the pool.
    assert [rows.tolist() for rows in got] == [[0, 1], [1, 0], [4, 4]]
    got = mine_triplets(embeddings, speakers, strategy="semi-hard", pool=pool)
    assert got.negatives.tolist() == [3, 3]  # 0.8 and 0.96 are above the positive's 0.6


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_an_empty_pool_changes_nothing(strategy):
    embeddings, speakers, sessions = batch(3)
    empty = (torch.empty(0, 3), torch.empty(0, dtype=torch.int64))
    got = [
        mine_triplets(
            embeddings, speakers, strategy=strategy, sessions=sessions, pool=pool,
            generator=torch.Generator().manual_seed(1),
        )
        for pool in (None, empty)
    ]  # fmt: skip
    assert all(torch.equal(one, other) for one, other in zip(*got, strict=True))


def test_random_draws_from_batch_and_pool_alike():
    embeddings, speakers = torch.eye(4), torch.tensor([0, 0, 1, 2])
    pool = (torch.eye(4)[:3], torch.tensor([3, 0, 4]))
    reached = {
        int(mine_triplets(
            embeddings, speakers, strategy="random", pool=pool,
            generator=torch.Generator().manual_seed(seed),
        ).negatives[0])
        for seed in range(100)
    }  # fmt: skip
    assert reached == {2, 3, 4, 6}


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
    sessions = torch.tensor([7, 7, 8, 9, 9])  # speaker 1 has one recording only: its pairs stay
    a, p, _ = mine_triplets(torch.randn(5, 3), speakers, sessions=sessions)
    pairs = list(zip(a.tolist(), p.tolist(), strict=True))
    assert pairs == [(0, 2), (1, 2), (2, 0), (2, 1), (3, 4), (4, 3)]


def test_mining_leaves_no_trace_in_the_gradient():
    embeddings = torch.randn(4, 3, requires_grad=True)
    negatives = mine_triplets(embeddings, torch.tensor([0, 0, 1, 1])).negatives
    assert not negatives.requires_grad


def test_unknown_strategy():
    with pytest.raises(ConfigError, match="'hardest': choose one of random, hard, semi-hard"):
        mine_triplets(torch.eye(2), torch.tensor([0, 1]), strategy="hardest")
