"""Local diarization error: what a segmentation network gets wrong within chunks.

Each chunk is scored alone, its local speakers matched to the reference's so that they share the
most time. Missed speech, false alarms and confusion are counted in frames and divided by the speech
of the reference, overlap counted twice, as in the diarization error rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from diarize.audio.level import level_out
from diarize.core.turns import Turn
from diarize.segmentation.network.powerset import Powerset
from diarize.segmentation_training.batches import centred
from diarize.segmentation_training.config import FRAME
from encoder.common.units import SAMPLE_RATE, seconds_to_samples
from encoder.features.log_mel import LogMel

__all__ = ["LocalError", "ReferenceChunk", "cut_chunks", "local_error", "validate"]


class ReferenceChunk(NamedTuple):
    """features (F, M); activity (F / 2, K) bool of the reference; scored (F / 2,) bool."""

    features: Tensor
    activity: NDArray[np.bool_]
    scored: NDArray[np.bool_]


class LocalError(NamedTuple):
    """Frames of each speaker: `speech` in the reference, and the three kinds of error."""

    speech: int
    missed: int
    false_alarm: int
    confusion: int

    @property
    def rate(self) -> float:
        """The sum of errors over the speech; 0 without speech and error."""
        return (self.missed + self.false_alarm + self.confusion) / max(1, self.speech)


def cut_chunks(
    wave: Tensor,
    turns: Sequence[Turn],
    *,
    uem: Sequence[tuple[float, float]] | None = None,
    chunk_s: float = 10.0,
) -> list[ReferenceChunk]:
    """Chunks of a recording (T,) side by side, at the level of all recordings.

    The last is as long as what is left, if that is a second or more. uem: what is scored.
    """
    features = centred(level_out(wave), LogMel())
    frames = len(features) // 2
    names = sorted({turn.speaker for turn in turns})
    middle_s = (np.arange(frames) + 0.5) * FRAME / SAMPLE_RATE
    activity = np.zeros((frames, len(names)), np.bool_)
    for turn in turns:
        spoken = (middle_s >= turn.start_s) & (middle_s < turn.end_s)
        activity[spoken, names.index(turn.speaker)] = True
    scored = np.full(frames, uem is None)
    for start_s, end_s in uem or ():
        scored[(middle_s >= start_s) & (middle_s < end_s)] = True
    size = seconds_to_samples(chunk_s) // FRAME
    starts = [s for s in range(0, frames, size) if frames - s >= SAMPLE_RATE // FRAME]
    return [
        ReferenceChunk(
            features[2 * s : 2 * min(s + size, frames)],
            activity[s : s + size],
            scored[s : s + size],
        )
        for s in starts
    ]


def local_error(found: NDArray[np.bool_], reference: NDArray[np.bool_]) -> LocalError:
    """Errors of the local speakers (F, S) against the reference's speakers (F, K)."""
    shared = found.T.astype(np.int64) @ reference.astype(np.int64)
    rows, columns = linear_sum_assignment(shared, maximize=True)
    right = (found[:, rows] & reference[:, columns]).sum(axis=1)
    there, said = reference.sum(axis=1), found.sum(axis=1)
    return LocalError(
        int(there.sum()),
        int(np.maximum(there - said, 0).sum()),
        int(np.maximum(said - there, 0).sum()),
        int((np.minimum(there, said) - right).sum()),
    )


@torch.inference_mode()
def validate(
    network: nn.Module, chunks: Sequence[ReferenceChunk], powerset: Powerset
) -> dict[str, float]:
    """The local error of the likeliest classes, and its parts, as fractions of the speech."""
    errors = []
    for chunk in chunks:
        classes = network(chunk.features[None])[0].argmax(dim=1).cpu()
        found = powerset.classes[classes].numpy()
        errors.append(local_error(found[chunk.scored], chunk.activity[chunk.scored]))
    total = LocalError(*np.sum(np.array(errors, np.int64).reshape(-1, 4), axis=0).tolist())
    speech = max(1, total.speech)
    return {
        "validation_error": total.rate,
        "validation_missed": total.missed / speech,
        "validation_false_alarm": total.false_alarm / speech,
        "validation_confusion": total.confusion / speech,
    }
