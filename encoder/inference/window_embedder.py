"""Embedders: what turns windows of a wave into unit vectors.

`WindowEmbedder` is what every stage works with, `FunctionEmbedder` makes one of a plain function,
and `BatchedEmbedder` is the base of those that come with the toolkit: windows of one length share a
forward pass, so that none is ever padded. Padding would change the vectors of the shorter windows;
other company in a batch changes none. Windows that overlap may share more than that: they can be
given as a stretch.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from encoder.common.units import samples_to_seconds
from encoder.common.vectors import unit_rows
from encoder.errors import AudioError, CheckpointError, ConfigError

__all__ = [
    "BatchedEmbedder",
    "FunctionEmbedder",
    "Stretch",
    "WindowEmbedder",
    "as_window_embedder",
    "check_vectors",
    "check_windows",
    "embed_group",
    "groups_of",
]

AT_ONCE = 32  # windows of a wave, at least, that wait for others of their length


class Stretch(NamedTuple):
    """A wave (T,) without a pause and its windows (N, 2) as sample offsets, in order, N >= 1."""

    wave: Tensor
    bounds: NDArray[np.int64]


class WindowEmbedder(ABC):
    """What turns windows of a wave into unit vectors; derive from it to bring a model of your own.

    A subclass sets `fingerprint` and `minimum_samples` and writes `embed_windows`.

    Attributes:
        fingerprint: Names the space of the vectors. It is stored with them; vectors of two
            embedders are never compared.
        minimum_samples: The shortest window that can be embedded, in samples at 16 kHz.
    """

    fingerprint: str
    minimum_samples: int

    @abstractmethod
    def embed_windows(
        self,
        wave: Tensor,
        bounds: NDArray[np.int64],
        *,
        on_done: Callable[[int, int], None] | None = None,
    ) -> NDArray[np.float32]:
        """Embed windows of a wave.

        Args:
            wave: (T,) float32 in [-1, 1] at 16 kHz.
            bounds: (N, 2) start and end of each window as sample offsets; N may be 0.
            on_done: Is given the number of windows that are done, and of all.

        Returns:
            (N, D) float32 vectors of unit norm.

        Raises:
            AudioError: A window leaves the wave or is shorter than `minimum_samples`.
        """

    def embed(self, wave: Tensor) -> NDArray[np.float32]:
        """Embed a wave as one window.

        Args:
            wave: (T,) float32 in [-1, 1] at 16 kHz.

        Returns:
            (D,) float32 vector of unit norm.

        Raises:
            AudioError: The wave is shorter than `minimum_samples`.
        """
        return self.embed_windows(wave, np.array([[0, len(wave)]]))[0]

    def embed_stretches(self, stretches: Iterable[Stretch]) -> Iterator[NDArray[np.float32]]:
        """Embed the windows of stretches, which an embedder may compute together.

        Here each window is embedded on its own, several stretches in one call. An embedder that can
        share work among the windows of a stretch overrides this, and its vectors may then differ a
        little from those of `embed_windows`.

        Args:
            stretches: Waves with their windows; taken as they are needed.

        Returns:
            An iterator over (N, D) float32 vectors of unit norm, one array a stretch.

        Raises:
            AudioError: As for `embed_windows`.
        """
        for group in groups_of(stretches):
            yield from embed_group(self, group)


class FunctionEmbedder(WindowEmbedder):
    """An embedder made of a plain function, which gets one window at a time."""

    def __init__(
        self,
        function: Callable[[Tensor], ArrayLike | Tensor],
        *,
        name: str = "",
        minimum_samples: int = 1600,
    ) -> None:
        """Take the function, and try it on quiet noise.

        Args:
            function: Wave (T,) float32 in [-1, 1] at 16 kHz -> vector (D,) of any norm.
            name: Of the model and its version. The fingerprint is a hash of it, so give another
                name whenever the vectors change.
            minimum_samples: The shortest window that the function takes, in samples at 16 kHz.

        Raises:
            ConfigError: There is no name, or the function does not give one vector of numbers.
        """
        if not name.strip():
            raise ConfigError(
                "the embedder has no name: give that of the model and its version, so that its "
                "vectors are never compared with those of another"
            )
        self.name, self.minimum_samples = name, minimum_samples
        self.fingerprint = hashlib.sha256(f"function {name}".encode()).hexdigest()[:8]
        self._function = function
        noise = torch.rand(minimum_samples, generator=torch.Generator().manual_seed(0))
        self._size = len(self._vector(0.2 * noise - 0.1))

    def embed_windows(
        self,
        wave: Tensor,
        bounds: NDArray[np.int64],
        *,
        on_done: Callable[[int, int], None] | None = None,
    ) -> NDArray[np.float32]:
        """Embed windows of a wave, one after another.

        Args:
            wave: (T,) float32 in [-1, 1] at 16 kHz.
            bounds: (N, 2) start and end of each window as sample offsets; N may be 0.
            on_done: Is given the number of windows that are done, and of all.

        Returns:
            (N, D) float32 vectors of unit norm.

        Raises:
            AudioError: A window leaves the wave or is shorter than `minimum_samples`.
            ConfigError: The function does not give one vector of numbers.
        """
        check_windows(len(wave), bounds, self.minimum_samples)
        out = np.empty((len(bounds), self._size), np.float32)
        for row, (start, end) in enumerate(bounds.tolist()):
            vector = self._vector(wave[start:end])
            if len(vector) != self._size:
                raise ConfigError(
                    f"the function of {self.name!r} gives {len(vector)} values for "
                    f"{end - start} samples and {self._size} for others: give as many for all"
                )
            out[row] = vector
            if on_done:
                on_done(row + 1, len(bounds))
        return unit_rows(out)

    def _vector(self, wave: Tensor) -> NDArray[np.float32]:
        given = self._function(wave)
        if isinstance(given, Tensor):
            given = given.detach().cpu().numpy()
        try:
            vector = np.asarray(given, np.float32)
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"the function of {self.name!r} gives {type(given).__name__}, not numbers: "
                "give one vector (D,)"
            ) from error
        if vector.size == 0 or vector.size != max(vector.shape, default=0):
            raise ConfigError(
                f"the function of {self.name!r} gives an array of shape {vector.shape} for a wave "
                "(T,): give one vector (D,)"
            )
        if not np.isfinite(vector).all():
            raise ConfigError(
                f"the function of {self.name!r} gives values that are not numbers for "
                f"{samples_to_seconds(len(wave)):.3f} s: raise minimum_samples, or correct it"
            )
        return vector.reshape(-1)


class BatchedEmbedder(WindowEmbedder):
    """An embedder of the windows of a wave, given how a batch of one length is embedded.

    The result does not depend on `batch_size`, the windows in one forward pass.
    """

    batch_size: int

    @property
    @abstractmethod
    def embedding_size(self) -> int:
        """D."""

    @abstractmethod
    def _input_samples(self, samples: int) -> int:
        """How many of a window's samples reach the network: whole frames only."""

    @abstractmethod
    def _forward(self, waves: Tensor) -> NDArray[np.float32]:
        """(B, T) -> (B, D), unit norm."""

    @torch.inference_mode()
    def embed_windows(
        self,
        wave: Tensor,
        bounds: NDArray[np.int64],
        *,
        on_done: Callable[[int, int], None] | None = None,
    ) -> NDArray[np.float32]:
        """As `WindowEmbedder.embed_windows`; CheckpointError if the model gives no vectors."""
        check_windows(len(wave), bounds, self.minimum_samples)
        rows_of = defaultdict(list)
        for row, (start, end) in enumerate(bounds):
            rows_of[self._input_samples(int(end - start))].append(row)
        out = np.empty((len(bounds), self.embedding_size), np.float32)
        done = 0
        for samples, rows in rows_of.items():
            for at in range(0, len(rows), self.batch_size):
                some = rows[at : at + self.batch_size]
                waves = torch.stack([wave[s : s + samples] for s in bounds[some, 0]])
                out[some] = self._forward(waves)
                done += len(some)
                if on_done:
                    on_done(done, len(bounds))
        return out


