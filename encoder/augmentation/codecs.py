"""Narrow-band speech codecs: a wave encoded and decoded in memory, aligned with what went in.

The codecs are those of the FFmpeg that PyAV carries, so a build may lack some: `codecs` lists what
is there. A codec's delay is measured once, on a made-up voice, and taken away.
"""

from __future__ import annotations

import functools
import io
from fractions import Fraction
from typing import NamedTuple

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream

from encoder.audio.media.decoding import decode, resample, samples_of
from encoder.audio.media.opening import open_media
from encoder.errors import AudioError, ConfigError

__all__ = ["CODECS", "CODEC_RATE", "Codec", "codecs", "through_codec"]

CODEC_RATE = 8000  # Hz; of every codec here
_LONGEST_DELAY = 2048  # samples
_TAIL = 1024  # samples of silence behind the wave, so that a late codec does not lose its end


class Codec(NamedTuple):
    """How FFmpeg makes and carries it; an empty `bit_rates` leaves the codec its only one."""

    encoder: str
    container: str
    bit_rates: tuple[int, ...] = ()
    options: tuple[tuple[str, str], ...] = ()


CODECS = {
    "mulaw": Codec("pcm_mulaw", "wav"),  # G.711, landlines of America and Japan
    "alaw": Codec("pcm_alaw", "wav"),  # G.711, landlines elsewhere
    "g726": Codec("g726", "wav", (16_000, 24_000, 32_000)),  # cordless phones, old trunks
    "g723": Codec("g723_1", "wav", (6_300,)),  # early calls over the Internet
    "amr": Codec("libopencore_amrnb", "wav", (4_750, 5_900, 7_400, 12_200)),  # mobile phones
    "opus": Codec("libopus", "nut", (6_000, 8_000, 12_000), (("application", "voip"),)),  # apps
    "mp3": Codec("libmp3lame", "mp3", (8_000, 16_000)),  # stored calls
    "ra144": Codec("real_144", "matroska"),  # linear prediction at 8 kbit/s
}


@functools.cache
def codecs() -> tuple[str, ...]:
    """Names of the codecs that work with the FFmpeg at hand, in the order of `CODECS`."""
    return tuple(name for name in CODECS if _works(name))


def through_codec(wave: np.ndarray, codec: str, *, bit_rate: int | None = None) -> np.ndarray:
    """(T,) float32 at 8 kHz -> (T,) float32, encoded and decoded; what was at T is at T again.

    bit_rate: bits a second, one of the codec's; its first if not given. Samples beyond [-1, 1] are
    clipped. ConfigError for a codec that is not there.
    """
    if codec not in CODECS or (codec not in codecs()):
        raise ConfigError(f"there is no codec {codec!r} here: choose from {', '.join(codecs())}")
    out = _round_trip(wave, codec, bit_rate)[_delay(codec) :][: len(wave)]
    return np.pad(out, (0, len(wave) - len(out)))


def _works(name: str) -> bool:
    try:
        return len(_round_trip(_voice()[:2000], name, None)) > 0
    except (av.FFmpegError, ValueError, AudioError):
        return False  # the codec or its container is not compiled in


def _round_trip(wave: np.ndarray, name: str, bit_rate: int | None) -> np.ndarray:
    """`wave` (T,) and a silent tail, encoded and decoded; late by the codec's delay."""
    codec = CODECS[name]
    padded = np.pad(wave.astype(np.float32).clip(-1, 1), (0, _TAIL))
    frame = AudioFrame.from_ndarray(padded[None], format="flt", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = CODEC_RATE, 0, Fraction(1, CODEC_RATE)
    file = io.BytesIO()
    with av.open(file, "w", format=codec.container) as container:
        sound = container.add_stream(
            codec.encoder, rate=CODEC_RATE, layout="mono", options=dict(codec.options)
        )
        assert isinstance(sound, AudioStream)
        rate = bit_rate or (codec.bit_rates[0] if codec.bit_rates else None)
        if rate is not None:
            sound.codec_context.bit_rate = rate
        for ready in (frame, None):
            for packet in sound.encode(ready):
                container.mux(packet)
    file.seek(0)
    with open_media(file) as media:
        frames = [piece.frame for piece in decode(media) if piece.frame]
    if not frames:
        return np.zeros(0, np.float32)
    waves = (samples_of([frame])[0] for frame in frames)
    return np.concatenate(list(resample(waves, frames[0].sample_rate, CODEC_RATE)))


@functools.cache
def _delay(codec: str) -> int:
    """Samples by which a codec's output is late: the lag of the highest correlation."""
    wave = _voice()
    late = _round_trip(wave, codec, None)
    size = 2 * max(len(wave), len(late)) + _LONGEST_DELAY
    spectrum = np.fft.rfft(late, size) * np.fft.rfft(wave, size).conj()
    return int(np.fft.irfft(spectrum, size)[:_LONGEST_DELAY].argmax())


def _voice() -> np.ndarray:
    """(T,) a second of pulses at a rising pitch through three resonances, as in a vowel."""
    at = np.arange(CODEC_RATE) / CODEC_RATE
    pulses = np.diff(np.floor(100 * at + 30 * at**2), prepend=0.0)
    short = at[:400]
    response = np.zeros(len(short))
    for hertz, width in ((600, 300), (1400, 400), (2500, 600)):
        response += np.exp(-width * short) * np.sin(2 * np.pi * hertz * short)
    voice = np.convolve(pulses, response)[: len(at)]
    return (0.3 * voice / np.abs(voice).max()).astype(np.float32)
