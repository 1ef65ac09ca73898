"""Length and step size of a training phase: the optimiser, its learning rate, and the average of
the weights.

The average is exponential: a stochastic weight average (Izmailov et al. 2018, arXiv 1803.05407)
that forgets its beginning, so that it needs no choice of when to start.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import nn

from encoder.common.settings import Settings, bounded

__all__ = ["FitConfig", "make_optimizer", "set_learning_rate", "update_average"]


@dataclass(frozen=True)
class FitConfig(Settings):
    """Length, step size and bookkeeping of one phase of training."""

    steps: int = bounded(3000, least=0, most=1_000_000_000, help="optimiser steps of the phase")
    optimizer: Literal["adamw", "sgd"] = field(
        default="adamw", metadata={"help": "sgd with momentum 0.99 is the paper's"}
    )
    learning_rate: float = bounded(2e-3, least=0, most=100, help="highest step size")
    final_learning_rate: float = bounded(2e-5, least=0, most=100, help="step size at the end")
    schedule: Literal["cosine", "linear"] = field(
        default="cosine", metadata={"help": "linear is the paper's"}
    )
    warmup_steps: int = bounded(
        200, least=0, most=1_000_000_000, help="steps of linear growth from 0"
    )
    momentum: float = bounded(0.99, least=0, below=1, help="sgd only")
    weight_decay: float = bounded(1e-2, least=0, most=100, help="adamw: decoupled")
    gradient_clip: float = bounded(5.0, above=0, most=1_000_000, help="largest gradient norm")
    average_decay: float = bounded(0.998, least=0, below=1, help="of the weights' average")
    checkpoint_every_s: float = bounded(
        120.0, least=0, most=1_000_000, help="seconds between writes"
    )
    validate_every: int = bounded(
        1000, least=1, most=1_000_000_000, help="steps between validations"
    )
    best_by: str = field(
        default="",
        metadata={"help": "validation value that is lowest in best.pt; empty: first"},
    )


def make_optimizer(parameters: list[nn.Parameter], config: FitConfig) -> torch.optim.Optimizer:
    """The optimiser that the config names, over these parameters in this order."""
    if config.optimizer == "sgd":
        return torch.optim.SGD(
            parameters,
            lr=config.learning_rate,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
        )
    # Norms and biases are scales and offsets, not weights: decay would only shrink them.
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate)


def set_learning_rate(optimizer: torch.optim.Optimizer, config: FitConfig, step: int) -> None:
    """Warm-up from 0, then the fall from the highest to the final rate."""
    low, high = config.final_learning_rate, config.learning_rate
    part = step / max(1, config.steps)
    fall = 0.5 * (1 + math.cos(math.pi * part)) if config.schedule == "cosine" else 1 - part
    warm = min(1.0, (step + 1) / max(1, config.warmup_steps))
    for group in optimizer.param_groups:
        group["lr"] = (low + (high - low) * fall) * warm


@torch.no_grad()
def update_average(averaged: nn.Module, model: nn.Module, decay: float) -> None:
    """Move the average towards the weights and statistics of `model`; counters are copied."""
    for kept, new in zip(averaged.state_dict().values(), model.state_dict().values(), strict=True):
        if kept.dtype.is_floating_point:
            kept.lerp_(new, 1 - decay)
        else:
            kept.copy_(new)
