"""One vector for the one speaker of a clip, from the speech in it.

A clip has one expected speaker. Its speech, with a little sound around it and without long
pauses, is cut into pieces of at most 4 s; the mean of their vectors, made a unit vector, is the
clip's vector. Of a long file only the first minutes are read: more would add nothing.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from diarize.audio.level import level_out
from diarize.core.regions import merge_regions
from diarize.segmentation.base import Segmenter
from encoder.audio.load import load_audio
from encoder.common.settings import Settings, bounded
from encoder.common.units import SAMPLE_RATE, samples_to_seconds, seconds_to_samples
from encoder.common.vectors import unit_rows
from encoder.errors import ConfigError
from encoder.inference.window_embedder import WindowEmbedder, check_vectors

__all__ = ["ClipEmbedder", "ClipEmbedding", "ClipEmbeddingConfig"]

RECIPE = 1  # to be raised whenever a clip's vector is made in another way: caches know it by this
# Caches hold digests of where a segmenter's class lived when they were first written.
_FIRST_HOME = {"diarize.segmentation.neural": "diarize.segmentation.neural.segmenter"}


@dataclass(frozen=True)
class ClipEmbeddingConfig(Settings):
    """Lengths in seconds."""

    piece_s: float = bounded(4.0, least=0.5, most=600, help="the longest stretch with one vector")
    around_s: float = bounded(
        0.5, least=0, most=60, help="sound kept on each side of speech, as training has it"
    )
    pause_s: float = bounded(1.0, least=0, most=3600, help="longer pauses are cut out")
    shortest_s: float = bounded(
        0.5, least=0, most=3600, help="clips with less speech get no vector"
    )
    longest_s: float = bounded(300.0, least=0.5, most=86_400, help="no more of a file is read")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.piece_s > self.longest_s:
            raise ConfigError(
                f"piece_s is {self.piece_s}: give at most longest_s ({self.longest_s})"
            )


@dataclass(frozen=True, eq=False)
class ClipEmbedding:
    """One clip. Without enough speech `pieces` is (0, D) and `vector` None.

    pieces: (P, D) unit vectors in time order. vector: (D,) unit. speech_s: seconds of speech that
    were read. duration_s: seconds of the clip that were read. wave: (T,) the speech itself.
    warnings: what is wrong with the file, without its name.
    """

    pieces: NDArray[np.float32]
    vector: NDArray[np.float32] | None
    speech_s: float
    duration_s: float
    wave: torch.Tensor
    warnings: list[str] = field(default_factory=list)


class _Stored:
    """A config as caches have always spelled it, whatever its class is called."""

    def __init__(self, config: ClipEmbeddingConfig) -> None:
        self.config = config

    def __repr__(self) -> str:
        return repr(self.config).replace(type(self.config).__name__, "VoiceConfig", 1)


class ClipEmbedder:
    """Ready-made parts; call it with one clip after another, from several threads if you like."""

    def __init__(
        self,
        segmenter: Segmenter,
        embedder: WindowEmbedder,
        config: ClipEmbeddingConfig | None = None,
    ) -> None:
        self.segmenter = segmenter
        self.embedder = embedder
        self.config = config or ClipEmbeddingConfig()
        self._segmenting = threading.Lock()  # a segmenter may keep its state in its model

    @property
    def fingerprint(self) -> str:
        """Vectors are comparable only with others of one fingerprint: the embedder's."""
        return self.embedder.fingerprint

    @property
    def recipe(self) -> str:
        """A digest of all that makes the vector but the embedder: equal only for equal vectors."""
        kind = type(self.segmenter)
        parts = (
            RECIPE, _Stored(self.config), _FIRST_HOME.get(kind.__module__, kind.__module__),
            kind.__qualname__, getattr(self.segmenter, "config", None),
        )  # fmt: skip
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]

    def __call__(self, path: str | Path) -> ClipEmbedding:
        """Raises AudioError for a file that cannot be read as sound, CheckpointError where the
        embedder gives values that are not numbers."""
        warnings: list[str] = []
        longest = seconds_to_samples(self.config.longest_s)
        one_more = samples_to_seconds(longest + 1)  # tells whether the file goes on
        wave = load_audio(path, duration_s=one_more, on_warning=warnings.append)
        # What is cached of a clip must hold under another name, too.
        warnings = [text.removeprefix(f"{str(path)!r} ") for text in warnings]
        if len(wave) > longest:
            wave = wave[:longest]
            warnings.append(f"only the first {self.config.longest_s:g} s were read")
        return replace(self.of_wave(wave), warnings=warnings)

    def of_wave(self, wave: torch.Tensor) -> ClipEmbedding:
        """The embedding of a wave (T,)."""
        wave = level_out(wave)
        with self._segmenting:
            regions = self.segmenter(wave).regions
        speech_s = samples_to_seconds(int((regions[:, 1] - regions[:, 0]).sum()))
        duration_s = samples_to_seconds(len(wave))
        speech = _around(wave, regions, self.config)
        enough = speech_s >= self.config.shortest_s
        if not enough or len(speech) < self.embedder.minimum_samples:
            return ClipEmbedding(
                np.zeros((0, 0), np.float32), None, speech_s, duration_s, speech[:0]
            )
        pieces = check_vectors(
            self.embedder.embed_windows(speech, _pieces(len(speech), self.config)),
            self.embedder.fingerprint,
        )
        return ClipEmbedding(pieces, unit_rows(pieces.mean(axis=0)), speech_s, duration_s, speech)


def _around(
    wave: torch.Tensor, regions: NDArray[np.int64], config: ClipEmbeddingConfig
) -> torch.Tensor:
    """The regions with `around_s` on each side, joined; pauses up to `pause_s` stay."""
    around, pause = seconds_to_samples(config.around_s), seconds_to_samples(config.pause_s)
    grown = np.clip(regions + np.array([-around, around]), 0, len(wave))
    spans = merge_regions(grown, closer_than=pause + 1).tolist()
    return torch.cat([wave[start:end] for start, end in spans]) if spans else wave[:0]


def _pieces(length: int, config: ClipEmbeddingConfig) -> NDArray[np.int64]:
    """Bounds (P, 2) of equal, half overlapping pieces; a short clip is one, of whole tenths of a
    second where it can be, because every new length costs a convolution's set-up."""
    size = seconds_to_samples(config.piece_s)
    if length <= size:
        tenth = SAMPLE_RATE // 10
        return np.array([[0, length // tenth * tenth or length]], np.int64)
    count = 1 + -(-(length - size) // (size // 2))
    starts = np.round(np.linspace(0, length - size, count)).astype(np.int64)
    return np.stack([starts, starts + size], axis=1)
