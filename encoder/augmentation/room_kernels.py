"""Measured rooms as kernels over feature frames.

A room adds to a sound its late, weakened and coloured repetitions. Their phases hardly agree, so
their powers add up: the power in a band is that of the dry sound convolved, over frames, with the
energy that the impulse response has in that band at each lag. (The approximation holds best for
sounds that change little within 10 ms; `tests/unit_encoder/augmentation/test_room_kernels.py`
measures how well.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from encoder.audio.load import load_audio
from encoder.errors import ToolkitError
from encoder.features.log_mel import LogMel

__all__ = ["ROOM_FRAMES", "measured_rooms", "room_kernel"]

ROOM_FRAMES = 100  # one second: what comes later is below the noise of most rooms
_SPREAD_DB = 40.0  # between strong and weak bands; a filter or an effect has more, a room less


def room_kernel(impulse: Tensor, *, frames: int = ROOM_FRAMES) -> Tensor:
    """Impulse response (T,) at 16 kHz -> (frames, M) energy by lag of 10 ms and mel band.

    Lag 0 is the direct sound, and its mean over the bands is 1; what comes more than a frame before
    the highest peak is taken for silence. Neighbouring lags overlap, so that a repetition between
    two is shared by both and no energy is lost.
    """
    mel = LogMel()
    config, hop = mel.config, mel.config.hop
    peak = int(impulse.abs().argmax())
    early = torch.nn.functional.pad(impulse, (hop, frames * hop + hop))[peak:]
    pieces = early[: (frames + 1) * hop].unfold(0, 2 * hop, hop)  # (frames, 2 hop)
    at = torch.arange(2 * hop) / (2 * hop)
    # Squares of neighbouring windows add up to one; around the peak there is no neighbour before.
    window = torch.sin(torch.pi * at).repeat(frames, 1)
    window[0, :hop] = 1.0
    power = torch.fft.rfft(pieces * window, n=config.n_fft).abs().square()  # (frames, bins)
    energy = power @ (mel.bank / mel.bank.sum(dim=0).clamp_min(1e-8))
    return energy / energy[0].mean()


def measured_rooms(
    responses: Sequence[Path],
    *,
    frames: int = ROOM_FRAMES,
    on_left_out: Callable[[str], None] | None = None,
) -> Tensor:
    """(R, frames, M) kernels of impulse response files (`read_acoustics(..., kinds=("rir",))`).

    A file named twice counts once; R may be 0. `on_left_out` gets a sentence for each file that
    cannot be used, and why.
    """
    kernels = []
    for path in dict.fromkeys(responses):
        found = _kernel_of(path, frames)
        if isinstance(found, Tensor):
            kernels.append(found)
        elif on_left_out:
            on_left_out(found)
    return torch.stack(kernels) if kernels else torch.zeros(0, frames, LogMel().config.n_mels)


def _kernel_of(path: Path, frames: int) -> Tensor | str:
    """(frames, M), or why there is none."""
    try:
        impulse = load_audio(path, on_warning=lambda _: None)
    except ToolkitError as error:
        return str(error)
    if not impulse.any():
        return f"{str(path)!r} is silent from beginning to end"
    kernel = room_kernel(impulse, frames=frames)
    strength_db = 10 * torch.log10(kernel.sum(dim=0) + 1e-20)
    spread_db = float(strength_db.quantile(0.9) - strength_db.quantile(0.1))
    if spread_db > _SPREAD_DB:
        return (
            f"{str(path)!r} is {spread_db:.0f} dB weaker in some bands than in others, so it is "
            "no room that speech is audible in"
        )
    return kernel
