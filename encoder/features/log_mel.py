"""Log-mel features as in Deep Speaker (Li et al. 2017, arXiv 1705.02304, section 2.1).

64 mel bands of 25 ms windows every 10 ms, natural logarithm, then zero mean and unit variance.
The paper normalises whole utterances; here each crop or window is normalised on its own (per band
mean, and one variance), so that a window's embedding does not depend on what surrounds it; in a
stretch of overlapping windows that go through the network at once, each frame by those around it.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from encoder.audio.torchaudio_compat import torchaudio
from encoder.common.settings import Settings, bounded
from encoder.errors import ConfigError
from encoder.features.moving_mean import moving_mean

__all__ = ["FeatureConfig", "LogMel", "normalise", "normalise_moving"]

LEAST_DEVIATION = 1e-3  # silence stays finite


@dataclass(frozen=True)
class FeatureConfig(Settings):
    """Settings of `LogMel`, each with its help in the field's metadata; part of the encoder's
    fingerprint.
    """

    sample_rate: int = bounded(16_000, least=4000, most=192_000, help="Hz")
    n_mels: int = bounded(64, least=1, most=512, help="mel bands (M)")
    window_s: float = bounded(0.025, least=0.001, most=1, help="length of an analysis window")
    hop_s: float = bounded(0.010, least=0.001, most=1, help="time between analysis windows")
    n_fft: int = bounded(512, least=16, most=65_536, help="FFT points")
    f_min: float = bounded(20.0, least=0, most=96_000, help="lower edge of the mel bank, Hz")
    f_max: float = bounded(7_600.0, above=0, most=96_000, help="upper edge of the mel bank, Hz")
    floor: float = bounded(
        1e-6, above=0, most=1, help="added to mel power before the logarithm (-60 dB)"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window > self.n_fft:
            raise ConfigError(
                f"n_fft is {self.n_fft}: give at least the samples of window_s ({self.window})"
            )
        if self.hop > self.window:
            raise ConfigError(
                f"hop_s is {self.hop_s}: give at most window_s ({self.window_s}), so that no sound "
                "is left out"
            )
        if not self.f_min < self.f_max <= self.sample_rate / 2:
            raise ConfigError(
                f"f_min is {self.f_min} and f_max {self.f_max}: give rising frequencies up to half "
                f"of sample_rate ({self.sample_rate})"
            )

    @property
    def window(self) -> int:
        """Samples in an analysis window."""
        return round(self.window_s * self.sample_rate)

    @property
    def hop(self) -> int:
        """Samples between analysis windows."""
        return round(self.hop_s * self.sample_rate)

    def frames(self, samples: int) -> int:
        """How many frames a wave gives: only windows that fit into it.

        Args:
            samples: Length of the wave (T).

        Returns:
            F; 0 if no window fits.
        """
        return max(0, (samples - self.window) // self.hop + 1)

    def samples(self, frames: int) -> int:
        """The fewest samples that give so many frames.

        Args:
            frames: F, 1 or more.

        Returns:
            T.
        """
        return (frames - 1) * self.hop + self.window


class LogMel(nn.Module):
    """(B, T) or (T,) wave in [-1, 1] -> (B, F, M) or (F, M) natural-log mel power, not normalised.

    Frame f covers samples [f * hop, f * hop + window): no padding at the ends, so a slice of the
    features is the features of the slice. F is `config.frames(T)`.
    """

    Config = FeatureConfig
    window: Tensor
    bank: Tensor

    def __init__(self, config: FeatureConfig | None = None) -> None:
        """Compute the window and the mel bank.

        Args:
            config: Settings; None: those of the paper.
        """
        super().__init__()
        self.config = config or FeatureConfig()
        window, bank = _window_and_bank(self.config)
        self.register_buffer("window", window, persistent=False)
        self.register_buffer("bank", bank, persistent=False)

    def forward(self, wave: Tensor) -> Tensor:
        """Natural-log mel power, not normalised.

        Args:
            wave: (B, T) or (T,) float32 in [-1, 1] at `config.sample_rate`.

        Returns:
            (B, F, M) or (F, M), where F is `config.frames(T)`.
        """
        c = self.config
        if wave.shape[-1] < c.window:
            return wave.new_zeros(*wave.shape[:-1], 0, c.n_mels)
        frames = wave.unfold(-1, c.window, c.hop) * self.window
        power = torch.fft.rfft(frames, n=c.n_fft).abs().square()
        return torch.log(power @ self.bank + c.floor)

    @staticmethod
    def normalise(features: Tensor) -> Tensor:
        """What the networks take.

        Args:
            features: (..., F, M) log-mel.

        Returns:
            The same shape with zero mean per band and unit overall variance.
        """
        return normalise(features)

    @staticmethod
    def normalise_moving(features: Tensor, frames: int) -> Tensor:
        """What the networks take, frame by frame.

        Args:
            features: (F, M) log-mel.
            frames: By so many around it each frame is normalised.

        Returns:
            (F, M).
        """
        return normalise_moving(features, frames)


def normalise(features: Tensor) -> Tensor:
    """(..., F, M) log-mel -> the same shape with zero mean per band and unit overall variance.

    Taking each band's own mean removes the channel (microphone, telephone line); one common
    variance keeps the bands' relative spread, which tells voices apart.
    """
    centred = features - features.mean(dim=-2, keepdim=True)
    deviation = centred.square().mean(dim=(-2, -1), keepdim=True).sqrt()
    return centred / (deviation + LEAST_DEVIATION)


def normalise_moving(features: Tensor, frames: int) -> Tensor:
    """(F, M) log-mel -> (F, M), each frame normalised by the `frames` frames around it.

    Near an end these are the first or last `frames`; where there are no more than `frames` in all,
    this is `normalise`. So a frame looks about as it would in a window of that length.
    """
    if frames >= len(features):
        return normalise(features)
    centred = features - moving_mean(features, frames)
    power = centred.square().mean(dim=1, keepdim=True)
    return centred / (moving_mean(power, frames).sqrt() + LEAST_DEVIATION)


@functools.cache
def _window_and_bank(config: FeatureConfig) -> tuple[Tensor, Tensor]:
    """Hamming window (T_window,) and mel bank (n_fft // 2 + 1, M)."""
    bank = torchaudio().functional.melscale_fbanks(
        n_freqs=config.n_fft // 2 + 1,
        f_min=config.f_min,
        f_max=config.f_max,
        n_mels=config.n_mels,
        sample_rate=config.sample_rate,
        norm=None,
        mel_scale="htk",
    )
    return torch.hamming_window(config.window, periodic=False), bank
