"""Disguises: the same voice through another microphone, as loud as before, and who said when."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest

from diarize.simulation.acoustics import Acoustics
from diarize.simulation.channel_augmentation import (
    ChannelAugmentationConfig,
    band_limited,
    equalised,
)
from diarize.simulation.mixing import Simulator
from encoder.errors import ConfigError
from tests.support.simulated_speech import DRY, RATE, bank, rms, rng


def noise(seconds, seed=0):
    return rng(seed).standard_normal(round(seconds * RATE)).astype(np.float32)


def bands_db(wave):
    """Power of (T,) in octaves from 62.5 Hz on, in dB."""
    power = np.abs(np.fft.rfft(wave)) ** 2
    hertz = np.fft.rfftfreq(len(wave), 1 / RATE)
    edges = 62.5 * 2.0 ** np.arange(8)
    means = [power[(hertz >= a) & (hertz < b)].mean() for a, b in pairwise(edges)]
    return 10 * np.log10(means)


def test_a_colour_changes_the_bands_but_not_the_level():
    wave = noise(3)
    first, other = (equalised(wave, 6.0, rng(seed)) for seed in (1, 2))
    assert first.shape == wave.shape and first.dtype == np.float32
    assert rms(first) == pytest.approx(rms(wave), rel=1e-3)
    assert np.ptp(bands_db(first) - bands_db(wave)) > 5
    assert np.abs(bands_db(first) - bands_db(other)).max() > 3
    assert np.allclose(equalised(wave, 0.0, rng(1)), wave, atol=1e-4)
    assert not equalised(np.zeros(800, np.float32), 6.0, rng(1)).any()


def test_a_narrow_band_ends_below_7_khz():
    for seed in range(8):
        wave = band_limited(noise(2), rng(seed))
        hertz = np.fft.rfftfreq(len(wave), 1 / RATE)
        power = np.abs(np.fft.rfft(wave)) ** 2
        assert power[hertz > 7900].mean() < 0.1 * power[(hertz > 500) & (hertz < 3000)].mean()


def test_augmented_chunks_say_the_same_at_the_same_time():
    plain, augmented = (
        Simulator(bank(4), Acoustics(), [DRY], chunk_s=3.0, channel_augmentation=config)
        for config in (
            ChannelAugmentationConfig(),
            ChannelAugmentationConfig(equaliser=1.0, equaliser_db=6.0),
        )
    )
    kept = augmented.chunk(rng(5))
    assert np.array_equal(kept.wave, augmented.chunk(rng(5)).wave)
    assert kept.wave.shape == plain.chunk(rng(5)).wave.shape and np.isfinite(kept.wave).all()


def test_noise_drowns_all():
    def quietest(config):
        simulator = Simulator(bank(2), Acoustics(), [ALONE], channel_augmentation=config)
        waves = [simulator.chunk(rng(seed)).wave for seed in range(12)]
        frames = [np.square(wave.reshape(-1, 160)).mean(axis=1) for wave in waves]
        return np.median([power.min() / power.max() for power in frames])

    assert quietest(ChannelAugmentationConfig(noise=1.0)) > 100 * quietest(
        ChannelAugmentationConfig()
    )


ALONE = dataclasses.replace(DRY, speakers=(1, 2))


@pytest.mark.parametrize(
    "wrong",
    [
        {"equaliser": 1.5},
        {"band_limit": -0.1},
        {"noise": 2},
        {"level": 2},
        {"equaliser_db": -1.0},
        {"noise_db": (9.0, 3.0)},
    ],
)
def test_settings_that_cannot_be(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        ChannelAugmentationConfig(**wrong)
