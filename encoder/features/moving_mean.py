"""The mean of the frames around each frame."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["moving_mean"]


def moving_mean(values: Tensor, frames: int) -> Tensor:
    """(F, n) -> (F, n), the mean of the `frames` frames around each frame.

    Near an end these are the first or last `frames`; where there are no more than `frames` in all,
    they are all.
    """
    F = len(values)
    frames = min(frames, F)
    first = (torch.arange(F, device=values.device) - frames // 2).clamp(0, F - frames)
    sums = nn.functional.pad(values.double().cumsum(dim=0), (0, 0, 1, 0))
    return ((sums[first + frames] - sums[first]) / frames).to(values.dtype)
