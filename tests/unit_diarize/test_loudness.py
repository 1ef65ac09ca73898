"""Quiet recordings are raised, others stay as they are."""

from __future__ import annotations

import pytest
import torch

from diarize.loudness import LARGEST_GAIN, raise_level


def noise(rms, seconds=10):
    wave = torch.randn(16_000 * seconds, generator=torch.Generator().manual_seed(0))
    return wave * rms


def rms(wave):
    return float(wave.square().mean().sqrt())


@pytest.mark.parametrize("level", [0.02, 0.1, 0.3])
def test_loud_enough_is_left_alone_to_the_sample(level):
    wave = noise(level)
    assert torch.equal(raise_level(wave), wave)


@pytest.mark.parametrize("level", [0.015, 0.002, 0.0004])
def test_quiet_is_raised_to_minus_35_dbfs(level):
    assert rms(raise_level(noise(level))) == pytest.approx(10 ** (-35 / 20), rel=0.03)


def test_the_gain_has_an_end_and_silence_stays_silence():
    assert rms(raise_level(noise(1e-6))) == pytest.approx(1e-6 * LARGEST_GAIN, rel=0.01)
    assert torch.equal(raise_level(torch.zeros(50_000)), torch.zeros(50_000))


def test_one_loud_knock_does_not_hide_quiet_speech():
    wave = noise(0.002)
    wave[1000:1800] = 0.9
    assert rms(raise_level(wave)[16_000:]) > 0.015


@pytest.mark.parametrize("samples", [0, 1, 6399, 6400])
def test_any_length(samples):
    assert raise_level(torch.full((samples,), 1e-3)).shape == (samples,)
