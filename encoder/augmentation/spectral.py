"""Augmentation on log-mel features, cheap enough that the network stays the slow part.

Every change works on a batch of log-mel crops (B, F, M) before normalisation, with randomness from
one generator: noise, music or babble added as power at a chosen SNR; late reverberation as an
exponential tail over frames in each band (Polack's model: energy falls by 60 dB in T60) or a room
as measured (`encoder.augmentation.room_kernels`); another level; a smooth random channel curve; a
telephone band; masks over time and bands (Park et al. 2019).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from encoder.common.settings import Settings, bounded

__all__ = ["AugmentConfig", "augment"]

_FLOOR = 1e-6  # FeatureConfig.floor: no log-mel power is below it


@dataclass(frozen=True)
class AugmentConfig(Settings):
    """Probability of each change for a crop, and its range."""

    noise: float = bounded(0.5, least=0, most=1, help="probability of added noise or music")
    noise_snr_db: tuple[float, float] = bounded(
        (0.0, 20.0), least=-200, most=200, rising=True, help="range"
    )
    babble: float = bounded(0.15, least=0, most=1, help="probability of other speakers behind")
    babble_snr_db: tuple[float, float] = bounded(
        (8.0, 20.0), least=-200, most=200, rising=True, help="range"
    )
    reverb: float = bounded(0.4, least=0, most=1, help="probability of a late reverb tail")
    t60_s: tuple[float, float] = bounded((0.15, 0.9), above=0, most=60, rising=True, help="range")
    measured_room: float = bounded(
        0.0, least=0, most=1, help="probability of a measured room instead, where there are any"
    )
    channel: float = bounded(0.5, least=0, most=1, help="probability of a smooth channel curve")
    channel_db: float = bounded(8.0, least=0, most=200, help="weight of its slowest cosine")
    telephone: float = bounded(0.1, least=0, most=1, help="probability of a 300-3400 Hz band")
    level: float = bounded(0.0, least=0, most=1, help="probability of another recording level")
    level_db: tuple[float, float] = bounded(
        (-30.0, 6.0),
        least=-200,
        most=200,
        rising=True,
        help="range; quiet sound comes near the feature's floor",
    )
    mask: float = bounded(0.3, least=0, most=1, help="probability of one time and one band mask")


def augment(
    log_mel: Tensor,
    noise: Tensor | None,
    config: AugmentConfig,
    *,
    generator: torch.Generator,
    speakers: Tensor | None = None,
    rooms: Tensor | None = None,
    hop_s: float = 0.010,
) -> Tensor:
    """(B, F, M) log-mel crops and as many (B, F, M) noise crops -> (B, F, M) changed crops.

    noise: None leaves noise out and keeps every other change. speakers: (B,) int64, so that no
    speaker is mixed with themselves; without it every row counts as another speaker. rooms: (R, L,
    M) kernels of `encoder.augmentation.room_kernels`.
    """
    B, _, M = log_mel.shape
    g = generator
    x = log_mel.exp()
    x = _mix(x, _voices_behind(x, speakers), config.babble, config.babble_snr_db, g)
    x = _in_a_room(x, _reverberate(x, config, g, hop_s), rooms, config, g)
    if noise is not None:
        x = _mix(x, noise.exp(), config.noise, config.noise_snr_db, g)
    x = _at_another_level(x, config, g)
    y = torch.log(x.clamp_min(_FLOOR))  # the crops' own floor is already in their power
    y = y + _channel_curves(B, M, config, g)[:, None, :]
    y = _telephone(y, config.telephone, g)
    return _mask(y, config.mask, g)


def _chosen(B: int, probability: float, g: torch.Generator) -> Tensor:
    return torch.rand(B, generator=g) < probability


def _uniform(B: int, low_high: tuple[float, float], g: torch.Generator) -> Tensor:
    low, high = low_high
    return low + (high - low) * torch.rand(B, generator=g)


def _voices_behind(power: Tensor, speakers: Tensor | None) -> Tensor:
    """The two rows before each row, as far as they are other speakers."""
    speakers = torch.arange(len(power)) if speakers is None else speakers
    babble = torch.zeros_like(power)
    for shift in (1, 2):
        other = speakers.roll(shift) != speakers
        babble = babble + power.roll(shift, 0) * other[:, None, None]
    return babble


def _mix(
    power: Tensor,
    other: Tensor,
    probability: float,
    snr_db: tuple[float, float],
    g: torch.Generator,
) -> Tensor:
    """Add `other` at a random SNR; powers of independent sounds add up."""
    B = len(power)
    ratio = 10 ** (-_uniform(B, snr_db, g) / 10)
    level = power.mean(dim=(1, 2)) / (other.mean(dim=(1, 2)) + 1e-8) * ratio
    gain = torch.where(_chosen(B, probability, g), level, torch.zeros(B))
    return power + gain[:, None, None] * other


def _reverberate(power: Tensor, config: AugmentConfig, g: torch.Generator, hop_s: float) -> Tensor:
    """Add to each frame the decaying energy of earlier ones, at a random direct-to-late ratio."""
    B, F, _ = power.shape
    t60 = _uniform(B, config.t60_s, g)
    decay = torch.exp(-math.log(1e6) * hop_s / t60)  # energy left after one frame
    lags = torch.arange(min(F, 64))
    kernel = decay[:, None] ** lags  # (B, L)
    kernel = kernel / kernel.sum(dim=1, keepdim=True)
    late_db = _uniform(B, (-12.0, 3.0), g)
    gain = torch.where(_chosen(B, config.reverb, g), 10 ** (late_db / 10), torch.zeros(B))
    size = F + len(lags)
    tail = torch.fft.irfft(
        torch.fft.rfft(power, n=size, dim=1) * torch.fft.rfft(kernel, n=size, dim=1)[:, :, None],
        n=size,
        dim=1,
    )[:, :F]
    return power + gain[:, None, None] * tail.clamp_min(0)


def _in_a_room(
    power: Tensor,
    otherwise: Tensor,
    rooms: Tensor | None,
    config: AugmentConfig,
    g: torch.Generator,
) -> Tensor:
    """Rows put into a measured room; those not chosen are the rows of `otherwise`."""
    if rooms is None or len(rooms) == 0 or config.measured_room == 0:
        return otherwise
    B, F, _ = power.shape
    chosen = _chosen(B, config.measured_room, g)
    kernel = rooms[torch.randint(len(rooms), (B,), generator=g)][chosen, :F]  # (B', L, M)
    if not chosen.any():
        return otherwise
    dry = (power[chosen] - _FLOOR).clamp_min(0)
    size = F + kernel.shape[1]
    # In double precision: powers span ten decades, and silence must stay silent.
    spectrum = torch.fft.rfft(dry.double(), n=size, dim=1)
    spectrum = spectrum * torch.fft.rfft(kernel.double(), n=size, dim=1)
    wet = torch.fft.irfft(spectrum, n=size, dim=1)[:, :F].clamp_min(0).to(power.dtype)
    result = otherwise.clone()
    result[chosen] = wet + _FLOOR
    return result


def _at_another_level(power: Tensor, config: AugmentConfig, g: torch.Generator) -> Tensor:
    """Louder or quieter, with the features' floor staying where it is."""
    if config.level == 0:
        return power
    B = len(power)
    gain = 10 ** (_uniform(B, config.level_db, g) / 10)
    gain = torch.where(_chosen(B, config.level, g), gain, torch.ones(B))
    return (power - _FLOOR).clamp_min(0) * gain[:, None, None] + _FLOOR


