"""Overlapping windows that go through the network at once."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch

from encoder.errors import AudioError
from encoder.features.log_mel import FeatureConfig, normalise, normalise_moving
from encoder.inference.encoder import Encoder
from encoder.inference.window_embedder import Stretch, WindowEmbedder
from encoder.models.gru import GRU, GRUConfig
from encoder.models.rescnn import ResCNN, ResCNNConfig

WINDOW, STEP = 25_600, 6_400


def noise(samples, seed=0):
    return 0.1 * torch.randn(samples, generator=torch.Generator().manual_seed(seed))


def stretch(count, seed=0, odd=0):
    """`count` windows of 1.6 s every 0.4 s, the last one `odd` samples later than that."""
    starts = np.arange(count) * STEP
    starts[-1] += odd
    return Stretch(noise(int(starts[-1]) + WINDOW, seed), np.stack([starts, starts + WINDOW], 1))


def trained(model):
    """With running means and variances that are not the initial ones."""
    torch.manual_seed(0)
    for size in (40, 90):
        model(3 * torch.randn(8, size, 64) + 1)
    return model.eval()


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return trained(ResCNN(ResCNNConfig(channels=(4, 6, 8), blocks=1, embedding_size=5)))


@pytest.fixture(scope="module")
def encoder(model):
    return Encoder(model, FeatureConfig(), "tiny")


def test_moving_normalisation_against_loops():
    features = torch.randn(37, 6) * 3 + torch.arange(6)
    got = normalise_moving(features, 10)
    rows = []
    for f in range(37):
        first = min(max(f - 5, 0), 27)
        rows.append(features[f] - features[first : first + 10].mean(dim=0))
    centred = torch.stack(rows)
    for f in range(37):
        first = min(max(f - 5, 0), 27)
        deviation = centred[first : first + 10].square().mean().sqrt()
        torch.testing.assert_close(got[f], centred[f] / (deviation + 1e-3), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("frames", [12, 13, 500])
def test_moving_normalisation_of_a_window_is_the_plain_one(frames):
    features = torch.randn(12, 6)
    assert torch.equal(normalise_moving(features, frames), normalise(features))


def test_folding_changes_no_vector(model):
    folded, features = deepcopy(model), torch.randn(3, 70, 64)
    folded.fold_norms()
    torch.testing.assert_close(folded(features), model(features), rtol=0, atol=1e-5)
    assert not any("running_mean" in name for name in folded.state_dict())
    folded.fold_norms()  # nothing is left to fold
    torch.testing.assert_close(folded(features), model(features), rtol=0, atol=1e-5)


def test_frames_are_what_the_mean_is_taken_of(model):
    features = torch.randn(2, 64, 64)
    frames = model.frames(features)
    assert frames.shape == (2, 8 * 8, 64 // model.stride)
    torch.testing.assert_close(model.embed(frames.mean(dim=2)), model(features))


@pytest.mark.parametrize("length", [1, 7, 8, 9, 63, 64])
def test_frames_that_are_no_sound_change_nothing(model, length):
    folded, features = deepcopy(model), 3 * torch.randn(2, 64, 64)
    features[:, length:] = 0
    folded.fold_norms()  # with offsets, so that a layer makes something of nothing
    for network in (model, folded):
        expected = network.frames(features[:, :length])
        with torch.inference_mode():
            torch.testing.assert_close(network.frames(features, length), expected)


def test_each_window_takes_the_mean_of_its_own_frames(encoder):
    wave, bounds = stretch(4, odd=-3000)
    (got,) = encoder.embed_stretches([Stretch(wave, bounds)])
    with torch.inference_mode():
        features = normalise_moving(encoder.mel(wave), encoder.mel.config.frames(WINDOW))
        frames = encoder.model.frames(features[None])[0]
        per_sample = frames.repeat_interleave(encoder.model.stride * 160, dim=1)
        means = [per_sample[:, start:end].double().mean(dim=1).float() for start, end in bounds]
        expected = encoder.model.embed(torch.stack(means)).numpy()
    np.testing.assert_allclose(got, expected, atol=1e-5)


@pytest.mark.parametrize("samples", [1520, 9_600, 9_601, 25_600])
def test_a_single_window_has_the_vector_it_has_alone(encoder, samples):
    wave = noise(samples)
    (got,) = encoder.embed_stretches([Stretch(wave, np.array([[0, samples]]))])
    np.testing.assert_allclose(got[0], encoder.embed(wave), atol=1e-5)


def test_threads_change_nothing(encoder):
    several = [stretch(n, seed=n, odd=n) for n in (1, 5, 2, 30, 3, 64)]
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(np.concatenate(list(encoder.embed_stretches(several))))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(found[0], found[1]) and np.array_equal(found[0], found[2])


def test_other_stretches_change_nothing(encoder):
    one, two = stretch(5, seed=1), stretch(9, seed=2)
    (alone,) = encoder.embed_stretches([two])
    assert np.array_equal(list(encoder.embed_stretches([one, two]))[1], alone)
    assert list(encoder.embed_stretches([])) == []


@pytest.mark.parametrize("count", [2, 40])
def test_encoders_that_share_nothing_embed_each_window_alone(count):
    gru = Encoder(
        trained(GRU(GRUConfig(channels=4, hidden=6, layers=1, embedding_size=5))),
        FeatureConfig(),
        "gru",
    )
    several = [stretch(count, seed=seed, odd=-100) for seed in range(5)]
    got = list(gru.embed_stretches(iter(several)))
    assert [len(vectors) for vectors in got] == [count] * 5
    for vectors, (wave, bounds) in zip(got, several, strict=True):
        np.testing.assert_allclose(vectors, gru.embed_windows(wave, bounds), atol=1e-6)


def test_waves_are_taken_as_they_are_needed(encoder):
    """A recording of hours is never there as a whole."""
    for embed, most in ((encoder.embed_stretches, 48), (_plain(encoder), 12)):
        taken = 0

        def endless():
            nonlocal taken
            while True:
                taken += 1
                yield stretch(4, seed=taken)

        results = embed(endless())
        next(results)
        assert taken <= most
        results.close()


def _plain(encoder):
    return lambda stretches: WindowEmbedder.embed_stretches(encoder, stretches)


@pytest.mark.parametrize("bounds", [[[0, 500]], [[0, 8000], [4000, 40_000]], [[-5, 8000]]])
def test_bad_windows(encoder, bounds):
    with pytest.raises(AudioError, match=r"too short|leaves the wave"):
        list(encoder.embed_stretches([Stretch(noise(16_000), np.array(bounds))]))
