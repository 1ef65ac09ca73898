"""Resegmentation: the chain against all its paths, what it mends, what it must leave alone."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest

from diarize.core.speaker_count import SpeakerCount
from diarize.embedding.windows import Windows, cut_windows
from diarize.postprocessing import resegmentation
from diarize.postprocessing.config import ResegmentationConfig
from diarize.postprocessing.resegmentation import resegment
from encoder.errors import ConfigError
from tests.support.vector_recordings import by_first, chain_in_loops, recording, unit


def random_chain(N, K, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(N, K)) * 2, rng.uniform(0.2, 0.95, size=N), rng.dirichlet(np.ones(K))


def all_paths(scores, stay, share):
    """Beliefs and expected turns by the sum over every path, with every way to have made it: the
    same speaker may go on, or be drawn anew."""
    N, K = scores.shape
    belief, turns, total = np.zeros((N, K)), np.zeros(K), 0.0
    for path in product(range(K), repeat=N):
        for drawn in product([False, True], repeat=N - 1):
            drawn = (True, *drawn)
            chance = np.exp(sum(scores[t, k] for t, k in enumerate(path)))
            for t, k in enumerate(path):
                if drawn[t]:
                    chance *= share[k] * (1 if t == 0 else 1 - stay[t])
                else:
                    chance *= stay[t] * (k == path[t - 1])
            total += chance
            for t, k in enumerate(path):
                belief[t, k] += chance
                turns[k] += chance * drawn[t]
    return belief / total, turns / total


@pytest.mark.parametrize(("N", "K"), [(1, 3), (2, 2), (5, 3)])
def test_the_chain_against_all_its_paths(N, K):
    chain = random_chain(N, K)
    belief, turns = resegmentation._forward_backward(*chain)
    expected, expected_turns = all_paths(*chain)
    np.testing.assert_allclose(belief, expected, rtol=1e-9)
    np.testing.assert_allclose(turns, expected_turns, rtol=1e-9)


def test_a_long_chain_is_cut_into_pieces(monkeypatch):
    scores, stay, share = random_chain(17, 3)
    parts = [
        resegmentation._forward_backward(scores[at : at + 6], stay[at : at + 6], share)
        for at in (0, 6, 12)
    ]
    monkeypatch.setattr(resegmentation, "PIECE", 6)
    belief, turns = resegmentation._forward_backward(scores, stay, share)
    np.testing.assert_allclose(belief, np.concatenate([part for part, _ in parts]))
    np.testing.assert_allclose(turns, sum(part for _, part in parts))


def slowly(vectors, lengths_s, labels, config):
    """The whole model in loops, by matrices of changes; the most likely speakers (N,)."""
    N, K = len(labels), max(labels) + 1
    centre = sum(vectors) / N
    counted_s = [min(length, resegmentation.STEP_S) for length in lengths_s]
    belief = [[float(k == label) for k in range(K)] for label in labels]
    share = np.full(K, 1 / K)
    for _ in range(resegmentation.ROUNDS):
        likely = np.empty((N, K))
        for k in range(K):
            heard_s = sum(belief[t][k] * counted_s[t] for t in range(N))
            around = sum(belief[t][k] * counted_s[t] * (vectors[t] - centre) for t in range(N))
            mean = around / (heard_s + config.prior_s)
            unsure = config.spread / (1 + heard_s / config.prior_s)
            for t in range(N):
                # Half the squared distance expected, but for what is the same for all speakers.
                distance = (mean - 2 * (vectors[t] - centre)) @ mean + unsure
                likely[t, k] = np.exp(-config.concentration * counted_s[t] * distance / 2)
        stays = [np.exp(-(a + b) / 2 / config.turn_s) for a, b in pairwise(lengths_s)]
        belief, share = chain_in_loops(likely, stays, share)
    return np.argmax(belief, axis=1)


@pytest.mark.parametrize("seed", range(8))
def test_the_whole_against_loops(seed):
    windows, vectors, truth = recording([(0, 6), (1, 5), (2, 4), (0, 3)], noise=2.5, seed=seed)
    rng = np.random.default_rng(seed)
    ends = np.cumsum(rng.integers(1_600, 16_000, size=len(truth)))
    territory = np.stack([ends - np.diff(ends, prepend=0), ends], axis=1)
    windows = Windows(windows.bounds, territory, windows.region)
    labels = np.where(rng.random(len(truth)) < 0.3, rng.integers(3, size=len(truth)), truth)
    config = ResegmentationConfig(concentration=30.0, spread=0.6, prior_s=2.0, turn_s=2.0)
    expected = slowly(
        vectors.astype(np.float64), (territory[:, 1] - territory[:, 0]) / 16_000, labels, config
    )
    found = resegment(vectors, windows, labels, config=config)
    np.testing.assert_array_equal(found, by_first(expected))


def test_wrong_labels_are_put_right():
    windows, vectors, truth = recording([(0, 20), (1, 15), (0, 10), (2, 20), (1, 10)])
    labels = truth.copy()
    wrong = np.random.default_rng(1).choice(len(labels), len(labels) // 5, replace=False)
    labels[wrong] = (labels[wrong] + 1) % 3
    assert (resegment(vectors, windows, labels) == by_first(truth)).mean() > 0.98


def test_a_window_that_tells_little_follows_its_neighbours():
    windows, vectors, truth = recording([(0, 15), (1, 30), (0, 15)], noise=0.3)
    means = [unit(vectors[truth == k].mean(axis=0)) for k in (0, 1)]
    odd = int(np.flatnonzero(truth == 1)[20])
    vectors[odd] = unit(0.53 * means[0] + 0.47 * means[1])
    found = resegment(vectors, windows, truth)
    np.testing.assert_array_equal(found, by_first(truth))
    alone = resegment(vectors, windows, truth, config=ResegmentationConfig(turn_s=0.01))
    assert np.flatnonzero(alone != by_first(truth)).tolist() == [odd]


@pytest.mark.parametrize("noise", [0.5, 1.0])
def test_one_voice_in_two_parts_is_one_again(noise):
    windows, vectors, truth = recording([(0, 60)], noise=noise)
    labels = (np.arange(len(truth)) // 10 % 2).astype(np.int64)
    assert set(resegment(vectors, windows, labels)) == {0}


@pytest.mark.parametrize("minimum", [2, 3, 4, 9])
def test_as_many_speakers_stay_as_must(minimum):
    windows, vectors, truth = recording([(0, 60)])
    labels = (np.arange(len(truth)) // 10 % 4).astype(np.int64)
    found = resegment(vectors, windows, labels, SpeakerCount(minimum))
    assert min(minimum, 4) <= len(set(found)) <= 4


def test_less_is_expected_before_everybody_keeps_the_given_label():
    """A third speaker who is heard for two windows goes, or stays while the rest is mended."""
    config = ResegmentationConfig(prior_s=60)
    windows, vectors, truth = recording([(0, 30), (1, 30), (2, 0.8), (0, 20)], noise=0.5)
    labels = truth.copy()
    labels[20:24] = 1
    free = resegment(vectors, windows, labels, config=config)
    assert set(free) == {0, 1}
    told = resegment(vectors, windows, labels, SpeakerCount(3), config)
    np.testing.assert_array_equal(told, by_first(truth))


@pytest.mark.parametrize("step_s", [0.2, 0.4, 0.8])
def test_speakers_stay_whatever_the_step(step_s):
    windows, vectors, truth = recording([(0, 20), (1, 5), (2, 15), (1, 10)], step_s=step_s)
    np.testing.assert_array_equal(resegment(vectors, windows, truth), by_first(truth))


def test_seconds_count_and_not_windows():
    """With every window in two halves of the same vector, a speaker goes at about the same prior:
    at most one step of 18 % sooner, where windows that counted would make it four."""
    windows, vectors, truth = recording([(0, 60), (1, 3), (0, 30)])
    start, end = windows.territory.T
    middle = (start + end) // 2
    territory = np.stack([start, middle, middle, end], axis=1).reshape(-1, 2)
    halves = Windows(windows.bounds.repeat(2, axis=0), territory, windows.region.repeat(2))
    kept = []
    for prior_s in np.geomspace(10, 100, 15):
        config = ResegmentationConfig(prior_s=prior_s)
        found = resegment(vectors, windows, truth, config=config)
        twice = resegment(vectors.repeat(2, axis=0), halves, truth.repeat(2), config=config)
        kept.append((len(set(found)), len(set(twice))))
    whole, half = np.sum(kept, axis=0) - len(kept)
    assert 0 < whole < len(kept)
    assert abs(whole - half) <= 1


def test_windows_without_a_label_stay_so_and_say_nothing():
    windows, vectors, truth = recording([(0, 20), (1, 20)])
    out = np.arange(len(truth)) % 7 == 3
    vectors[out] = np.nan
    found = resegment(vectors, windows, np.where(out, -1, truth))
    np.testing.assert_array_equal(found, np.where(out, -1, truth))
    nobody = np.full(len(truth), -1)
    np.testing.assert_array_equal(resegment(vectors, windows, nobody), nobody)


def test_names_of_labels_do_not_matter():
    windows, vectors, truth = recording([(0, 20), (1, 15), (2, 20), (0, 10)])
    other = np.array([7, 2, 5])[truth]
    np.testing.assert_array_equal(
        resegment(vectors, windows, truth), resegment(vectors, windows, other)
    )


def test_nothing_given_is_written_to():
    windows, vectors, truth = recording([(0, 20), (1, 15)])
    labels = 1 - truth
    before = vectors.copy(), labels.copy(), windows.territory.copy()
    assert resegment(vectors, windows, labels).dtype == np.int64
    for now, then in zip((vectors, labels, windows.territory), before, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize("N", [0, 1, 2, 3])
def test_few_windows(N):
    regions = np.array([(k * 32_000, k * 32_000 + 16_000) for k in range(N)]).reshape(-1, 2)
    windows = cut_windows(regions, length=160_000)
    vectors = np.eye(8, dtype=np.float32)[:N]
    assert resegment(vectors, windows, np.zeros(N, np.int64)).tolist() == [0] * N
    everybody = np.arange(N)
    assert (
        resegment(vectors, windows, everybody, SpeakerCount(max(N, 1))).tolist()
        == everybody.tolist()
    )


def test_a_day_of_windows_is_put_right():
    turns = [(k % 5, 30 + k % 7) for k in range(240)]
    windows, vectors, truth = recording(turns)
    assert len(truth) > 10 * resegmentation.PIECE
    labels = np.where(np.random.default_rng(1).random(len(truth)) < 0.2, 4, truth)
    assert (resegment(vectors, windows, labels) == by_first(truth)).mean() > 0.99


@pytest.mark.parametrize("values", list(product([1e-12, 1e12], repeat=4)))
def test_extreme_settings_do_no_harm(values):
    windows, vectors, truth = recording([(0, 20), (1, 15), (2, 20)])
    with np.errstate(all="raise", under="ignore"):
        found = resegment(vectors, windows, truth, config=ResegmentationConfig(*values))
    assert set(found) <= {0, 1, 2}


@pytest.mark.parametrize("knob", ["concentration", "spread", "prior_s", "turn_s"])
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_settings_that_make_no_sense_are_refused(knob, value):
    with pytest.raises(ConfigError, match=f"{knob} is {value}"):
        ResegmentationConfig(**{knob: value})
