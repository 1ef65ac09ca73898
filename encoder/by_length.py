"""Windows of one length share a forward pass, so that none is ever padded.

Padding would change the vectors of the shorter windows; other company in a batch changes none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from encoder.errors import AudioError
from encoder.units import samples_to_seconds

__all__ = ["embed_by_length"]


def embed_by_length(
    embed: Callable[[Tensor], NDArray[np.float32]],
    wave: Tensor,
    bounds: NDArray[np.int64],
    *,
    embedding_size: int,
    minimum_samples: int,
    heard_samples: Callable[[int], int],
    batch_size: int,
    on_done: Callable[[int, int], None] | None = None,
) -> NDArray[np.float32]:
    """Wave (T,), windows (N, 2) as sample offsets -> (N, D) by calls of `embed` (B, T) -> (B, D).

    heard_samples: how many of a window's samples reach the network (whole frames only).
    AudioError if a window leaves the wave or is shorter than `minimum_samples`.
    """
    _check(len(wave), bounds, minimum_samples)
    rows_of = defaultdict(list)
    for row, (start, end) in enumerate(bounds):
        rows_of[heard_samples(int(end - start))].append(row)
    out = np.empty((len(bounds), embedding_size), np.float32)
    done = 0
    for samples, rows in rows_of.items():
        for at in range(0, len(rows), batch_size):
            some = rows[at : at + batch_size]
            out[some] = embed(torch.stack([wave[s : s + samples] for s in bounds[some, 0]]))
            done += len(some)
            if on_done:
                on_done(done, len(bounds))
    return out


def _check(length: int, bounds: NDArray[np.int64], minimum_samples: int) -> None:
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