def _channel_curves(B: int, M: int, config: AugmentConfig, g: torch.Generator) -> Tensor:
    """(B, M) natural-log gains: a few slow cosines over the mel bands."""
    position = (torch.arange(M) + 0.5) / M
    order = torch.arange(1, 5)
    waves = torch.cos(math.pi * order[:, None] * position)  # (4, M)
    weights = (torch.rand(B, 4, generator=g) * 2 - 1) * config.channel_db / order
    chosen = _chosen(B, config.channel, g).to(waves.dtype)
    return chosen[:, None] * (weights @ waves) * (math.log(10) / 10)


def _telephone(y: Tensor, probability: float, g: torch.Generator) -> Tensor:
    """Push bands outside about 300-3400 Hz down to a constant low level."""
    B, _, M = y.shape
    mel = torch.linspace(_mel(20.0), _mel(7600.0), M)
    outside = (mel < _mel(300.0)) | (mel > _mel(3400.0))
    floor = y.amin(dim=(1, 2), keepdim=True)
    hit = _chosen(B, probability, g)[:, None, None] & outside
    return torch.where(hit, floor, y)


def _mel(hertz: float) -> float:
    return 2595.0 * math.log10(1.0 + hertz / 700.0)


def _mask(y: Tensor, probability: float, g: torch.Generator) -> Tensor:
    """Replace one stretch of time and one of bands by the crop's mean."""
    B, F, M = y.shape
    chosen = _chosen(B, probability, g)
    mean = y.mean(dim=(1, 2), keepdim=True)
    for axis, size, widest in ((1, F, F // 8), (2, M, M // 8)):
        width = (torch.rand(B, generator=g) * widest).long()
        start = (torch.rand(B, generator=g) * (size - width)).long()
        place = torch.arange(size)
        inside = (place >= start[:, None]) & (place < (start + width)[:, None]) & chosen[:, None]
        shape = (B, size, 1) if axis == 1 else (B, 1, size)
        y = torch.where(inside.reshape(shape), mean, y)
    return y
