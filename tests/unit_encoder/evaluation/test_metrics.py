"""Error rates against scikit-learn, brute force and loops."""

import itertools

import numpy as np
import pytest
from sklearn.metrics import roc_curve

from encoder.errors import ConfigError, CorpusError
from encoder.evaluation.metrics import eer, min_dcf, most_similar
from encoder.evaluation.trials import drawn_pairs, pair_similarities, verification_trials


def trials(seed, *, ties):
    rng = np.random.default_rng(seed)
    truth = rng.random(rng.integers(4, 60)) < rng.uniform(0.2, 0.8)
    truth[:2] = True, False
    scores = rng.normal(size=len(truth)) + rng.uniform(-0.5, 2) * truth
    return (np.round(scores * 2) / 2 if ties else scores), truth


def crossing(false_accept, false_reject):
    """Where the polyline of operating points meets the diagonal: bisection on each segment."""
    points = list(zip(false_accept, false_reject, strict=True))
    for (a0, r0), (a1, r1) in itertools.pairwise(points):
        if (r0 - a0) * (r1 - a1) <= 0:
            low, high = 0.0, 1.0
            rising = (r1 - a1) >= (r0 - a0)
            for _ in range(60):
                mid = (low + high) / 2
                gap = (r0 + mid * (r1 - r0)) - (a0 + mid * (a1 - a0))
                low, high = (mid, high) if (gap < 0) == rising else (low, mid)
            return a0 + low * (a1 - a0)
    raise AssertionError("the curves do not cross")


def rates_at(scores, truth, threshold):
    accepted = scores >= threshold
    return float(accepted[~truth].mean()), float((~accepted)[truth].mean())


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(25))
def test_eer_three_ways(seed, ties):
    scores, truth = trials(seed, ties=ties)
    accept, found, _ = roc_curve(truth, scores, drop_intermediate=False)
    assert eer(scores, truth).rate == pytest.approx(crossing(accept, 1 - found), abs=1e-9)
    thresholds = [*sorted(set(scores)), np.inf]
    brute = np.array([rates_at(scores, truth, t) for t in thresholds])
    assert eer(scores, truth).rate == pytest.approx(crossing(*brute.T), abs=1e-9)


@pytest.mark.parametrize("seed", range(25))
def test_the_threshold_is_the_best_balanced_one(seed):
    scores, truth = trials(seed, ties=bool(seed % 2))
    gaps = [abs(np.subtract(*rates_at(scores, truth, t))) for t in sorted(set(scores))]
    accept, reject = rates_at(scores, truth, eer(scores, truth).threshold)
    assert abs(accept - reject) == pytest.approx(min(gaps), abs=1e-9)


@pytest.mark.parametrize(
    ("scores", "truth", "rate"),
    [
        ([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1], 0.0),
        ([0.1, 0.2, 0.8, 0.9], [1, 1, 0, 0], 1.0),
        ([0.3, 0.3, 0.3], [0, 1, 0], 0.5),
        ([0.1, 0.6, 0.5, 0.9], [0, 0, 1, 1], 0.5),
        ([0.1, 0.2, 0.7, 0.4, 0.8, 0.9], [0, 0, 0, 1, 1, 1], 1 / 3),
    ],
)
def test_eer_by_hand(scores, truth, rate):
    assert eer(np.array(scores), np.array(truth, bool)).rate == pytest.approx(rate)


def test_perfect_separation_has_a_threshold_that_separates():
    scores, truth = np.array([0.1, 0.2, 0.8, 0.9]), np.array([0, 0, 1, 1], bool)
    assert rates_at(scores, truth, eer(scores, truth).threshold) == (0.0, 0.0)


def test_eer_keeps_under_increasing_maps():
    scores, truth = trials(7, ties=True)
    assert eer(np.exp(3 * scores), truth).rate == pytest.approx(eer(scores, truth).rate)
    assert eer(-scores, ~truth).rate == pytest.approx(eer(scores, truth).rate)


@pytest.mark.parametrize(
    ("scores", "truth", "words"),
    [
        ([], [], "0 same-speaker, 0 different-speaker"),
        ([0.1, 0.2], [True, True], "2 same-speaker, 0 different-speaker"),
        ([0.1, 0.2], [False, False], "0 same-speaker, 2 different-speaker"),
        ([0.1, np.nan], [True, False], "1 of 2 scores are not numbers"),
    ],
)
def test_eer_errors(scores, truth, words):
    with pytest.raises(CorpusError, match=words):
        eer(np.array(scores), np.array(truth, bool))


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(25))
def test_min_dcf_by_trying_every_threshold(seed, ties):
    scores, truth = trials(seed, ties=ties)
    prior, miss, false_alarm = (0.01, 1.0, 1.0) if seed % 2 else (0.3, 10.0, 2.0)
    costs = []
    for threshold in [*sorted(set(scores)), np.inf]:
        accepted_others, rejected_targets = rates_at(scores, truth, threshold)
        cost = miss * prior * rejected_targets + false_alarm * (1 - prior) * accepted_others
        costs.append(cost)
    blind = min(miss * prior, false_alarm * (1 - prior))  # accept nothing, or accept everything
    found = min_dcf(scores, truth, p_target=prior, c_miss=miss, c_false_alarm=false_alarm)
    assert found == pytest.approx(min(costs) / blind, abs=1e-12)
    assert 0 <= found <= 1


