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

from encoder.common.registry import Registry

__all__ = ["SEGMENTERS"]

SEGMENTERS = Registry(
    "segmenter",
    {
        "energy": "diarize.segmentation.energy:EnergySegmenter",
        "silero": "diarize.segmentation.silero:SileroSegmenter",
        "neural": "diarize.segmentation.neural:NeuralSegmenter",
        "pyannote": "diarize.segmentation.pyannote:PyannoteSegmenter",
    },
)
