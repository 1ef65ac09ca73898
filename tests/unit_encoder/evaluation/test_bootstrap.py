"""Intervals over drawn speakers: by hand, against real repetition of trials, and how often they
hold the truth."""

import itertools

import numpy as np
import pytest

from encoder.errors import CorpusError
from encoder.evaluation.bootstrap import Interval, interval_of, resample_shares, resample_trials
from encoder.evaluation.metrics import eer, min_dcf


def some_trials(seed, *, ties=False, speakers=6, utterances=4):
    rng = np.random.default_rng(seed)
    voices = rng.normal(size=(speakers, 3))
    who = np.repeat(np.arange(speakers), utterances)
    vectors = voices[who] + rng.normal(size=(len(who), 3))
    pairs = list(itertools.combinations(range(len(who)), 2))
    scores = np.array([vectors[i] @ vectors[j] for i, j in pairs])
    a, b = (np.array([f"s{who[pair[side]]}" for pair in pairs]) for side in (0, 1))
    return (np.round(scores) if ties else scores), a == b, a, b


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_against_trials_that_are_really_repeated(seed, ties):
    scores, truth, a, b = some_trials(seed, ties=ties)
    found = resample_trials(scores, truth, (a, b), p_targets=(0.01, 0.3), replicates=20, seed=seed)
    names = np.unique(a)
    rng = np.random.default_rng(seed)
    for number in range(20):
        drawn = rng.integers(len(names), size=len(names))
        times = {name: int((drawn == place).sum()) for place, name in enumerate(names)}
        again = []
        for i in range(len(scores)):
            own = times[a[i]] if truth[i] else times[a[i]] * times[b[i]]
            again += [i] * own
        assert found.eer[number] == pytest.approx(eer(scores[again], truth[again]).rate)
        for prior in (0.01, 0.3):
            cost = min_dcf(scores[again], truth[again], p_target=prior)
            assert found.min_dcf[prior][number] == pytest.approx(cost)


def test_by_hand_two_speakers():
    # A trial of each speaker and one between them: drawn (0, 0) or (1, 1) there is no pair of two.
    scores, truth = np.array([0.9, 0.1, 0.5]), np.array([True, True, False])
    found = resample_trials(scores, truth, (["x", "y", "x"], ["x", "y", "y"]), replicates=200)
    both = np.isfinite(found.eer)
    assert 60 < both.sum() < 140  # half of all draws have both
    np.testing.assert_allclose(found.eer[both], eer(scores, truth).rate)


def test_without_speakers_trials_are_drawn():
    scores, truth, _, _ = some_trials(1)
    found = resample_trials(scores, truth, None, replicates=10, seed=4)
    rng = np.random.default_rng(4)
    for number in range(10):
        again = rng.integers(len(scores), size=len(scores))
        assert found.eer[number] == pytest.approx(eer(scores[again], truth[again]).rate)


def test_the_seed_decides():
    scores, truth, a, b = some_trials(0)
    one, same, other = (
        resample_trials(scores, truth, (a, b), replicates=5, seed=seed).eer for seed in (1, 1, 2)
    )
    assert (one == same).all() and (one != other).any()


def test_speakers_whose_trials_stand_or_fall_together_have_wider_intervals():
    rng = np.random.default_rng(0)
    speakers = np.repeat(np.arange(20), 30)
    truth = np.tile([True, False], 300)
    scores = truth + rng.normal(size=20)[speakers]  # every speaker has a bias of their own
    names = speakers.astype(str)
    wide = interval_of(resample_trials(scores, truth, (names, names), replicates=200).eer)
    narrow = interval_of(resample_trials(scores, truth, None, replicates=200).eer)
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_shares_against_repetition():
    right, total = np.array([1, 5, 0, 2]), np.array([2, 5, 3, 2])
    found = resample_shares(right, total, replicates=30, seed=7)
    drawn = np.random.default_rng(7).integers(4, size=(30, 4))
    for share, rows in zip(found, drawn, strict=True):
        assert share == pytest.approx(sum(right[r] for r in rows) / sum(total[r] for r in rows))


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(0)
    hits = 0
    for seed in range(200):
        able = rng.beta(6, 2, size=60)  # speakers are told with chances of their own; mean 0.75
        right = rng.binomial(8, able)
        low, high = interval_of(resample_shares(right, np.full(60, 8), replicates=400, seed=seed))
        hits += low <= 0.75 <= high
    assert 0.89 <= hits / 200 <= 0.99


def test_eer_intervals_hold_the_truth():
    rng = np.random.default_rng(1)
    hits = 0
    for seed in range(60):
        # Scores N(+-1, 1) and speakers with a shift of their own: the true rate is by symmetry
        # where the threshold is 0.
        shift = rng.normal(scale=0.7, size=50).repeat(20)
        truth = np.tile([True, False], 500)
        scores = np.where(truth, 1.0, -1.0) + shift + rng.normal(size=1000)
        names = np.arange(50).repeat(20).astype(str)
        drawn = resample_trials(scores, truth, (names, names), replicates=150, seed=seed)
        low, high = interval_of(drawn.eer)
        hits += low <= 0.2063 <= high  # P(N(1, 1 + 0.49) < 0)
    assert hits >= 52


def test_an_interval_needs_numbers():
    assert interval_of(np.arange(101)) == pytest.approx(Interval(2.5, 97.5))
    assert interval_of([np.nan] * 6 + [1.0] * 5) is None
    assert interval_of([np.nan] * 5 + [1.0] * 5) == (1.0, 1.0)
    with pytest.raises(CorpusError, match="0 were given"):
        resample_shares([0, 0], [0, 0])
    with pytest.raises(CorpusError, match="1 same-speaker, 0 different"):
        resample_trials([0.1], [True], None)


def test_shares_are_the_same_in_parts_and_at_once():
    # 70,000 draws of 20 speakers are more than are held at once.
    rng = np.random.default_rng(0)
    totals = rng.integers(0, 4, size=20)
    rights = rng.integers(0, totals + 1)
    found = resample_shares(rights, totals, replicates=70_000, seed=3)
    drawn = np.random.default_rng(3).integers(20, size=(70_000, 20))
    np.testing.assert_allclose(found, rights[drawn].sum(axis=1) / totals[drawn].sum(axis=1))
