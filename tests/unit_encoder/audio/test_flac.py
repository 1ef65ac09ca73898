"""Waves packed without loss."""

import numpy as np
import pytest

from encoder.audio.flac import from_flac, to_flac, to_int16
from encoder.errors import AudioError


@pytest.mark.parametrize("length", [0, 1, 100, 4096, 4097, 50_000])
def test_every_sample_comes_back(length):
    samples = np.random.default_rng(length).integers(-32_768, 32_768, length).astype(np.int16)
    np.testing.assert_array_equal(from_flac(to_flac(samples)), samples)


def test_a_smooth_sound_is_packed_well():
    samples = to_int16(0.3 * np.sin(np.arange(160_000) * 0.05))
    assert len(to_flac(samples)) < 0.5 * samples.nbytes


def test_a_peak_beyond_1_is_made_quieter_not_clipped():
    wave = np.array([0.5, -2.0, 1.0, 0.0], np.float32)
    np.testing.assert_array_equal(to_int16(wave), np.round(wave / 2 * 32_767))
    np.testing.assert_array_equal(to_int16(wave / 4), np.round(wave / 4 * 32_767))
    assert to_int16(np.zeros(0)).shape == (0,)


@pytest.mark.parametrize("content", [b"", b"no flac at all", to_flac(np.ones(50, np.int16))[:20]])
def test_what_is_no_flac_is_an_audio_error(content):
    with pytest.raises(AudioError):
        from_flac(content)
