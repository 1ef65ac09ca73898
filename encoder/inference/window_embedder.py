"""Windows of one length share a forward pass, so that none is ever padded.

Padding would change the vectors of the shorter windows; other company in a batch changes none.
Windows that overlap may share more than that: they can be given as a stretch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from encoder.common.units import samples_to_seconds
from encoder.errors import AudioError

__all__ = ["ByLength", "Stretch", "check_windows"]

AT_ONCE = 128  # windows of a wave, at least, that wait for others of their length


class Stretch(NamedTuple):
    """A wave (T,) without a pause and its windows (N, 2) as sample offsets, in order, N >= 1."""

    wave: Tensor
    bounds: NDArray[np.int64]


class ByLength(ABC):
    """An encoder that embeds the windows of a wave, given how it embeds a batch of one length.

    Vectors of two encoders must never be compared: `fingerprint` says which space they belong to.
    The result does not depend on `batch_size`, the windows in one forward pass.
    """

    fingerprint: str
    batch_size: int

    @property
    @abstractmethod
    def embedding_size(self) -> int:
        """D."""

    @property
    @abstractmethod
    def minimum_samples(self) -> int:
        """The shortest wave that can be embedded."""

    @abstractmethod
    def _heard_samples(self, samples: int) -> int:
        """How many of a window's samples reach the network: whole frames only."""

    @abstractmethod
    def _forward(self, waves: Tensor) -> NDArray[np.float32]:
        """(B, T) -> (B, D), unit norm."""

    def embed(self, wave: Tensor) -> NDArray[np.float32]:
        """(T,) wave -> (D,) unit vector; AudioError below `minimum_samples`."""
        return self.embed_windows(wave, np.array([[0, len(wave)]]))[0]

    @torch.inference_mode()
    def embed_windows(
        self,
        wave: Tensor,
        bounds: NDArray[np.int64],
        *,
        on_done: Callable[[int, int], None] | None = None,
    ) -> NDArray[np.float32]:
        """Wave (T,), windows (N, 2) as sample offsets -> (N, D) unit vectors.

        on_done: is given the number of windows that are done, and of all. AudioError if a window
        leaves the wave or is shorter than `minimum_samples`; what else a model can do wrong is a
        CheckpointError.
        """
        check_windows(len(wave), bounds, self.minimum_samples)
        rows_of = defaultdict(list)
        for row, (start, end) in enumerate(bounds):
            rows_of[self._heard_samples(int(end - start))].append(row)
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

    def embed_stretches(self, stretches: Iterable[Stretch]) -> Iterator[NDArray[np.float32]]:
        """For each stretch the unit vectors (N, D) of its windows, in order.

        Here each window is embedded on its own. An encoder that can share work among the windows of
        a stretch overrides this, and its vectors may then differ a little from those of
        `embed_windows`. Stretches are taken as they are needed. Errors as for `embed_windows`.
        """
        held: list[Stretch] = []
        for stretch in stretches:
            held.append(stretch)
            if sum(len(bounds) for _, bounds in held) >= AT_ONCE:
                yield from self._each_alone(held)
                held = []
        yield from self._each_alone(held)

    def _each_alone(self, stretches: list[Stretch]) -> Iterator[NDArray[np.float32]]:
        if not stretches:
            return
        starts = np.cumsum([0, *(len(wave) for wave, _ in stretches)])
        bounds = [bounds + start for (_, bounds), start in zip(stretches, starts, strict=False)]
        vectors = self.embed_windows(
            torch.cat([wave for wave, _ in stretches]), np.concatenate(bounds)
        )
        yield from np.split(vectors, np.cumsum([len(some) for some in bounds])[:-1])


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
