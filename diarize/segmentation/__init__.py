"""Segmenters find the regions (R, 2) of a recording in which someone speaks and, if they can, which
local speakers are active in overlapping chunks (C, F, S).

A segmenter takes a wave in blocks, so that a recording of any length fits in memory: it keeps
some numbers per frame and no samples. How the wave is cut into blocks does not change the
regions by a single sample.

    from diarize.segmentation import SEGMENTERS

    Segmenter = SEGMENTERS.load("silero")
    regions = Segmenter(Segmenter.Config())(wave).regions    # (R, 2) int64 sample offsets
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from encoder.common.lazy import lazy_exports
from encoder.common.registry import Registry

if TYPE_CHECKING:
    from diarize.segmentation.base import ChunkActivity, Segmentation, Segmenter
    from diarize.segmentation.energy import EnergySegmenter
    from diarize.segmentation.neural import NeuralSegmenter
    from diarize.segmentation.pyannote import PyannoteSegmenter
    from diarize.segmentation.silero import SileroSegmenter

__all__ = [
    "SEGMENTERS",
    "ChunkActivity",
    "EnergySegmenter",
    "NeuralSegmenter",
    "PyannoteSegmenter",
    "Segmentation",
    "Segmenter",
    "SileroSegmenter",
]

SEGMENTERS = Registry(
    "segmenter",
    {
        "energy": "diarize.segmentation.energy:EnergySegmenter",
        "silero": "diarize.segmentation.silero:SileroSegmenter",
        "neural": "diarize.segmentation.neural:NeuralSegmenter",
        "pyannote": "diarize.segmentation.pyannote:PyannoteSegmenter",
    },
)

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "ChunkActivity": "diarize.segmentation.base",
        "EnergySegmenter": "diarize.segmentation.energy",
        "NeuralSegmenter": "diarize.segmentation.neural",
        "PyannoteSegmenter": "diarize.segmentation.pyannote",
        "Segmentation": "diarize.segmentation.base",
        "Segmenter": "diarize.segmentation.base",
        "SileroSegmenter": "diarize.segmentation.silero",
    },
)
