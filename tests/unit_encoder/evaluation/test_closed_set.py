"""Whose voice of all: ranks against loops, who enrolls, and what is too little."""

import numpy as np
import pytest

from encoder.errors import CorpusError
from encoder.evaluation.closed_set import closed_set_ranks, draw_enrollments


@pytest.mark.parametrize("seed", range(4))
def test_ranks_against_loops(seed):
    rng = np.random.default_rng(seed)
    speakers = [f"s{k}" for k in rng.permutation(np.repeat(np.arange(7), 4))]
    vectors = rng.normal(size=(28, 3))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    enroll, test = draw_enrollments(speakers, enrollment=2, seed=seed)
    told = closed_set_ranks(vectors, speakers, enroll, test)
    names = sorted(set(speakers))
    for row, rank, number in zip(test, told.ranks, told.speakers, strict=True):
        likes = {}
        for name in names:
            own = [vectors[e] for e in enroll if speakers[e] == name]
            mean = sum(own)
            likes[name] = float(vectors[row] @ mean / np.sqrt(mean @ mean))
        better = [n for n in names if likes[n] > likes[speakers[row]] + 1e-12]
        assert rank == 1 + len(better) and names[number] == speakers[row]
    assert told.enrolled == 7 and len(told.ranks) == 14
    assert told.top(1) == np.mean(told.ranks == 1) and told.top(7) == 1
    right, total = told.by_speaker(2)
    assert right.sum() / total.sum() == told.top(2) and total.tolist() == [2] * 7


def test_a_collapsed_network_tells_nobody():
    speakers = ["a", "a", "b", "b", "c", "c"]
    told = closed_set_ranks(np.ones((6, 2)), speakers, [0, 2, 4], [1, 3, 5])
    assert told.ranks.tolist() == [3, 3, 3]


def test_who_enrolls_and_who_is_told():
    speakers = np.array(["a"] * 5 + ["b"] * 2 + ["c"] + ["d"] * 4)
    sessions = np.array([0, 0, 0, 1, 2] + [3, 4] + [5] + [6] * 4)
    for seed in range(10):
        enroll, test = draw_enrollments(speakers, sessions, enrollment=2, seed=seed)
        assert [(speakers[enroll] == name).sum() for name in "abcd"] == [2, 2, 0, 2]
        assert not set(enroll) & set(test)
        assert set(speakers[test]) == {"a", "d"}  # b has no more, c not enough
        assert (speakers[test] == "d").sum() == 2  # all of one session: it is told all the same
        of_a = [row for row in enroll if row < 5]
        assert not set(sessions[of_a]) & set(sessions[[row for row in test if row < 5]])
    one, same = (draw_enrollments(speakers, sessions, seed=3) for _ in range(2))
    assert (one[0] == same[0]).all() and (one[1] == same[1]).all()


def test_too_little():
    with pytest.raises(CorpusError, match="too few to enroll two speakers with 2"):
        draw_enrollments(["a", "a", "a", "b"], enrollment=2)
    with pytest.raises(CorpusError, match="too few"):
        draw_enrollments(["a", "a", "b", "b"], enrollment=2)
    with pytest.raises(CorpusError, match="'b' is tested but not enrolled"):
        closed_set_ranks(np.eye(3), ["a", "b", "a"], [0], [1, 2])
    with pytest.raises(CorpusError, match="'z' is tested but not enrolled"):
        closed_set_ranks(np.eye(3), ["a", "z", "a"], [0], [1, 2])
