"""Regions from the Silero voice activity model that the `silero-vad` package carries (MIT).

The model reads chunks of 512 samples (32 ms), each with the 64 samples before it. The package runs
it chunk after chunk; here 256 chunks go through it at once (`diarize.segmentation.silero_network`).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from diarize.segmentation.base import Segmentation, Segmenter, recut
from diarize.segmentation.hysteresis import HysteresisConfig, binarize
from diarize.segmentation.silero_network import CONTEXT, HOP, fastest_exact
from encoder.common.settings import Settings

_threads = torch.get_num_threads()
try:
    from silero_vad import load_silero_vad
finally:
    # Importing the package sets torch to one thread for the whole process.
    torch.set_num_threads(_threads)

__all__ = ["SileroConfig", "SileroSegmenter"]

CHUNKS_AT_ONCE = 256


@dataclass(frozen=True)
class SileroConfig(Settings):
    """Settings of `SileroSegmenter`; the thresholds are on the probability of speech."""

    hysteresis: HysteresisConfig = field(
        default_factory=HysteresisConfig,
        metadata={"help": "how probabilities become regions"},
    )


class SileroSegmenter(Segmenter):
    """Silero VAD, block by block.

    The model depends on absolute loudness and misses speech that is very quiet, which is why the
    pipeline brings every recording to one level first.

    Args:
        config: settings; the defaults if None.
    """

    Config = SileroConfig

    def __init__(self, config: SileroConfig | None = None) -> None:
        self.config = config or SileroConfig()
        with warnings.catch_warnings():
            # The package's way to load is deprecated, which is not the caller's concern.
            warnings.simplefilter("ignore", DeprecationWarning)
            self._model = load_silero_vad()
        self._stream = fastest_exact(self._model)

    def segment(self, blocks: Iterable[Tensor]) -> Segmentation:
        """Find the regions of a wave in which someone speaks.

        Args:
            blocks: the wave, float32 at 16 kHz, in blocks (T,) of any lengths, in order.

        Returns:
            The regions (R, 2) in samples, without local speakers.

        Raises:
            AudioError: a sample is not finite.
            ValueError: a block is not of shape (T,).
        """
        activity, length = self.activity(blocks)
        regions = binarize(activity, hop=HOP, length=length, config=self.config.hysteresis)
        return Segmentation(regions)

    def activity(self, blocks: Iterable[Tensor]) -> tuple[npt.NDArray[np.float32], int]:
        """Find the probability of speech in each 512 samples of a wave.

        The last chunk is filled up with zeros, as the package does.

        Args:
            blocks: the wave, float32 at 16 kHz, in blocks (T,) of any lengths, in order.

        Returns:
            (F,) float32 in [0, 1], and the length of the wave in samples.

        Raises:
            AudioError: a sample is not finite.
            ValueError: a block is not of shape (T,).
        """
        length = 0

        def pieces() -> Iterator[Tensor]:
            nonlocal length
            before = torch.zeros(CONTEXT)
            for piece in recut(blocks, size=CHUNKS_AT_ONCE * HOP):
                length += len(piece)
                wave = torch.cat([before, torch.from_numpy(piece), torch.zeros(-len(piece) % HOP)])
                before = wave[-CONTEXT:]
                yield wave.unfold(0, CONTEXT + HOP, HOP)

        # One array that grows: many small ones would scatter the memory that blocks pass through.
        found = bytearray()
        with closing(self._stream(pieces())) as stream:
            for probabilities in stream:
                found += probabilities.numpy().tobytes()
        return np.frombuffer(found, np.float32), length
