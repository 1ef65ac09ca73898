"""From labels to turns. In: labels (N,) and embeddings (N, D) of windows and, where the segmenter
tells speakers apart, the activity in its chunks. Labels are corrected by their order in time, local
speakers mapped to labels and their chunks aggregated. Out: turns, which may overlap, and the
probability that each has the right speaker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from encoder.common.lazy import lazy_exports

if TYPE_CHECKING:
    from diarize.postprocessing.aggregation import aggregate
    from diarize.postprocessing.confidence import TurnCalibration, turn_confidence
    from diarize.postprocessing.config import AggregationConfig, ResegmentationConfig
    from diarize.postprocessing.resegmentation import resegment
    from diarize.postprocessing.speaker_mapping import map_local_speakers
    from diarize.postprocessing.turns import assemble

__all__ = [
    "AggregationConfig",
    "ResegmentationConfig",
    "TurnCalibration",
    "aggregate",
    "assemble",
    "map_local_speakers",
    "resegment",
    "turn_confidence",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "AggregationConfig": "diarize.postprocessing.config",
        "ResegmentationConfig": "diarize.postprocessing.config",
        "TurnCalibration": "diarize.postprocessing.confidence",
        "aggregate": "diarize.postprocessing.aggregation",
        "assemble": "diarize.postprocessing.turns",
        "map_local_speakers": "diarize.postprocessing.speaker_mapping",
        "resegment": "diarize.postprocessing.resegmentation",
        "turn_confidence": "diarize.postprocessing.confidence",
    },
)
