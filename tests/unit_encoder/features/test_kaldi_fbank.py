"""Our batch of Kaldi filterbanks is torchaudio's, wave by wave."""

import pytest
import torch

from encoder.audio.torchaudio_compat import torchaudio
from encoder.features.kaldi_fbank import kaldi_fbank, kaldi_frames, kaldi_samples


def waves(samples):
    g = torch.Generator().manual_seed(samples)
    noise = 0.1 * torch.randn(3, samples, generator=g)
    time = torch.arange(samples) / 16_000
    noise[1] = 0.3 * torch.sin(2 * torch.pi * 440 * time) + 0.2 + 0.01 * noise[1]  # with an offset
    return noise


@pytest.mark.parametrize("samples", [400, 559, 560, 25_600])
@pytest.mark.parametrize("window", ["povey", "hamming"])
@pytest.mark.parametrize("n_mels, scale", [(80, 1.0), (80, 32768.0), (40, 1.0)])
def test_each_row_is_torchaudios(samples, window, n_mels, scale):
    batch = scale * waves(samples)
    got = kaldi_fbank(batch, n_mels=n_mels, window=window)
    assert got.shape == (3, kaldi_frames(samples), n_mels)
    for wave, features in zip(batch, got, strict=True):
        expected = torchaudio().compliance.kaldi.fbank(
            wave[None], num_mel_bins=n_mels, window_type=window, dither=0.0
        )
        torch.testing.assert_close(features, expected, atol=1e-4, rtol=1e-5)


def test_one_wave_without_a_batch():
    wave = waves(8_000)[0]
    torch.testing.assert_close(kaldi_fbank(wave), kaldi_fbank(wave[None])[0])


def test_silence_is_the_floor():
    expected = torch.full((1, 1, 80), torch.finfo(torch.float32).eps).log()
    torch.testing.assert_close(kaldi_fbank(torch.zeros(1, 400)), expected)


def test_frames_and_samples_by_hand():
    assert [kaldi_frames(n) for n in (0, 399, 400, 559, 560)] == [0, 0, 1, 1, 2]
    assert [kaldi_samples(f) for f in (1, 2, 101)] == [400, 560, 16_400]
