"""The energy segmenter on sounds whose levels are known."""

import math

import numpy as np
import pytest
import torch

from diarize.segmentation.energy import (
    EnergyConfig,
    EnergySegmenter,
    background_and_speech_db,
)
from encoder.errors import ConfigError


def noise(seconds, level_db, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(round(seconds * 16000), generator=generator) * 10 ** (level_db / 20)


def bursts(*, background_db, speech_db, seconds=60):
    """Noise with louder noise from 2 to 4 s of every 10 s."""
    wave = noise(seconds, background_db)
    for start in range(2, seconds, 10):
        wave[start * 16000 : (start + 2) * 16000] = noise(2, speech_db, seed=start)
    return wave


def test_the_two_levels_are_found_in_decibels():
    levels = np.concatenate([np.full(700, -60.0), np.full(300, -25.0)]).astype(np.float32)
    levels += np.random.default_rng(0).normal(0, 2, 1000).astype(np.float32)
    background, speech, spread = background_and_speech_db(levels)
    assert background == pytest.approx(-60, abs=0.5)
    assert speech == pytest.approx(-25, abs=0.5)
    assert spread == pytest.approx(2, abs=0.3)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_the_two_levels_are_found_when_one_is_rare(share):
    rng = np.random.default_rng(1)
    loud = rng.random(60_000) < share
    levels = (np.where(loud, -30.0, -70.0) + rng.normal(0, 2, 60_000)).astype(np.float32)
    background, speech, _ = background_and_speech_db(levels)
    assert background == pytest.approx(-70, abs=1)
    assert speech == pytest.approx(-30, abs=1)


def test_regions_lie_where_the_bursts_are():
    wave = bursts(background_db=-60, speech_db=-30)
    config = EnergyConfig()
    regions = EnergySegmenter(config)(wave).regions
    padding_s = config.hysteresis.padding_s
    expected = [(s - padding_s, s + 2 + padding_s) for s in range(2, 60, 10)]
    assert regions.shape == (6, 2)
    assert np.abs(regions / 16000 - np.array(expected)).max() < 0.04


@pytest.mark.parametrize("gain_db", [-40, -20, 20])
def test_gain_changes_nothing(gain_db):
    wave = bursts(background_db=-60, speech_db=-30)
    plain = EnergySegmenter()(wave).regions
    assert len(plain) == 6
    assert np.array_equal(EnergySegmenter()(wave * 10 ** (gain_db / 20)).regions, plain)


def test_a_constant_offset_changes_nothing():
    wave = bursts(background_db=-60, speech_db=-30)
    plain, _ = EnergySegmenter().activity([wave])
    shifted, _ = EnergySegmenter().activity([wave + 0.25])
    assert np.abs(shifted - plain).max() < 1e-3


def test_digital_silence_does_not_count_as_background():
    """Zeros around the sound leave its own regions where they were."""
    wave = bursts(background_db=-60, speech_db=-30)
    plain = EnergySegmenter()(wave).regions
    zeros = torch.zeros(120 * 16000)
    assert np.array_equal(
        EnergySegmenter()(torch.cat([zeros, wave, zeros])).regions, plain + len(zeros)
    )


@pytest.mark.parametrize(
    "sound",
    [
        lambda t: torch.full_like(t, 0.1),
        lambda t: 0.1 * torch.sin(2 * math.pi * 50 * t),
        lambda t: 0.1 * torch.sin(2 * math.pi * 50 * t) * (0.75 + 0.25 * torch.sin(t)),
    ],
    ids=["constant", "hum", "hum that swells by 6 dB"],
)
def test_steady_sounds_are_no_speech(sound):
    assert len(EnergySegmenter()(sound(torch.arange(20 * 16000) / 16000)).regions) == 0


def test_a_range_below_the_minimum_is_no_speech():
    wave = bursts(background_db=-40, speech_db=-30)
    assert len(EnergySegmenter(EnergyConfig(min_range_db=9))(wave).regions) == 6
    assert len(EnergySegmenter(EnergyConfig(min_range_db=11))(wave).regions) == 0


def test_one_number_for_each_hop():
    for length in (0, 1, 159, 160, 161, 400, 160_000, 160_001):
        activity, seen = EnergySegmenter().activity([noise(1, -30).repeat(11)[:length]])
        assert len(activity) == math.ceil(length / 160)
        assert seen == length


@pytest.mark.parametrize("values", [{"min_range_db": 0}, {"smoothing_s": -1}, {"smoothing_s": 2}])
def test_impossible_settings_are_refused(values):
    with pytest.raises(ConfigError):
        EnergyConfig(**values)
