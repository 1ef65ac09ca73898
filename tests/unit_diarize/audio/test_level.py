"""Every recording comes to one level by one gain."""

from __future__ import annotations

import pytest
import torch

from diarize.audio.level import LARGEST_GAIN, TARGET, level_out


def noise(rms, seconds=10):
    wave = torch.randn(16_000 * seconds, generator=torch.Generator().manual_seed(0))
    return wave * rms


def rms(wave):
    return float(wave.square().mean().sqrt())


@pytest.mark.parametrize("level", [0.3, 0.07, 0.015, 0.002, 0.0004])
def test_any_level_becomes_minus_23_dbfs(level):
    assert rms(level_out(noise(level))) == pytest.approx(10 ** (-23 / 20), rel=0.03)


@pytest.mark.parametrize("gain", [0.005, 0.25, 3.0])
def test_the_volume_knob_changes_nothing(gain):
    wave = noise(0.05)
    torch.testing.assert_close(level_out(wave * gain), level_out(wave), rtol=1e-5, atol=1e-6)


def test_it_is_one_gain_without_clipping():
    wave = noise(0.01)
    ratio = level_out(wave) / wave
    torch.testing.assert_close(ratio, ratio[:1].expand_as(ratio), rtol=1e-5, atol=0)


def test_the_gain_has_an_end_and_silence_stays_silence():
    assert rms(level_out(noise(1e-6))) == pytest.approx(1e-6 * LARGEST_GAIN, rel=0.01)
    assert torch.equal(level_out(torch.zeros(50_000)), torch.zeros(50_000))


def test_a_knock_does_not_hide_quiet_speech():
    wave = noise(0.002, seconds=60)
    wave[1000:1800] = 0.9
    assert rms(level_out(wave)[16_000:]) == pytest.approx(TARGET, rel=0.1)


def test_rare_speech_is_not_taken_for_quiet():
    wave = noise(0.0002, seconds=600)
    wave[100_000:420_000] = noise(0.1, seconds=20)
    assert rms(level_out(wave)[100_000:420_000]) == pytest.approx(TARGET, rel=0.1)


def test_samples_that_are_no_numbers_stay_where_they_are():
    wave = noise(0.002)
    wave[100] = float("nan")
    assert torch.equal(level_out(wave).isnan(), wave.isnan())


@pytest.mark.parametrize("samples", [0, 1, 6399, 6400])
def test_any_length(samples):
    levelled = level_out(torch.full((samples,), 1e-3))
    assert levelled.shape == (samples,)
    assert torch.allclose(levelled, torch.full((samples,), TARGET))