class _WithStretches(WindowEmbedder):
    """An object that has all of a `WindowEmbedder` but `embed_stretches`."""

    def __init__(self, embedder: WindowEmbedder) -> None:
        self.fingerprint, self.minimum_samples = embedder.fingerprint, embedder.minimum_samples
        self._embedder = embedder

    def embed_windows(
        self,
        wave: Tensor,
        bounds: NDArray[np.int64],
        *,
        on_done: Callable[[int, int], None] | None = None,
    ) -> NDArray[np.float32]:
        return self._embedder.embed_windows(wave, bounds, on_done=on_done)


def as_window_embedder(embedder: WindowEmbedder) -> WindowEmbedder:
    """The embedder itself if it has all that is needed, else one with what is missing.

    A class need not derive from `WindowEmbedder`; `embed_stretches` is added where it is missing.
    ConfigError if anything else is.
    """
    for name in ("fingerprint", "minimum_samples", "embed_windows"):
        if not hasattr(embedder, name):
            raise ConfigError(
                f"the embedder {type(embedder).__name__} has no {name}: derive it from "
                "encoder.WindowEmbedder, or wrap a function in encoder.FunctionEmbedder"
            )
    return embedder if hasattr(embedder, "embed_stretches") else _WithStretches(embedder)


def check_windows(length: int, bounds: NDArray[np.int64], minimum_samples: int) -> None:
    """AudioError if a window (N, 2) leaves the wave or is too short."""
    if len(bounds) == 0:
        return
    shortest = (bounds[:, 1] - bounds[:, 0]).min()
    if shortest < minimum_samples:
        raise AudioError(
            f"a stretch of {shortest} samples is too short to embed: give at least "
            f"{minimum_samples} ({samples_to_seconds(minimum_samples):.3f} s)"
        )
    outside = (bounds[:, 0] < 0) | (bounds[:, 1] > length)
    if outside.any():
        start, end = bounds[outside][0]
        raise AudioError(
            f"the window [{start}, {end}) leaves the wave of {length} samples: cut it there"
        )


