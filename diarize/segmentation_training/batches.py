"""Training of the local segmentation network, by the one training loop of the house.

Conversations come from anything with a method `chunk` (`ChunkSource`), such as the simulator. Batch
number n depends on the seed and n alone, so a run that stops and goes on sees the batches it would
have seen. Other processes make them ahead, in order.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from diarize.segmentation.network.powerset import IGNORED, Powerset
from diarize.segmentation_training.config import HOP, BatchConfig
from diarize.simulation.labelled_chunk import ChunkSource
from encoder.common.units import seconds_to_samples
from encoder.features.log_mel import LogMel

__all__ = [
    "Batch",
    "ChunkBatches",
    "centred",
    "most_speaking",
]


class Batch(NamedTuple):
    """features (B, F, M) float16, log-mel; classes (B, F / 2) int64, or IGNORED; speakers
    (B, F / 2) int64, the number of who speaks alone, or IGNORED."""

    features: Tensor
    classes: Tensor
    speakers: Tensor


def centred(wave: Tensor, log_mel: LogMel) -> Tensor:
    """(T,) -> (T // hop, M): frame f is centred on the samples [f * hop, (f + 1) * hop)."""
    margin = log_mel.config.window - log_mel.config.hop
    before = margin // 2
    return log_mel(nn.functional.pad(wave, (before, margin - before)))


def most_speaking(
    activity: NDArray[np.bool_], count: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(F, K) -> the `count` columns that speak most (F, count), silent ones added if there are
    fewer; and the frames (F,) in which one of the others speaks.

    What a fourth speaker says must not be learnt as silence, so those frames are ignored.
    """
    order = np.argsort(-activity.sum(axis=0), kind="stable")
    kept = np.zeros((len(activity), count), np.bool_)
    kept[:, : min(count, len(order))] = activity[:, order[:count]]
    return kept, np.any(activity[:, order[count:]], axis=1)


class ChunkBatches:
    """Callable: number -> `Batch`. Numbers that follow each other by `every` are made ahead.

    Close it, or use it in a `with`, to end its processes.
    """

    def __init__(
        self,
        source: ChunkSource,
        powerset: Powerset,
        *,
        config: BatchConfig,
        seed: int,
        numbers: int,
        every: int = 1,
    ) -> None:
        self._made = _Made(source, powerset, config, seed)
        self.config, self.every = config, every
        self._numbers = numbers
        self._ready: Iterator[Batch] | None = None
        self._next = -1

    def __call__(self, number: int) -> Batch:
        if self.config.workers == 0:
            return self._made[number]
        if self._ready is None or number != self._next:
            self.close()
            self._ready = self._from(number)
        self._next = number + self.every
        return next(self._ready)

    def __enter__(self) -> ChunkBatches:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes; the next call starts others."""
        ready, self._ready = self._ready, None
        if (shut := getattr(ready, "_shutdown_workers", None)) is not None:
            shut()

    def _from(self, number: int) -> Iterator[Batch]:
        # With fork, processes share the memory of the speech.
        ways = multiprocessing.get_all_start_methods()
        loader = DataLoader(
            self._made,
            batch_size=None,
            sampler=range(number, max(self._numbers, number + 1), self.every),
            num_workers=self.config.workers,
            prefetch_factor=self.config.ahead,
            multiprocessing_context="fork" if "fork" in ways else None,
            # Its own: torch's random numbers belong to the network.
            generator=torch.Generator(),
            worker_init_fn=_leave_interrupts,
        )
        return iter(loader)


def _leave_interrupts(worker: int) -> None:
    """Ctrl-C reaches all processes of a terminal; the training ends its own when it has finished
    the step."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class _Made(Dataset[Batch]):
    def __init__(
        self, source: ChunkSource, powerset: Powerset, config: BatchConfig, seed: int
    ) -> None:
        self.source, self.powerset, self.config, self.seed = source, powerset, config, seed
        self.log_mel = LogMel()

    def __getitem__(self, number: int) -> Batch:
        rng = np.random.default_rng([self.seed, number])
        chunks = [self._chunk(rng) for _ in range(self.config.chunks)]
        features, kept, ignored, alone = zip(*chunks, strict=True)
        classes = self.powerset.of(torch.from_numpy(np.stack(kept)))
        return Batch(
            torch.stack(features),
            torch.where(torch.from_numpy(np.stack(ignored)), IGNORED, classes),
            torch.from_numpy(np.stack(alone)),
        )

    def _chunk(
        self, rng: np.random.Generator
    ) -> tuple[Tensor, NDArray[np.bool_], NDArray[np.bool_], NDArray[np.int64]]:
        wave, activity, speakers = self.source.chunk(rng)
        T = seconds_to_samples(self.config.chunk_s)
        if wave.shape != (T,) or len(activity) != T // HOP:
            raise ValueError(
                f"a chunk has {wave.shape} samples and {len(activity)} frames: it needs {T} and "
                f"{T // HOP}"
            )
        if rng.random() < self.config.quiet:
            wave = wave * np.float32(10 ** (-rng.uniform(0, self.config.quiet_db) / 20))
        features = centred(torch.from_numpy(wave), self.log_mel).to(torch.float16)
        pairs = activity[0::2] | activity[1::2]
        kept, ignored = most_speaking(pairs, self.powerset.speakers)
        alone = np.full(len(pairs), IGNORED, np.int64)
        if len(speakers):
            one = pairs.sum(axis=1) == 1
            alone[one] = speakers[pairs[one].argmax(axis=1)]
        return features, kept, ignored, alone
