"""Embedders of one's own: of a function, or of a class that says only how windows are embedded."""

import numpy as np
import pytest
import torch

from encoder.errors import AudioError, ConfigError
from encoder.inference.window_embedder import (
    FunctionEmbedder,
    Stretch,
    WindowEmbedder,
    as_window_embedder,
)

BOUNDS = np.array([[0, 1600], [800, 3000], [100, 4000]])


def moments(wave):
    return torch.stack([wave.mean(), wave.std(), wave.abs().max()])


def wave():
    return torch.randn(4000, generator=torch.Generator().manual_seed(3))


class Own(WindowEmbedder):
    fingerprint = "own"
    minimum_samples = 100

    def embed_windows(self, wave, bounds, *, on_done=None):
        rows = [moments(wave[a:b]).numpy() for a, b in bounds]
        rows = np.array(rows, np.float32).reshape(-1, 3)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class Plain:
    fingerprint = "plain"
    minimum_samples = 100
    embed_windows = Own.embed_windows


def test_a_function_gets_each_window_and_its_vectors_become_unit():
    embedder = FunctionEmbedder(moments, name="moments 1", minimum_samples=1000)
    seen = []
    got = embedder.embed_windows(wave(), BOUNDS, on_done=lambda *pair: seen.append(pair))
    np.testing.assert_allclose(got, Own().embed_windows(wave(), BOUNDS), atol=1e-6)
    assert got.dtype == np.float32
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert embedder.embed_windows(torch.zeros(0), BOUNDS[:0]).shape == (0, 3)
    with pytest.raises(AudioError, match="give at least 1000"):
        embedder.embed(wave()[:999])


@pytest.mark.parametrize("give", [np.float64, torch.tensor, list, lambda v: np.array([v])])
def test_a_function_may_give_any_kind_of_vector(give):
    embedder = FunctionEmbedder(lambda wave: give([3.0, 4.0]), name="x")
    np.testing.assert_allclose(embedder.embed(wave()), [0.6, 0.8], atol=1e-6)


def test_the_name_makes_the_fingerprint():
    one, same, other = (FunctionEmbedder(moments, name=n).fingerprint for n in ("a", "a", "b"))
    assert one == same != other
    with pytest.raises(ConfigError, match="has no name: give"):
        FunctionEmbedder(moments)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda wave: wave.reshape(2, -1), r"shape \(2, 800\).*give one vector"),
        (lambda wave: 3.0, r"shape \(\)"),
        (lambda wave: [np.nan, 1.0], r"not numbers for 0\.100 s"),
        (lambda wave: "loud", r"'bad' gives str, not numbers: give one vector"),
    ],
)
def test_what_is_no_vector_is_refused_at_once(function, words):
    with pytest.raises(ConfigError, match=words):
        FunctionEmbedder(function, name="bad")


def test_vectors_of_two_sizes_are_refused():
    embedder = FunctionEmbedder(lambda wave: wave[:2000], name="the wave itself")
    with pytest.raises(ConfigError, match="2000 values for 4000 samples and 1600 for others"):
        embedder.embed(wave())


@pytest.mark.parametrize("embedder", [Own(), Plain(), FunctionEmbedder(moments, name="m")])
def test_stretches_are_embedded_window_by_window(embedder):
    complete = as_window_embedder(embedder)
    stretches = [Stretch(wave() + 0.1 * n, BOUNDS[n % 3 :]) for n in range(100)]
    got = list(complete.embed_stretches(iter(stretches)))
    assert len(got) == 100
    for stretch, vectors in zip(stretches, got, strict=True):
        np.testing.assert_allclose(vectors, embedder.embed_windows(*stretch), atol=1e-6)
    assert complete.fingerprint == embedder.fingerprint
    assert (complete is embedder) == isinstance(embedder, WindowEmbedder)


@pytest.mark.parametrize("name", ["fingerprint", "minimum_samples", "embed_windows"])
def test_what_is_no_embedder_is_refused(name):
    parts = {k: v for k, v in vars(Plain).items() if k != name and not k.startswith("__")}
    with pytest.raises(ConfigError, match=rf"Half has no {name}: derive"):
        as_window_embedder(type("Half", (), parts)())
