"""Waves packed without loss: FLAC in memory, 16 bits at 16 kHz."""

from __future__ import annotations

import io
from fractions import Fraction

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from numpy.typing import ArrayLike, NDArray

from encoder.audio.media.decoding import decode, samples_of
from encoder.audio.media.opening import open_media
from encoder.common.units import SAMPLE_RATE

__all__ = ["from_flac", "to_flac", "to_int16"]

_BLOCK = 4096


def to_int16(wave: ArrayLike) -> NDArray[np.int16]:
    """Wave (T,) -> (T,) whole numbers; one that goes beyond 1 is made quieter, not clipped."""
    samples = np.asarray(wave, np.float32)
    peak = max(1.0, float(np.abs(samples).max(initial=0.0)))
    return np.round(samples * (32_767 / peak)).astype(np.int16)


def to_flac(samples: NDArray[np.int16]) -> bytes:
    """(T,) -> a FLAC file, about half the size."""
    file = io.BytesIO()
    with av.open(file, "w", format="flac") as container:
        sound = container.add_stream("flac", rate=SAMPLE_RATE, layout="mono")
        assert isinstance(sound, AudioStream)
        sound.codec_context.format = "s16"
        for start in range(0, len(samples), _BLOCK):
            block = np.ascontiguousarray(samples[None, start : start + _BLOCK])
            frame = AudioFrame.from_ndarray(block, format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = (
                SAMPLE_RATE, start, Fraction(1, SAMPLE_RATE),
            )  # fmt: skip
            for packet in sound.encode(frame):
                container.mux(packet)
        for packet in sound.encode(None):
            container.mux(packet)
    return file.getvalue()


def from_flac(content: bytes) -> NDArray[np.int16]:
    """The samples (T,) that `to_flac` was given. AudioError if `content` is none of its files."""
    with open_media(io.BytesIO(content)) as media:
        frames = [piece.frame for piece in decode(media) if piece.frame]
    wave = samples_of(frames)[0] if frames else np.zeros(0, np.float32)
    return np.round(wave * 32_768).astype(np.int16)
