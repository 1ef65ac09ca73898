"""Cllr, its minimum and the calibration error, against loops and by hand."""

import itertools
import math

import numpy as np
import pytest

from encoder.calibration.metrics import (
    balanced_weights,
    cllr,
    expected_calibration_error,
    min_cllr,
)
from encoder.errors import CorpusError


def trials(seed, *, ties=False):
    rng = np.random.default_rng(seed)
    truth = rng.random(rng.integers(6, 40)) < 0.4
    truth[:2] = True, False
    scores = rng.normal(size=len(truth)) + 1.5 * truth
    return (np.round(scores) if ties else scores), truth


def loops(chance, truth):
    same = [-math.log2(p) for p, t in zip(chance, truth, strict=True) if t]
    other = [-math.log2(1 - p) for p, t in zip(chance, truth, strict=True) if not t]
    return (sum(same) / len(same) + sum(other) / len(other)) / 2


@pytest.mark.parametrize("seed", range(5))
def test_cllr_against_loops(seed):
    scores, truth = trials(seed)
    chance = 1 / (1 + np.exp(-scores))
    assert cllr(chance, truth) == pytest.approx(loops(chance, truth))


def test_cllr_by_hand():
    truth = np.array([True, False])
    assert cllr([0.5, 0.5], truth) == pytest.approx(1)  # knowing nothing
    assert cllr([1.0, 0.0], truth) == pytest.approx(0, abs=1e-9)
    assert cllr([0.25, 0.75], truth) == pytest.approx(2)
    assert 40 < cllr([0.0, 1.0], truth) < 60  # sure and wrong: large, but a number
    # Three others weigh as much as the one target: (1 + (2 + 0.415 + 1) / 3) / 2.
    some = cllr([0.5, 0.75, 0.25, 0.5], [True, False, False, False])
    assert some == pytest.approx((1 + (2 - math.log2(0.75) + 1) / 3) / 2)


def best_rising(scores, truth):
    """The smallest Cllr of all maps that are constant on blocks of the sorted scores and rise."""
    values = sorted(set(scores.tolist()))
    targets, others = truth.sum(), (~truth).sum()
    best = 1.0
    for cuts in itertools.product([False, True], repeat=len(values) - 1):
        block_of = dict(zip(values, np.cumsum([0, *cuts]), strict=True))
        blocks = np.array([block_of[s] for s in scores.tolist()])
        shares = []
        for block in range(blocks.max() + 1):
            a = (truth & (blocks == block)).sum() / targets
            b = (~truth & (blocks == block)).sum() / others
            shares.append(a / (a + b))
        if shares == sorted(shares):
            best = min(best, cllr(np.array(shares)[blocks], truth))
    return best


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_min_cllr_by_trying_every_rising_map(seed, ties):
    rng = np.random.default_rng(seed)
    truth = np.array([True, False] * 4 + [True])
    scores = rng.normal(size=9) + truth
    scores = np.round(scores * 2) if ties else scores
    assert min_cllr(scores, truth) == pytest.approx(best_rising(scores, truth), abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_min_cllr_is_a_minimum_and_keeps_under_rising_maps(seed):
    scores, truth = trials(seed)
    least = min_cllr(scores, truth)
    for slope, offset in itertools.product((0.3, 1, 4), (-2, 0, 2)):
        assert least <= cllr(1 / (1 + np.exp(-slope * scores - offset)), truth) + 1e-9
    assert min_cllr(np.exp(scores), truth) == pytest.approx(least)
    assert min_cllr([0, 1], [False, True]) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_expected_calibration_error_against_loops(seed):
    scores, truth = trials(seed)
    chance = 1 / (1 + np.exp(-scores))
    weight = [0.5 / truth.sum() if t else 0.5 / (~truth).sum() for t in truth]
    error = 0.0
    for low in range(10):
        rows = [i for i, p in enumerate(chance) if low / 10 <= p < (low + 1) / 10]
        share = sum(weight[i] for i in rows)
        if share:
            promised = sum(weight[i] * chance[i] for i in rows) / share
            came = sum(weight[i] * truth[i] for i in rows) / share
            error += share * abs(promised - came)
    assert expected_calibration_error(chance, truth) == pytest.approx(error)


def test_expected_calibration_error_by_hand():
    assert expected_calibration_error([1.0, 0.0], [True, False]) == 0
    assert expected_calibration_error([0.0, 1.0], [True, False]) == 1
    assert expected_calibration_error([0.5, 0.5], [True, False]) == 0
    assert expected_calibration_error([0.8, 0.2], [True, False]) == pytest.approx(0.2)


def test_weights_by_hand():
    truth = [True, False, False, True, True, False]
    groups = ["a", "a", "a", "b", "b", "b"]
    expected = [1 / 4, 1 / 8, 1 / 8, 1 / 8, 1 / 8, 1 / 4]
    np.testing.assert_allclose(balanced_weights(truth, groups), expected)
    np.testing.assert_allclose(balanced_weights([True, False, False]), [1 / 2, 1 / 4, 1 / 4])
    # A group repeated ten times weighs no more than the other.
    chance = np.array([0.5, 0.9, 0.2, 0.6, 0.7, 0.1])
    often = np.concatenate([np.arange(3).repeat(10), [3, 4, 5]])
    groups, truth = np.array(groups), np.array(truth)
    weights = balanced_weights(truth[often], groups[often])
    assert cllr(chance[often], truth[often], weights=weights) == pytest.approx(
        cllr(chance, truth, weights=balanced_weights(truth, groups))
    )


def test_both_kinds_are_needed():
    with pytest.raises(CorpusError, match="2 same-speaker, 0 different"):
        cllr([0.1, 0.2], [True, True])
    with pytest.raises(CorpusError, match="1 of 2 scores are not numbers"):
        min_cllr([0.1, np.nan], [True, False])
    with pytest.raises(CorpusError, match="in every group: 2 same-speaker, 1 different"):
        balanced_weights([True, False, True], ["a", "a", "b"])


def test_calibration_error_of_shares_by_hand():
    # In the bin of 0.8 to 0.9: 2 s promised 0.85, right 1.0, and 1 s promised 0.8, right 0.5.
    found = expected_calibration_error([0.85, 0.8, 0.3], [1.0, 0.5, 0.5], weights=[2, 1, 1])
    assert found == pytest.approx((abs(2 * -0.15 + 0.3) + 0.2) / 4)
    assert expected_calibration_error([0.9], [1.0], weights=[3]) == pytest.approx(0.1)
    with pytest.raises(CorpusError, match="1 of 2 scores"):
        expected_calibration_error([0.9, float("nan")], [1.0, 0.0], weights=[1, 1])
