"""Clips of tones for tests: the pitch is the voice.

write_tone(path, hz, seconds); tone_voices() hears it with a segmenter and an embedder that are
small enough to count on.
"""

from __future__ import annotations

import os
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import torch

from diarize.embedding.clip_embedding import ClipEmbedder, ClipEmbeddingConfig
from diarize.segmentation.base import Segmentation, Segmenter

__all__ = ["BandEmbedder", "LoudSegmenter", "blocks_of", "tone_voices", "write_tone"]


class LoudSegmenter(Segmenter):
    """Speech is where 0.1 s blocks are not silent. Counts its calls and who is inside at once."""

    def __init__(self) -> None:
        self.calls = 0
        self.inside = self.most_inside = 0
        self._lock = threading.Lock()

    def segment(self, blocks):
        with self._lock:
            self.calls += 1
            self.inside += 1
            self.most_inside = max(self.most_inside, self.inside)
        wave = torch.cat(list(blocks))
        n = len(wave) // 1600
        loud = wave[: n * 1600].reshape(n, 1600).abs().amax(dim=1).numpy() > 1e-3
        edges = np.flatnonzero(np.diff(np.concatenate([[False], loud, [False]]).astype(int)))
        with self._lock:
            self.inside -= 1
        return Segmentation(edges.reshape(-1, 2).astype(np.int64) * 1600)


class BandEmbedder:
    """(D,) = (16,): the strength of 16 bands of 100 Hz, a unit vector."""

    minimum_samples = 1600

    def __init__(self, fingerprint: str = "bands") -> None:
        self.fingerprint = fingerprint
        self.lengths: list[int] = []

    def embed_windows(self, wave, bounds, *, on_done=None):
        rows = []
        for start, end in bounds.tolist():
            self.lengths.append(end - start)
            power = np.abs(np.fft.rfft(wave[start:end].numpy().astype(float))) ** 2
            hz = np.fft.rfftfreq(end - start, 1 / 16000)
            row = np.array([power[(hz >= b * 100) & (hz < b * 100 + 100)].sum() for b in range(16)])
            rows.append(np.sqrt(row) / np.sqrt(row.sum()))
        return np.array(rows, np.float32).reshape(-1, 16)

    def embed_stretches(self, stretches):
        for stretch in stretches:
            yield self.embed_windows(stretch.wave, stretch.bounds)


def tone_voices(
    fingerprint: str = "bands", config: ClipEmbeddingConfig | None = None
) -> ClipEmbedder:
    return ClipEmbedder(LoudSegmenter(), BandEmbedder(fingerprint), config)


def write_tone(
    path: Path, hz: float, seconds: float = 2.0, *, volume: float = 0.3, noise: float = 0.01
) -> Path:
    """A tone with a little noise, other noise under another name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    at_s = np.arange(round(seconds * 16000)) / 16000
    seed = zlib.crc32(os.fsencode(path.name))
    hiss = noise * np.random.default_rng(seed).standard_normal(len(at_s))
    wave = volume * (np.sin(2 * np.pi * hz * at_s) + hiss)
    with path.open("wb") as file:
        soundfile.write(file, wave.astype(np.float32), 16000, format="WAV")
    return path


def blocks_of(wave: torch.Tensor, longest: int) -> Iterator[torch.Tensor]:
    """The wave (T,) in pieces of 0 to `longest` - 1 samples; the same pieces every time."""
    rng = np.random.default_rng(longest)
    start = 0
    while start < len(wave):
        size = int(rng.integers(0, longest))
        yield wave[start : start + size]
        start += size