@pytest.mark.parametrize(
    ("scores", "truth", "prior", "cost"),
    [
        ([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1], 0.01, 0.0),
        ([0.1, 0.2, 0.8, 0.9], [1, 1, 0, 0], 0.01, 1.0),  # better blind than this
        ([0.5, 0.5, 0.5], [0, 1, 0], 0.01, 1.0),  # a tie cannot be split
        # Accept from 0.9: one target of two missed, no false alarm.
        ([0.1, 0.6, 0.5, 0.9], [0, 0, 1, 1], 0.01, 0.5),
        # Prior 0.9, blind cost 0.1. Accept from 0.5: no miss, one of two others: 0.1 * 0.5 / 0.1.
        ([0.1, 0.6, 0.5, 0.9], [0, 0, 1, 1], 0.9, 0.5),
        # One other of four above one target of four; prior 0.2. Accept from 0.5: miss 1/4, no false
        # alarm: 0.2 / 4 / 0.2.
        ([0.0, 0.1, 0.2, 0.4, 0.3, 0.5, 0.6, 0.7], [0, 0, 0, 0, 1, 1, 1, 1], 0.2, 0.25),
    ],
)
def test_min_dcf_by_hand(scores, truth, prior, cost):
    found = min_dcf(np.array(scores), np.array(truth, bool), p_target=prior)
    assert found == pytest.approx(cost)


def test_min_dcf_errors():
    with pytest.raises(CorpusError, match="0 same-speaker, 1 different-speaker"):
        min_dcf(np.array([0.5]), np.array([False]))
    for wrong in ({"p_target": 1.0}, {"c_miss": 0.0}, {"c_false_alarm": -1.0}):
        with pytest.raises(ConfigError, match="give a prior between 0 and 1"):
            min_dcf(np.array([0.5, 0.6]), np.array([False, True]), **wrong)


@pytest.mark.parametrize("seed", range(5))
def test_the_most_similar_by_loops(seed):
    rng = np.random.default_rng(seed)
    anchors, candidates = rng.normal(size=(20, 3)), rng.normal(size=(20, 4, 3))
    correct = rng.integers(4, size=20)
    right = 0
    for n in range(20):
        similarities = [sum(anchors[n] * candidates[n, c]) for c in range(4)]
        right += similarities.index(max(similarities)) == correct[n]
    assert 0 < right < 20
    assert most_similar(anchors, candidates, correct).mean() == pytest.approx(right / 20)


def test_a_collapsed_network_identifies_nobody():
    anchors, candidates = np.ones((5, 2)), np.ones((5, 100, 2))
    assert not most_similar(anchors, candidates, np.zeros(5, int)).any()


def test_verification_trials_are_all_pairs():
    vectors = np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    cosines, same = verification_trials(vectors, np.array([4, 9, 4]))
    np.testing.assert_allclose(cosines, [0.6, 0.0, 0.8])
    assert same.tolist() == [False, True, False]


@pytest.mark.parametrize("counts", [(5, 1, 7, 2), (30, 2), (1, 1, 1, 40)])
def test_drawn_pairs_are_pairs_of_each_kind_once(counts):
    speakers = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    same = sum(n * (n - 1) // 2 for n in counts)
    for most in (10, 40, 100_000):
        first, second = drawn_pairs(speakers, most, seed=1)
        pairs = {frozenset(pair) for pair in zip(first.tolist(), second.tolist(), strict=True)}
        assert len(pairs) == len(first) <= most and all(len(pair) == 2 for pair in pairs)
        alike = int((speakers[first] == speakers[second]).sum())
        if same <= most // 2:
            assert alike == same
        else:
            assert 0 < alike <= most // 2
    total = len(speakers) * (len(speakers) - 1) // 2
    assert len(first) == total  # so many draws have met all of them
    again = drawn_pairs(speakers, 40, seed=1)
    assert all(
        (a == b).all() for a, b in zip(again, drawn_pairs(speakers, 40, seed=1), strict=True)
    )
    assert drawn_pairs(speakers, 40, seed=2)[0].tolist() != again[0].tolist()


def test_drawn_pairs_have_the_error_rate_of_all():
    rng = np.random.default_rng(0)
    speakers = np.repeat(np.arange(40), 30)
    vectors = (rng.normal(size=(40, 6))[speakers] + rng.normal(size=(1200, 6))).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    sides = drawn_pairs(speakers, 40_000)
    scores = pair_similarities(vectors, *sides)
    assert scores[7] == pytest.approx(vectors[sides[0][7]] @ vectors[sides[1][7]], abs=1e-6)
    drawn = eer(scores, speakers[sides[0]] == speakers[sides[1]]).rate
    assert drawn == pytest.approx(eer(*verification_trials(vectors, speakers)).rate, abs=0.01)
