"""Kaldi's log-mel filterbanks for a whole batch: what most public speaker models were trained on.

The same numbers as `torchaudio.compliance.kaldi.fbank` with its defaults and no dither, which takes
one wave at a time; the mel bank itself is torchaudio's.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from encoder.audio.torchaudio_compat import torchaudio
from encoder.common.settings import Settings, bounded
from encoder.common.units import SAMPLE_RATE
from encoder.features.moving_mean import moving_mean

__all__ = [
    "KaldiFbank",
    "KaldiFbankConfig",
    "KaldiWindow",
    "kaldi_fbank",
    "kaldi_frames",
    "kaldi_samples",
]

KaldiWindow = Literal["hamming", "povey"]

WINDOW, HOP, N_FFT = 400, 160, 512  # 25 ms every 10 ms
PREEMPHASIS = 0.97
F_MIN, F_MAX = 20.0, SAMPLE_RATE / 2


@dataclass(frozen=True)
class KaldiFbankConfig(Settings):
    """Settings of `KaldiFbank`, part of the fingerprint of weights that take it.

    ConfigError for values that cannot be.
    """

    n_mels: int = bounded(80, least=4, most=256, help="mel bands (M)")
    window: KaldiWindow = field(default="povey", metadata={"help": "hamming or povey"})
    scale: float = bounded(
        1.0, above=0, most=1_000_000, help="multiplies the wave, which is in [-1, 1]"
    )

    @property
    def hop(self) -> int:
        """Samples between analysis windows."""
        return HOP

    def frames(self, samples: int) -> int:
        """F for a wave of `samples`: only analysis windows that fit into it."""
        return kaldi_frames(samples)

    def samples(self, frames: int) -> int:
        """The fewest samples that give so many frames."""
        return kaldi_samples(frames)


class KaldiFbank(nn.Module):
    """(B, T) or (T,) wave in [-1, 1] -> (B, F, M) or (F, M) natural-log mel power."""

    Config = KaldiFbankConfig

    def __init__(self, config: KaldiFbankConfig | None = None) -> None:
        super().__init__()
        self.config = config or KaldiFbankConfig()

    def forward(self, wave: Tensor) -> Tensor:
        """Natural-log mel power, not normalised; F is `config.frames(T)`."""
        c = self.config
        if not c.frames(wave.shape[-1]):
            return wave.new_zeros(*wave.shape[:-1], 0, c.n_mels)
        return kaldi_fbank(wave * c.scale, n_mels=c.n_mels, window=c.window)

    @staticmethod
    def normalise(features: Tensor) -> Tensor:
        """(..., F, M) -> the same without each band's mean, as public models are trained."""
        return features - features.mean(dim=-2, keepdim=True)

    @staticmethod
    def normalise_moving(features: Tensor, frames: int) -> Tensor:
        """(F, M) -> (F, M) without the mean of the `frames` frames around each one."""
        return features - moving_mean(features, frames)


def kaldi_fbank(waves: Tensor, *, n_mels: int = 80, window: KaldiWindow = "povey") -> Tensor:
    """(B, T) or (T,) wave at 16 kHz -> (B, F, M) or (F, M) natural-log mel power, not normalised.

    Only analysis windows that fit whole are taken: F is `kaldi_frames(T)`, which must be >= 1.
    """
    taper, bank = (constant.to(waves.device) for constant in _taper_and_bank(n_mels, window))
    frames = waves.unfold(-1, WINDOW, HOP)
    frames = frames - frames.mean(dim=-1, keepdim=True)
    before = torch.cat([frames[..., :1], frames[..., :-1]], dim=-1)
    power = torch.fft.rfft((frames - PREEMPHASIS * before) * taper, n=N_FFT).abs().square()
    return (power @ bank).clamp_min(torch.finfo(power.dtype).eps).log()


def kaldi_frames(samples: int) -> int:
    """F for a wave of `samples`; 0 if it is shorter than an analysis window."""
    return max(0, (samples - WINDOW) // HOP + 1)


def kaldi_samples(frames: int) -> int:
    """The fewest samples that give `frames` frames (frames >= 1)."""
    return (frames - 1) * HOP + WINDOW


@functools.cache
def _taper_and_bank(n_mels: int, window: KaldiWindow) -> tuple[Tensor, Tensor]:
    """Analysis window (T_window,) and mel bank (N_FFT // 2 + 1, M)."""
    if window == "povey":  # Kaldi's own: a Hann window to the power 0.85
        taper = torch.hann_window(WINDOW, periodic=False).pow(0.85)
    else:
        taper = torch.hamming_window(WINDOW, periodic=False)
    no_warp = (100.0, -500.0, 1.0)
    bank, _ = torchaudio().compliance.kaldi.get_mel_banks(
        n_mels, N_FFT, SAMPLE_RATE, F_MIN, F_MAX, *no_warp
    )
    return taper, torch.nn.functional.pad(bank, (0, 1)).T  # Kaldi leaves out the last FFT bin
