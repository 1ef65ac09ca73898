"""Resegmentation with a model of the embedder's vectors: VBx, its formulas in loops, and who of too
many speakers is left."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from diarize.core.speaker_count import SpeakerCount
from diarize.embedding.windows import Windows
from diarize.postprocessing import resegmentation
from diarize.postprocessing.config import ResegmentationConfig
from diarize.postprocessing.resegmentation import resegment
from encoder.calibration.plda import fit_plda
from tests.support.vector_recordings import (
    D,
    by_first,
    centres_of,
    chain_in_loops,
    recording,
    unit,
)

STEP_S = 1.6  # windows that do not overlap


@pytest.fixture(scope="module", params=[0.8, 2.0])
def noise(request):
    return request.param


@pytest.fixture(scope="module")
def plda(noise):
    """Of other speakers, who vary as those of the recordings do."""
    rng = np.random.default_rng(7)
    who = np.repeat(np.arange(400), 10)
    rows = centres_of(rng, 400)[who] + noise * rng.normal(size=(len(who), D)) / D**0.5
    return fit_plda(unit(rows), who, directions=24)


def slowly(plda, vectors, counted, territory_s, labels, config):
    """VBx in loops, by matrices of changes and inverses, with a weight for each window; the most
    likely speakers (N,)."""
    N, K = len(labels), max(labels) + 1
    Phi = np.diag(plda.between.astype(float))
    rho = [np.sqrt(Phi) @ x for x in plda.transform(vectors)]
    Fa = [config.evidence * share for share in counted]
    gamma = [[float(k == label) for k in range(K)] for label in labels]
    share = np.full(K, 1 / K)
    stays = [np.exp(-(a + b) / 2 / config.turn_s) for a, b in pairwise(territory_s)]
    for _ in range(resegmentation.ROUNDS):
        score = np.empty((N, K))
        for k in range(K):
            known = sum(gamma[t][k] * Fa[t] for t in range(N)) / config.prior
            L_inverse = np.linalg.inv(np.eye(len(Phi)) + known * Phi)
            alpha = L_inverse @ sum(gamma[t][k] * Fa[t] * rho[t] for t in range(N)) / config.prior
            doubt = np.trace(Phi @ (L_inverse + np.outer(alpha, alpha))) / 2
            for t in range(N):
                score[t, k] = Fa[t] * (alpha @ rho[t] - doubt)
        likely = np.exp(score - score.max(axis=1, keepdims=True))
        gamma, share = chain_in_loops(likely, stays, share)
    return np.argmax(gamma, axis=1)


@pytest.mark.parametrize("seed", range(6))
def test_the_whole_against_loops(plda, noise, seed):
    _, vectors, truth = recording(
        [(0, 24), (1, 20), (2, 16), (0, 12)], noise=noise, seed=seed, step_s=STEP_S
    )
    rng = np.random.default_rng(seed)
    ends = np.cumsum(rng.integers(3_200, 40_000, size=len(truth)))
    territory = np.stack([ends - np.diff(ends, prepend=0), ends], axis=1)
    bounds = np.maximum(territory - [[6_400, 0]], 0)  # some of it is not fresh, but of the first
    windows = Windows(bounds, territory, np.zeros(len(truth), np.int64))
    territory_s = np.diff(territory)[:, 0] / 16_000
    labels = np.where(rng.random(len(truth)) < 0.3, rng.integers(4, size=len(truth)), truth)
    config = ResegmentationConfig(evidence=0.3, prior=3.0, turn_s=2.0)
    counted = np.minimum(territory_s / 1.6, 1)
    expected = slowly(plda, vectors, counted, territory_s, by_first(labels), config)
    found = resegment(vectors, windows, labels, config=config, plda=plda)
    np.testing.assert_array_equal(found, by_first(expected))


def test_too_many_speakers_become_those_who_are_there(plda, noise):
    windows, vectors, truth = recording(
        [(0, 40), (1, 30), (0, 30), (2, 30), (1, 25)], noise=noise, step_s=STEP_S
    )
    parts = truth * 4 + np.arange(len(truth)) // 3 % 4  # each in four, in no order of sound
    assert len(set(parts)) == 12
    found = resegment(vectors, windows, by_first(parts), plda=plda)
    np.testing.assert_array_equal(found, by_first(truth))


def test_one_voice_in_parts_is_one_again(plda, noise):
    windows, vectors, truth = recording([(0, 90)], noise=noise, step_s=STEP_S)
    parts = by_first(np.arange(len(truth)) // 4 % 6)
    assert set(resegment(vectors, windows, parts, plda=plda)) == {0}


def test_who_is_there_stays_and_wrong_labels_are_put_right(plda, noise):
    turns = [(k % 4, 8 + k % 3) for k in range(24)]
    windows, vectors, truth = recording(turns, noise=noise, step_s=STEP_S)
    rng = np.random.default_rng(0)
    labels = np.where(rng.random(len(truth)) < 0.2, rng.integers(4, size=len(truth)), truth)
    found = resegment(vectors, windows, labels, plda=plda)
    assert len(set(found)) == 4
    assert (found == by_first(truth)).mean() > 0.9


@pytest.mark.parametrize("minimum", [1, 2, 4, 6, 9])
def test_as_many_speakers_stay_as_must(plda, noise, minimum):
    windows, vectors, truth = recording([(0, 60)], noise=noise, step_s=STEP_S)
    labels = by_first(np.arange(len(truth)) // 4 % 6)
    found = resegment(vectors, windows, labels, SpeakerCount(minimum), plda=plda)
    assert min(minimum, 6) <= len(set(found)) <= (1 if minimum == 1 else 6)


def test_sound_counts_once(plda, noise):
    """Windows given twice have nothing fresh the second time, and change nothing."""
    windows, vectors, truth = recording([(0, 30), (1, 20), (0, 10)], noise=noise, step_s=STEP_S)
    start, end = windows.territory.T
    territory = np.stack([start, end, end, end], axis=1).reshape(-1, 2)
    twice = Windows(windows.bounds.repeat(2, axis=0), territory, windows.region.repeat(2))
    labels = by_first(truth + 2 * (np.arange(len(truth)) % 2))
    once = resegment(vectors, windows, labels, plda=plda)
    again = resegment(vectors.repeat(2, axis=0), twice, labels.repeat(2), plda=plda)
    np.testing.assert_array_equal(again[::2], once)


def test_windows_without_a_label_stay_so_and_say_nothing(plda, noise):
    windows, vectors, truth = recording([(0, 30), (1, 30)], noise=noise, step_s=STEP_S)
    out = np.arange(len(truth)) % 7 == 3
    vectors[out] = np.nan
    found = resegment(vectors, windows, np.where(out, -1, truth), plda=plda)
    np.testing.assert_array_equal(found, np.where(out, -1, truth))
