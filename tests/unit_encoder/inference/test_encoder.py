"""An embedding depends on its own samples and on nothing else."""

import numpy as np
import pytest
import torch

from encoder.errors import AudioError, BackendUnavailable, CheckpointError
from encoder.features.log_mel import FeatureConfig
from encoder.hub.weights_file import load_weights, save_weights
from encoder.inference.encoder import Encoder
from encoder.models.rescnn import ResCNN, ResCNNConfig


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    model = ResCNN(ResCNNConfig(channels=(4, 6, 8), blocks=1, embedding_size=5))
    model(torch.randn(8, 40, 64))
    return save_weights(model, FeatureConfig(), tmp_path_factory.mktemp("weights"), name="tiny")


@pytest.fixture(scope="module")
def encoder(weights):
    return Encoder.from_pretrained(weights, device="cpu")


@pytest.fixture(scope="module")
def wave():
    g = torch.Generator().manual_seed(0)
    loudness = torch.linspace(0, 0.2, 32000) * (1 + torch.sin(torch.arange(32000) / 900))
    return loudness * torch.randn(32000, generator=g)


BOUNDS = np.array([
    [0, 8000], [100, 8100], [0, 32000], [16000, 24000], [5000, 7000], [30000, 32000],
    [5000, 7001], [0, 8000], [12345, 20345],
])  # fmt: skip


def test_embed_gives_a_unit_vector(encoder, wave):
    vector = encoder.embed(wave)
    assert vector.shape == (5,) == (encoder.embedding_size,)
    assert vector.dtype == np.float32
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_the_shortest_wave(encoder, wave):
    samples = encoder.minimum_samples
    assert samples == 7 * 160 + 400  # the trunk's stride is 8 frames
    assert np.isfinite(encoder.embed(wave[:samples])).all()
    with pytest.raises(AudioError, match=r"1519 samples is too short.* 1520 \(0\.095 s\)"):
        encoder.embed(wave[: samples - 1])
    with pytest.raises(AudioError, match="0 samples is too short"):
        encoder.embed(wave[:0])


def test_a_window_is_its_slice(encoder, wave):
    together = encoder.embed_windows(wave, BOUNDS)
    for vector, (start, end) in zip(together, BOUNDS, strict=True):
        np.testing.assert_allclose(encoder.embed(wave[start:end]), vector, atol=1e-5)
    assert np.linalg.norm(together[0] - together[3]) > 1e-3


@pytest.mark.parametrize("batch_size", [1, 2, 3, 100])
def test_the_batch_size_does_not_matter(encoder, wave, batch_size, monkeypatch):
    expected = encoder.embed_windows(wave, BOUNDS)
    monkeypatch.setattr(encoder, "batch_size", batch_size)
    np.testing.assert_allclose(encoder.embed_windows(wave, BOUNDS), expected, atol=1e-5)


def test_other_windows_do_not_matter(encoder, wave):
    expected = encoder.embed_windows(wave, BOUNDS)
    order = np.random.default_rng(0).permutation(len(BOUNDS))
    np.testing.assert_allclose(
        encoder.embed_windows(wave, BOUNDS[order]), expected[order], atol=1e-5
    )
    np.testing.assert_allclose(encoder.embed_windows(wave, BOUNDS[3:5]), expected[3:5], atol=1e-5)


def test_samples_outside_the_window_do_not_matter(encoder, wave):
    other = wave.clone()
    other[:5000] = 0.9
    other[13000:] = -0.9
    bounds = np.array([[5000, 13000]])
    np.testing.assert_array_equal(
        encoder.embed_windows(wave, bounds), encoder.embed_windows(other, bounds)
    )


def test_loudness_hardly_matters(encoder, wave):
    assert encoder.embed(wave[16000:]) @ encoder.embed(0.3 * wave[16000:]) > 0.999


def test_silence_is_finite(encoder):
    assert np.isfinite(encoder.embed(torch.zeros(16000))).all()


@pytest.mark.parametrize("bounds", [np.zeros((0, 2), np.int64), np.zeros(0, np.int64)])
def test_no_windows(encoder, wave, bounds):
    got = encoder.embed_windows(wave, bounds)
    assert got.shape == (0, 5)
    assert got.dtype == np.float32


@pytest.mark.parametrize("start, end", [(-1, 8000), (24001, 32001), (40000, 50000)])
def test_windows_outside_the_wave(encoder, wave, start, end):
    with pytest.raises(AudioError, match=rf"\[{start}, {end}\) leaves the wave of 32000"):
        encoder.embed_windows(wave, np.array([[0, 8000], [start, end]]))


@pytest.mark.parametrize("bounds", [[0, 1519], [9000, 9000], [9000, 5000]])
def test_windows_too_short(encoder, wave, bounds):
    with pytest.raises(AudioError, match="too short"):
        encoder.embed_windows(wave, np.array([[0, 8000], bounds]))


def test_progress_ends_at_the_number_of_windows(encoder, wave):
    seen = []
    encoder.embed_windows(wave, BOUNDS, on_done=lambda *pair: seen.append(pair))
    done, totals = zip(*seen, strict=True)
    assert sorted(done) == list(done)
    assert (done[-1], set(totals)) == (len(BOUNDS), {len(BOUNDS)})


def test_the_fingerprint_is_the_files(encoder, weights, tmp_path):
    path = save_weights(load_weights(weights).model, FeatureConfig(), tmp_path, name="again")
    assert Encoder.from_pretrained(path).fingerprint == encoder.fingerprint == path.stem[-8:]


@pytest.mark.parametrize("device", ["tpu", "cuda:99", "meta", "privateuseone", "cpu:-1", ""])
def test_an_absent_device(device):
    with pytest.raises(BackendUnavailable, match=f"no device '{device}'.*use cpu or auto"):
        Encoder.from_pretrained(device=device)


def test_absent_weights():
    with pytest.raises(CheckpointError, match="no weights named 'nobody'"):
        Encoder.from_pretrained("nobody")


def test_the_public_names_import_lazily():
    import encoder as package

    assert package.Encoder is Encoder
    assert set(package.__all__) <= set(dir(package))
    with pytest.raises(AttributeError, match="no attribute 'Encodr'"):
        _ = package.Encodr