def check_vectors(vectors: NDArray[np.float32], fingerprint: str) -> NDArray[np.float32]:
    """What an embedder of that fingerprint has given, (N, D); CheckpointError if it is no numbers,
    which would pass for a speaker who is like nobody."""
    if not np.isfinite(vectors).all():
        raise CheckpointError(
            f"the embedder {fingerprint} gives values that are not numbers: fetch or train its "
            "weights again, or use another embedder",
            setting="embedder",
        )
    return vectors


def groups_of(stretches: Iterable[Stretch]) -> Iterator[list[Stretch]]:
    """Stretches in groups of `AT_ONCE` windows and a few more."""
    waiting: list[Stretch] = []
    for stretch in stretches:
        waiting.append(stretch)
        if sum(len(bounds) for _, bounds in waiting) >= AT_ONCE:
            yield waiting
            waiting = []
    if waiting:
        yield waiting


def embed_group(embedder: WindowEmbedder, group: list[Stretch]) -> list[NDArray[np.float32]]:
    """(N, D) of each stretch, all in one call."""
    starts = np.cumsum([0, *(len(wave) for wave, _ in group)])
    bounds = [bounds + start for (_, bounds), start in zip(group, starts, strict=False)]
    vectors = embedder.embed_windows(torch.cat([wave for wave, _ in group]), np.concatenate(bounds))
    return np.split(vectors, np.cumsum([len(some) for some in bounds])[:-1])
