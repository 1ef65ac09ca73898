"""Overlapping chunks of a wave that goes by in blocks, and their mean in each frame.

Features are made once, although chunks overlap. The last chunk ends with the wave instead of
reaching past it, so it may begin closer to the one before; a wave shorter than a chunk is one
chunk of its own length. How the wave is cut into blocks changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diarize.segmentation.base import recut
from encoder.features.log_mel import LogMel

__all__ = ["Chunk", "mean_over_chunks", "stream_chunks", "stream_waves"]


class Chunk(NamedTuple):
    """`start` in samples; `features`: the network's input.

    (F, M) from `stream_chunks`, F even, each frame centred on its hop; (T,) from `stream_waves`.
    """

    start: int
    features: Tensor


def stream_chunks(
    blocks: Iterable[Tensor], log_mel: LogMel, *, size: int, step: int
) -> Iterator[Chunk]:
    """Chunks of `size` samples, every `step` samples; both multiples of two hops.

    The end is filled up with zeros to a multiple of two hops. An empty wave has no chunk.
    """
    hop = log_mel.config.hop
    features = _features(blocks, log_mel, piece=step)
    for first, rows in _overlapping(features, size=size // hop, step=step // hop):
        yield Chunk(first * hop, rows)


def stream_waves(blocks: Iterable[Tensor], *, size: int, step: int, hop: int) -> Iterator[Chunk]:
    """The same of plain samples: `size` and `step` are multiples of `hop`, and the end is filled
    up with zeros to one."""
    waves = (torch.from_numpy(piece) for piece in recut(blocks, size=step))
    filled = (torch.nn.functional.pad(wave, (0, -len(wave) % hop)) for wave in waves)
    yield from map(Chunk._make, _overlapping(filled, size=size, step=step))


def _overlapping(pieces: Iterable[Tensor], *, size: int, step: int) -> Iterator[tuple[int, Tensor]]:
    """Number of the first row, and `size` rows, every `step` rows of what `pieces` make up."""
    held: Tensor | None = None
    begin, end = 0, 0  # rows that are held
    coming, covered = 0, 0  # where the next chunk begins; where the last one ended
    for piece in pieces:
        held = piece if held is None else torch.cat([held, piece])
        end += len(piece)
        while coming + size <= end:
            yield coming, held[coming - begin :][:size].clone()
            coming, covered = coming + step, coming + size
        # Should the wave end here, the last chunk will be made of the last rows.
        gone = max(0, min(coming, end - size) - begin)
        held, begin = held[gone:], begin + gone
    if held is not None and covered < end:
        first = max(0, end - size)
        yield first, held[first - begin :]


def _features(blocks: Iterable[Tensor], log_mel: LogMel, *, piece: int) -> Iterator[Tensor]:
    """(F, M) at a time; all together two for each begun 2 hops of the wave."""
    hop = log_mel.config.hop
    margin = log_mel.config.window - hop
    held, length, made = torch.zeros(margin // 2), 0, 0
    for samples in recut(blocks, size=piece):
        length += len(samples)
        held = torch.cat([held, torch.from_numpy(samples)])
        features = log_mel(held)
        yield features
        made += len(features)
        held = held[len(features) * hop :]
    missing = 2 * -(-length // (2 * hop)) - made
    if missing > 0:
        tail = torch.nn.functional.pad(held, (0, missing * hop + margin))
        yield log_mel(tail)[:missing]


def mean_over_chunks(
    values: NDArray[np.floating], first: NDArray[np.int64], frames: int
) -> NDArray[np.float32]:
    """Mean over the chunks that cover each frame: (C, F) beginning at frames (C,) -> (frames,)."""
    total, count = np.zeros((2, frames), np.float32)
    for chunk, start in zip(values, first.tolist(), strict=True):
        total[start : start + len(chunk)] += chunk
        count[start : start + len(chunk)] += 1
    return np.asarray(total / np.maximum(count, 1), np.float32)
