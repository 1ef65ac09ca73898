"""A call keeps the voice in its place and its band, and every codec changes it in its own way."""

import numpy as np
import pytest
import torch

from encoder.audio.torchaudio_compat import torchaudio
from encoder.augmentation import codecs as codecs_room
from encoder.augmentation.codecs import CODEC_RATE, CODECS, codecs, through_codec
from encoder.augmentation.telephone import codec_of, through_telephone
from encoder.errors import ConfigError

EVERYWHERE = {"mulaw", "alaw"}  # part of every FFmpeg; any other may be missing from a build


def voice(seconds=2.0, seed=0, rate=16_000):
    """(T,) syllables of a gliding pitch through resonances, with a little breath."""
    rng = np.random.default_rng(seed)
    at = np.arange(round(seconds * rate)) / rate
    pitch = np.cumsum(110 + 40 * np.sin(2 * np.pi * (0.7 + 0.2 * seed) * at)) / rate
    pulses = np.diff(np.floor(pitch), prepend=0.0) + 0.01 * rng.standard_normal(len(at))
    short = at[: rate // 20]
    tract = sum(
        np.exp(-w * short) * np.sin(2 * np.pi * f * short)
        for f, w in ((500, 300), (1500, 400), (2600, 500))
    )
    wave = np.convolve(pulses, tract)[: len(at)] * (0.1 + np.sin(2 * np.pi * 3 * at) ** 2)
    return torch.from_numpy((0.3 * wave / np.abs(wave).max()).astype(np.float32))


def lag_and_likeness(out, wave):
    """Samples by which `out` is late, and the correlation there."""
    size = 2 * len(wave)
    product = np.fft.rfft(out.numpy(), size) * np.fft.rfft(wave.numpy(), size).conj()
    correlation = np.fft.irfft(product, size)
    lag = int(correlation.argmax())
    power = float(out.square().sum() * wave.square().sum()) ** 0.5
    return lag - size if lag > size // 2 else lag, correlation.max() / power


def call(wave, codec="mulaw", seed=0, **settings):
    return through_telephone(wave, codec=codec, rng=np.random.default_rng(seed), **settings)


def test_the_codecs_of_this_build_are_known():
    assert set(CODECS) >= set(codecs()) >= EVERYWHERE
    assert len(codecs()) >= 5  # what PyAV's wheels carry


@pytest.mark.parametrize("codec", codecs())
def test_a_call_is_neither_late_nor_longer(codec):
    for seed in range(4):
        wave = voice(seed=seed)
        out = call(wave, codec, seed)
        assert out.shape == wave.shape
        assert out.dtype == torch.float32
        lag, likeness = lag_and_likeness(out, wave)
        assert abs(lag) <= 3, (codec, lag)  # 0.2 ms
        assert likeness > 0.5
        assert not torch.allclose(out, wave, atol=1e-3)


@pytest.mark.parametrize("codec", codecs())
def test_nothing_is_left_above_the_band(codec):
    noise = torch.from_numpy(np.random.default_rng(1).standard_normal(32_000).astype(np.float32))
    power = torch.fft.rfft(call(0.1 * noise, codec)).abs().square()
    hertz = torch.fft.rfftfreq(32_000, 1 / 16_000)
    inside = power[(hertz > 500) & (hertz < 3000)].mean()
    assert power[hertz > 4300].mean() < 1e-3 * inside


def test_the_edges_are_drawn():
    """White noise through calls without a coarse codec: the -10 dB points move."""
    noise = torch.from_numpy(np.random.default_rng(1).standard_normal(64_000).astype(np.float32))
    hertz = torch.fft.rfftfreq(64_000, 1 / 16_000)
    highs, lows = [], []
    for seed in range(12):
        power = torch.fft.rfft(call(0.1 * noise, "mulaw", seed)).abs().square()
        bands = power[: 64_000 // 2].reshape(-1, 100).mean(dim=1)  # 25 Hz each
        centres = hertz[: 64_000 // 2].reshape(-1, 100).mean(dim=1)
        loud = centres[bands > 0.1 * bands[(centres > 1000) & (centres < 2000)].mean()]
        lows.append(float(loud.min()))
        highs.append(float(loud.max()))
    assert 25 < min(lows) < 150 < 200 < max(lows) < 360
    assert 3100 < min(highs) < 3500 < 3550 < max(highs) < 3900


def test_coarser_codecs_do_more_harm():
    wave = voice(rate=CODEC_RATE).numpy()
    error = {
        rate: np.square(through_codec(wave, "g726", bit_rate=rate) - wave).mean()
        for rate in CODECS["g726"].bit_rates
        if "g726" in codecs()
    }
    assert list(error.values()) == sorted(error.values(), reverse=True)


def test_mulaw_is_the_companding_of_g711():
    """Within half a step of the logarithmic scale: 1/256 of its 8 bits' range."""
    wave = voice(rate=CODEC_RATE).numpy()
    curve = lambda x: np.sign(x) * np.log1p(255 * np.abs(x)) / np.log(256)  # noqa: E731
    error = np.abs(curve(through_codec(wave, "mulaw")) - curve(wave))
    assert error.max() < 1.5 / 128
    assert error.max() > 0.3 / 128


def test_lost_packets_are_silent():
    wave = voice()
    whole, holes = call(wave), call(wave, loss=0.3)
    packets = [(holes[at : at + 320], whole[at : at + 320]) for at in range(0, 32_000, 320)]
    energy = torch.tensor([float(h.square().sum() / w.square().sum()) for h, w in packets])
    assert 15 < int((energy < 0.2).sum()) < 45
    assert int((energy > 0.8).sum()) > 40


@pytest.mark.parametrize("codec", codecs())
@pytest.mark.parametrize("samples", [0, 1, 159, 4000])
def test_very_short_and_silent_waves(codec, samples):
    for wave in (torch.zeros(samples), torch.full((samples,), 1.5)):
        out = call(wave, codec, loss=0.1)
        assert out.shape == (samples,)
        assert out.isfinite().all()


def test_the_generator_decides():
    wave = voice(1.0)
    assert torch.equal(call(wave, "g726", 3), call(wave, "g726", 3))
    assert not torch.equal(call(wave, "g726", 3), call(wave, "g726", 4))


@pytest.mark.parametrize("codec", ["nonesuch", ""])
def test_an_unknown_codec(codec):
    with pytest.raises(ConfigError, match=r"no codec .* here: choose from mulaw, alaw"):
        call(voice(0.1), codec)


def test_a_codec_that_the_build_lacks_is_not_offered(monkeypatch):
    lacking = {**CODECS, "carrier-pigeon": CODECS["mulaw"]._replace(encoder="nonesuch")}
    monkeypatch.setattr(codecs_room, "CODECS", lacking)
    codecs.cache_clear()
    try:
        assert "carrier-pigeon" not in codecs()
        assert "mulaw" in codecs()
    finally:
        codecs.cache_clear()


def test_codecs_by_name_are_stable_and_spread():
    names = [f"a/{i}.wav" for i in range(4000)]
    chosen = [codec_of(name) for name in names]
    assert chosen == [codec_of(name) for name in names]
    counts = [chosen.count(codec) for codec in codecs()]
    expected = 4000 / len(codecs())
    assert sum(counts) == 4000
    assert max(abs(c - expected) for c in counts) < 5 * expected**0.5
    some = [codec_of(name, share=0.25) for name in names]
    assert 850 < sum(c is not None for c in some) < 1150
    assert all(a in (None, b) for a, b in zip(some, chosen, strict=True))
    assert codec_of("a", share=0.0) is None


def test_resampling_itself_is_aligned():
    """The step between is linear phase; were it not, every codec's measured delay would hide it."""
    wave = voice()
    resample = torchaudio().functional.resample
    back = resample(resample(wave, 16_000, CODEC_RATE), CODEC_RATE, 16_000)
    assert lag_and_likeness(back, wave)[0] == 0
