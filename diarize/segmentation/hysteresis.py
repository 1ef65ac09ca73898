"""From activity per frame to regions: two thresholds, then three rules about length.

The order of operations is part of the contract:

1. speech starts at the first frame with activity >= `onset` and lasts until the first frame with
   activity < `offset`; between the two thresholds the state is kept;
2. a silence between two stretches that is shorter than `min_silence_s` becomes speech;
3. a stretch shorter than `min_speech_s` is dropped (so fragments get the chance to join first);
4. each stretch grows by `padding_s` at both ends, and stretches that touch or overlap are joined.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from diarize.core.regions import merge_regions
from encoder.common.settings import Settings, bounded
from encoder.common.units import seconds_to_samples
from encoder.errors import CheckpointError, ConfigError

__all__ = ["HysteresisConfig", "binarize"]


@dataclass(frozen=True)
class HysteresisConfig(Settings):
    """Thresholds on activity in [0, 1], lengths in seconds; ConfigError if they make no sense.

    The defaults serve every segmenter here, so that changing one of them keeps the others tuned.
    They were chosen on 14 development recordings by missed speech + false alarm, with pauses
    up to half a second closed at most: longer ones scored better still, on meetings only.
    """

    onset: float = bounded(0.3, least=0, most=1, help="activity at which speech starts")
    offset: float = bounded(
        0.15, least=0, most=1, help="activity below which speech stops; at most onset"
    )
    min_speech_s: float = bounded(
        0.1, least=0, most=3600, help="drop speech shorter than this, in seconds"
    )
    min_silence_s: float = bounded(
        0.5, least=0, most=3600, help="close pauses shorter than this, in seconds"
    )
    padding_s: float = bounded(
        0.05, least=0, most=3600, help="grow speech by this at both ends, in seconds"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.offset > self.onset:
            raise ConfigError(f"offset is {self.offset}: give at most onset ({self.onset})")


def binarize(
    activity: npt.NDArray[np.floating], *, hop: int, length: int, config: HysteresisConfig
) -> npt.NDArray[np.int64]:
    """Turn `activity` (F,) into regions (R, 2) int64, in samples, half open.

    Frame f speaks for the samples [f * hop, (f + 1) * hop) of a wave of `length` samples; what
    reaches past the end is cut off, and samples after the last frame are silence. The regions are
    sorted, do not touch, and lie within [0, length). CheckpointError if activity holds a NaN, which
    would pass for silence: only the weights of a network can be to blame.
    """
    if np.isnan(activity).any():
        raise CheckpointError(
            "the segmenter gives values that are not numbers, so its weights are damaged: fetch or "
            "train them again, or use another segmenter",
            setting="segmenter",
        )
    spans = _stretches(activity, config) * hop
    spans = np.minimum(spans, length)
    spans = spans[spans[:, 1] > spans[:, 0]]
    spans = merge_regions(spans, closer_than=seconds_to_samples(config.min_silence_s))
    spans = spans[spans[:, 1] - spans[:, 0] >= seconds_to_samples(config.min_speech_s)]
    padding = seconds_to_samples(config.padding_s)
    spans = np.clip(spans + np.array([-padding, padding]), 0, length)
    return merge_regions(spans)


def _stretches(
    activity: npt.NDArray[np.floating], config: HysteresisConfig
) -> npt.NDArray[np.int64]:
    """Rule 1: the frames [start, end) of each stretch of speech, (R, 2) int64."""
    starts_here = activity >= config.onset
    decided = starts_here | (activity < config.offset)
    # Each frame takes the state of the latest frame that decided one; before any, it is silent.
    latest = np.maximum.accumulate(np.where(decided, np.arange(1, len(activity) + 1), 0))
    state = np.concatenate([[False], starts_here])[latest]
    edges = np.diff(np.concatenate([[False], state, [False]]).astype(np.int8))
    return np.stack([np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)], axis=1)
