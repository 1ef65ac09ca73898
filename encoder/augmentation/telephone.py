"""What a telephone call does to speech: its band, its codec, and lost packets.

A copy of an utterance through a call belongs to the same speaker; training on both makes
an embedder indifferent to the line.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from encoder.audio.torchaudio_compat import torchaudio
from encoder.augmentation.band import band_attenuation
from encoder.augmentation.codecs import CODEC_RATE, CODECS, codecs, through_codec
from encoder.common.hashing import hash_choice, hash_share

__all__ = ["codec_of", "through_telephone"]

_RATE = 16_000  # Hz
_LOW_HZ = (50.0, 350.0)  # where the band's lower edge may lie
_HIGH_HZ = (3200.0, 3700.0)
_PEAK_DB = (-26.0, -3.0)  # level at the codec, which decides how coarse it is
_LOST_S = 0.020  # one packet


def codec_of(name: str, *, share: float = 1.0) -> str | None:
    """The codec of the utterance `name`, from a hash of it; None for all but `share` of them.

    The choice does not depend on order, seed or other utterances.
    """
    text = f"telephone {name}"
    return hash_choice(text, codecs()) if hash_share(text) < share else None


def through_telephone(
    wave: Tensor, *, codec: str, rng: np.random.Generator, loss: float = 0.0
) -> Tensor:
    """(T,) wave -> (T,) wave as it comes through a call with `codec`, neither late nor longer.

    The band's edges, the level at the codec and its bit rate are drawn from `rng`. loss: share of
    20 ms packets that fall silent. ConfigError for a codec that is not there.
    """
    if len(wave) == 0:
        return wave
    narrow = _band(wave, rng.uniform(*_LOW_HZ), rng.uniform(*_HIGH_HZ))
    narrow = torchaudio().functional.resample(narrow, _RATE, CODEC_RATE)
    gain = 10 ** (rng.uniform(*_PEAK_DB) / 20) / max(float(narrow.abs().max()), 1e-4)
    rates = CODECS[codec].bit_rates if codec in CODECS else ()
    bit_rate = int(rng.choice(rates)) if rates else None
    decoded = through_codec((gain * narrow).numpy(), codec, bit_rate=bit_rate) / gain
    packets = -(-len(decoded) // round(_LOST_S * CODEC_RATE))
    lost = np.repeat(rng.random(packets) < loss, round(_LOST_S * CODEC_RATE))[: len(decoded)]
    call = torch.from_numpy(np.where(lost, 0, decoded).astype(np.float32))
    return torchaudio().functional.resample(call, CODEC_RATE, _RATE)[: len(wave)]


def _band(wave: Tensor, low_hz: float, high_hz: float) -> Tensor:
    """(T,) -> (T,) without what lies outside the band; no delay."""
    T = len(wave)
    size = T + _RATE // 10  # room for the filter's ringing, which must not come round to the start
    hertz = torch.fft.rfftfreq(size, 1 / _RATE).clamp_min(1.0)
    gains = band_attenuation(hertz, low_hz, high_hz).sqrt()
    return torch.fft.irfft(torch.fft.rfft(wave, n=size) / gains, n=size)[:T]
