"""An encoder of CAM++: its weights, its features, its batches in threads."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from encoder.errors import AudioError
from encoder.features.kaldi_fbank import KaldiFbank, KaldiFbankConfig
from encoder.hub.weights_file import load_weights, save_weights
from encoder.inference.encoder import Encoder
from encoder.inference.window_embedder import Stretch
from encoder.models.campplus import CAMPlusPlus, CAMPlusPlusConfig

CONFIG = CAMPlusPlusConfig(
    n_mels=16, front_channels=4, layers=(2, 2, 2), growth=8, bottleneck=16, embedding_size=12
)
FEATURES = KaldiFbankConfig(n_mels=16, window="hamming", scale=32768.0)


def noise(samples, seed=0):
    """Of a colour that changes, so that windows differ."""
    white = torch.randn(samples, generator=torch.Generator().manual_seed(seed))
    smooth = torch.nn.functional.avg_pool1d(white[None, None], 9, 1, padding=4)[0, 0]
    share = torch.linspace(0, 12, samples).sin().square()
    return 0.1 * (share * white + (1 - share) * 3 * smooth)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """The weights of a network whose norms have seen such sound."""
    torch.manual_seed(0)
    model, features = CAMPlusPlus(CONFIG), KaldiFbank(FEATURES)
    for part in model.modules():
        if isinstance(part, torch.nn.modules.batchnorm._BatchNorm):
            part.momentum = None  # the plain mean of all that it sees
    for seed in range(4):
        waves = noise(16 * 16_000, seed).reshape(16, -1)
        model(features.normalise(features(waves)))
    return save_weights(
        model.eval(), FEATURES, tmp_path_factory.mktemp("weights"), name="small", exact=True
    )


@pytest.fixture(scope="module")
def encoder(path):
    return Encoder.from_pretrained(path, device="cpu")


@pytest.fixture(scope="module")
def stretches():
    """Windows of several lengths, many of them of one, in stretches of 1 to 40."""
    rng = np.random.default_rng(0)
    found = []
    for seed, count in enumerate([1, 7, 40, 3, 12, 1, 30]):
        ends = np.cumsum(rng.choice([9_600, 16_000, 25_600], size=count))
        bounds = np.stack([ends - np.diff(ends, prepend=0), ends], axis=1)
        found.append(Stretch(noise(int(ends[-1]), seed), bounds))
    return found


def test_the_weights_bring_their_features_and_their_fingerprint(path, encoder):
    assert encoder.fingerprint == path.stem[-8:]
    assert encoder.embedding_size == CONFIG.embedding_size
    wave = noise(20_000)
    with torch.no_grad():
        features = encoder.mel(wave[None])
        expected = load_weights(path).model(features - features.mean(dim=1, keepdim=True))[0]
    np.testing.assert_allclose(encoder.embed(wave), expected.numpy(), atol=1e-4)


def test_stretches_have_the_vectors_of_their_windows(encoder, stretches):
    found = list(encoder.embed_stretches(stretches))
    assert [len(vectors) for vectors in found] == [len(s.bounds) for s in stretches]
    for vectors, (wave, bounds) in zip(found, stretches, strict=True):
        np.testing.assert_allclose(vectors, encoder.embed_windows(wave, bounds), atol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    every = np.concatenate(found)
    assert (every @ every.T).min() < 0.99  # they are not all the same


def test_threads_change_nothing(encoder, stretches):
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(list(encoder.embed_stretches(iter(stretches))))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    for some, others in pairwise(found):
        for a, b in zip(some, others, strict=True):
            np.testing.assert_array_equal(a, b)


def test_who_stops_early_leaves_torch_as_it_was(encoder, stretches):
    before = torch.get_num_threads()
    going = encoder.embed_stretches(iter(stretches * 5))
    next(going)
    going.close()
    assert torch.get_num_threads() == before


def test_the_shortest_wave_and_one_that_is_shorter(encoder):
    shortest = encoder.minimum_samples
    assert shortest == 400 + 2 * 160  # three frames: a deviation takes two of half the rate
    assert np.isfinite(encoder.embed(noise(shortest))).all()
    with pytest.raises(AudioError, match="too short to embed"):
        list(encoder.embed_stretches([Stretch(noise(shortest), np.array([[1, shortest]]))]))
