"""Log-mel features against an independent numpy implementation and hand computations."""

import math

import numpy as np
import pytest
import torch

from encoder.features.log_mel import FeatureConfig, LogMel, normalise

DEFAULT = FeatureConfig()
NARROW = FeatureConfig(sample_rate=8000, n_mels=20, n_fft=256, f_min=100.0, f_max=3800.0)


def noise(samples, seed=0):
    return 0.1 * torch.randn(samples, generator=torch.Generator().manual_seed(seed))


def mel(hertz):
    return 2595 * math.log10(1 + hertz / 700)


def numpy_log_mel(wave, c):
    edges = 700 * (10 ** (np.linspace(mel(c.f_min), mel(c.f_max), c.n_mels + 2) / 2595) - 1)
    bins = np.arange(c.n_fft // 2 + 1) * c.sample_rate / c.n_fft
    bank = np.zeros((len(bins), c.n_mels))
    for m in range(c.n_mels):
        left, centre, right = edges[m : m + 3]
        for b, hertz in enumerate(bins):
            if left < hertz <= centre:
                bank[b, m] = (hertz - left) / (centre - left)
            elif centre < hertz < right:
                bank[b, m] = (right - hertz) / (right - centre)
    size, step = round(c.window_s * c.sample_rate), round(c.hop_s * c.sample_rate)
    hamming = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(size) / (size - 1))
    starts = range(0, len(wave) - size + 1, step)
    power = [np.abs(np.fft.rfft(wave[s : s + size] * hamming, c.n_fft)) ** 2 for s in starts]
    return np.log(np.array(power) @ bank + c.floor)


@pytest.mark.parametrize("config", [DEFAULT, NARROW])
def test_agrees_with_numpy(config):
    wave = noise(4000) * torch.linspace(0, 1, 4000) ** 2
    expected = numpy_log_mel(wave.double().numpy(), config)
    np.testing.assert_allclose(LogMel(config)(wave).numpy(), expected, atol=1e-4)


@pytest.mark.parametrize("config", [DEFAULT, NARROW])
def test_frames_and_samples(config):
    extract = LogMel(config)
    for samples in [0, 1, *range(config.window - 1, config.window + 3 * config.hop + 2, 7)]:
        whole = sum(1 for s in range(0, samples, config.hop) if s + config.window <= samples)
        assert config.frames(samples) == whole
        assert extract(torch.zeros(samples)).shape == (whole, config.n_mels)
    for frames in range(1, 20):
        assert config.frames(config.samples(frames)) == frames
        assert config.frames(config.samples(frames) - 1) == frames - 1


def test_batches_and_single_waves_agree():
    waves = noise(3 * 2000).reshape(3, 2000)
    extract = LogMel()
    torch.testing.assert_close(extract(waves), torch.stack([extract(w) for w in waves]))
    assert extract(torch.zeros(2, 100)).shape == (2, 0, 64)


@pytest.mark.parametrize(("first", "count"), [(0, 1), (3, 5), (10, 7)])
def test_a_slice_of_the_features_is_the_features_of_the_slice(first, count):
    wave, extract = noise(5000), LogMel()
    start = first * DEFAULT.hop
    part = extract(wave[start : start + DEFAULT.samples(count)])
    torch.testing.assert_close(part, extract(wave)[first : first + count])


@pytest.mark.parametrize("hertz", [200.0, 440.0, 1000.0, 2500.0, 4000.0, 7000.0])
def test_a_pure_tone_is_loudest_in_the_band_that_holds_it(hertz):
    wave = 0.5 * torch.sin(2 * torch.pi * hertz * torch.arange(8000) / 16000)
    spacing = (mel(7600) - mel(20)) / 65  # centres lie at mel(20) + (band + 1) * spacing
    band = (mel(hertz) - mel(20)) / spacing - 1
    loudest = LogMel()(wave).mean(dim=0).argmax()
    assert abs(float(loudest) - band) <= 0.75  # FFT bins are half a band wide at low pitch


def test_normalise_gives_zero_mean_per_band_and_unit_variance():
    y = normalise(3 + 2 * torch.randn(4, 50, 64))
    assert y.mean(dim=1).abs().max() < 1e-5
    torch.testing.assert_close(y.square().mean(dim=(1, 2)), torch.ones(4), atol=2e-3, rtol=0)


def test_normalise_keeps_the_relative_spread_of_bands():
    wide = torch.randn(1, 4000, 64) * torch.linspace(1, 3, 64)
    y = normalise(wide)
    torch.testing.assert_close(y[0, :, 63].std() / y[0, :, 0].std(), torch.tensor(3.0), rtol=0.1,
                               atol=0)  # fmt: skip


@pytest.mark.parametrize("frames", [1, 2, 40])
def test_silence_is_finite(frames):
    y = normalise(LogMel()(torch.zeros(DEFAULT.samples(frames))))
    assert y.shape == (frames, 64)
    assert y.abs().max() < 1e-3


@pytest.mark.parametrize("gain", [0.25, 4.0])
def test_loudness_does_not_matter_above_the_floor(gain):
    wave, extract = 10 * noise(8000), LogMel()
    torch.testing.assert_close(
        normalise(extract(gain * wave)), normalise(extract(wave)), atol=1e-3, rtol=0
    )


def test_normalising_a_batch_is_normalising_each():
    batch = torch.randn(3, 20, 64) * torch.tensor([1.0, 5.0, 0.1]).reshape(3, 1, 1)
    torch.testing.assert_close(normalise(batch), torch.stack([normalise(x) for x in batch]))
