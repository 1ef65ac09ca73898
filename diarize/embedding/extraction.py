"""The windows of a recording, embedded while its wave goes by in blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diarize.embedding.windows import Windows
from encoder.inference.window_embedder import (
    Stretch,
    WindowEmbedder,
    as_window_embedder,
    check_vectors,
)

__all__ = ["TOGETHER", "embed_recording", "runs"]

TOGETHER = 64  # windows: 27 s


def embed_recording(
    blocks: Iterable[Tensor],
    windows: Windows,
    embedder: WindowEmbedder,
    *,
    on_done: Callable[[int, int], None] | None = None,
) -> NDArray[np.float32]:
    """Embed the windows of a recording, holding only a few seconds of it at a time.

    Args:
        blocks: (T,) each, in order; how the recording is cut into blocks changes nothing.
        windows: N windows.
        embedder: an `Encoder`, or anything with its `embed_windows`, `fingerprint` and
            `minimum_samples`.
        on_done: is given the number of windows that are embedded, and of all.

    Returns:
        (N, D) float32 unit vectors.

    Raises:
        AudioError: a window is shorter than the embedder's `minimum_samples`.
        CheckpointError: the embedder gives values that are not numbers.
        ConfigError: the embedder lacks one of those three.
        RuntimeError: the blocks end before the last window does.
    """
    embedder = as_window_embedder(embedder)
    if not len(windows):
        return embedder.embed_windows(torch.zeros(0), windows.bounds)  # (0, D)
    out = np.empty((0, 0), np.float32)
    done = 0
    for vectors in embedder.embed_stretches(_cut(blocks, windows)):
        if not done:
            # Made at once: many small arrays among the passing blocks of sound would scatter the
            # free memory so that new blocks find no room in it.
            out = np.empty((len(windows), vectors.shape[1]), np.float32)
        out[done : done + len(vectors)] = check_vectors(vectors, embedder.fingerprint)
        done += len(vectors)
        if on_done:
            on_done(done, len(windows))
    return out


def runs(windows: Windows) -> Iterator[slice]:
    """Which windows make up each stretch, in order: every one its own where they do not overlap;
    else all those of a region or, of a long region, runs of about equal size with at most
    `TOGETHER`."""
    if windows.alone is not None:
        yield from (slice(n, n + 1) for n in range(len(windows)))
        return
    first = 0
    for count in np.bincount(windows.region).tolist():
        pieces = -(-count // TOGETHER)
        edges = [first + count * piece // pieces for piece in range(pieces + 1)] if count else []
        yield from (slice(a, b) for a, b in pairwise(edges))
        first += count


def _cut(blocks: Iterable[Tensor], windows: Windows) -> Iterator[Stretch]:
    held, begin = torch.zeros(0), 0  # held[0] is sample `begin` of the recording
    source = iter(blocks)
    for run in runs(windows):
        bounds = windows.bounds[run]
        start, end = int(bounds[0, 0]), int(bounds[-1, 1])
        while begin + len(held) < end:
            gone = min(max(0, start - begin), len(held))
            held = torch.cat([held[gone:], next(source)])
            begin += gone
        yield Stretch(held[start - begin : end - begin], bounds - start)
