"""What every segmenter is given and gives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from encoder.errors import AudioError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ACTIVE", "ChunkActivity", "Segmentation", "Segmenter", "recut"]


ACTIVE = 0.5  # activity from which a local speaker speaks


@dataclass(frozen=True)
class ChunkActivity:
    """Which of S local speakers is active in each of F frames of C overlapping chunks.

    activity (C, F, S) in [0, 1]. Frame f of chunk c stands for the `frame_hop` samples from
    `starts[c] + f * frame_hop` on. starts (C,) int64 is sorted, and the last chunk ends with the
    wave (but for a part of a frame).
    """

    activity: npt.NDArray[np.floating]
    starts: npt.NDArray[np.int64]
    frame_hop: int


@dataclass(frozen=True)
class Segmentation:
    """Where someone speaks and, from some segmenters, which local speakers of overlapping chunks.

    Args:
        regions: (R, 2) int64 sample offsets, half open, sorted, not touching, within the wave.
        chunks: local speakers; None from a segmenter that does not tell speakers apart.
    """

    regions: npt.NDArray[np.int64]
    chunks: ChunkActivity | None = None


class Segmenter(Protocol):
    """A class with a `Config` attribute whose constructor takes one such config.

    Subclass this and write `segment`. A segmenter keeps nothing from one call to the next.
    fingerprint: of the weights, where it has any; results name it.
    """

    fingerprint: str | None = None

    def segment(self, blocks: Iterable[Tensor]) -> Segmentation:
        """Find the regions of the wave that `blocks`, (T,) each and in order, make up.

        Blocks may have any lengths, zero too. AudioError if a sample is not finite.
        """
        ...

    def __call__(self, wave: Tensor) -> Segmentation:
        """Find the regions of a whole `wave` (T,)."""
        return self.segment([wave])


def recut(blocks: Iterable[Tensor], *, size: int) -> Iterator[npt.NDArray[np.float32]]:
    """Yield the same samples in pieces of exactly `size`; the last holds 1 to `size` samples.

    The pieces do not depend on how `blocks` are cut, so neither does arithmetic done on them.
    """
    held: list[npt.NDArray[np.float32]] = []
    held_count, seen = 0, 0
    for block in blocks:
        samples = block.detach().cpu().numpy()
        if samples.ndim != 1:
            raise ValueError(f"a block must be a wave (T,), not of shape {samples.shape}")
        finite = np.isfinite(samples)
        if not finite.all():
            raise AudioError(
                f"sample {seen + int(np.argmin(finite))} of the wave is not a finite number: "
                "re-encode the recording"
            )
        seen += len(samples)
        while held_count + len(samples) >= size:
            head, samples = np.split(samples, [size - held_count])
            yield np.concatenate([*held, head])
            held, held_count = [], 0
        if len(samples):
            # A copy: the caller may reuse the block's memory while these samples wait.
            held.append(samples.copy())
            held_count += len(samples)
    if held_count:
        yield np.concatenate(held)
