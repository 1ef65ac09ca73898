"""The one training loop of the house.

`fit` knows nothing of speakers: an objective turns a model and a batch into a loss. It keeps an
exponential average of the weights, which is what gets validated and shipped, and writes a
checkpoint that an interrupted run goes on from with the same losses as an undisturbed one.
"""

from __future__ import annotations

import contextlib
import copy
import json
import math
import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from encoder.errors import CheckpointError, StoreError, ToolkitError

__all__ = ["FitConfig", "FitResult", "fit"]


@dataclass(frozen=True)
class FitConfig:
    """Length, step size and bookkeeping of one phase of training."""

    steps: int = field(default=3000, metadata={"help": "optimiser steps of the phase"})
    optimizer: Literal["adamw", "sgd"] = field(
        default="adamw", metadata={"help": "sgd with momentum 0.99 is the paper's"}
    )
    learning_rate: float = field(default=2e-3, metadata={"help": "highest step size"})
    final_learning_rate: float = field(default=2e-5, metadata={"help": "step size at the end"})
    schedule: Literal["cosine", "linear"] = field(
        default="cosine", metadata={"help": "linear is the paper's"}
    )
    warmup_steps: int = field(default=200, metadata={"help": "steps of linear growth from 0"})
    momentum: float = field(default=0.99, metadata={"help": "sgd only"})
    weight_decay: float = field(default=1e-2, metadata={"help": "adamw: decoupled"})
    gradient_clip: float = field(default=5.0, metadata={"help": "largest gradient norm"})
    average_decay: float = field(default=0.998, metadata={"help": "of the weights' average"})
    checkpoint_every_s: float = field(default=120.0, metadata={"help": "seconds between writes"})
    validate_every: int = field(default=1000, metadata={"help": "steps between validations"})


@dataclass(frozen=True)
class FitResult:
    """The averaged model, the number of steps done, and the last validation of this call: empty
    where an earlier one had done all the steps."""

    averaged: nn.Module
    steps: int
    validation: dict[str, float]


def fit(
    model: nn.Module,
    objective: nn.Module,
    batches: Callable[[int], Any],
    *,
    config: FitConfig,
    out: Path,
    resume: bool = True,
    validate: Callable[[nn.Module], dict[str, float]] | None = None,
    on_step: Callable[[int, dict[str, float]], None] | None = None,
) -> FitResult:
    """Minimise `objective(model, batch, progress=)` over `batches(step)`; all files go to `out`.

    Writes `metrics.jsonl` (one line a validation and every 50 steps) and `last.pt`. With `resume`
    an existing `last.pt` is continued. Raises ToolkitError when the loss or its gradient is not
    finite, CheckpointError when `last.pt` belongs to another model, StoreError when `out` cannot be
    written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot make the folder {str(out)!r}: {error.strerror}") from error
    averaged = copy.deepcopy(model)
    optimizer = _optimizer(model, objective, config)
    state = {"model": model, "averaged": averaged, "objective": objective, "optimizer": optimizer}
    step = _restore(out / "last.pt", state) if resume else 0
    _forget_later(out / "metrics.jsonl", step)
    validation: dict[str, float] = {}
    written = time.monotonic()
    model.train()
    while step < config.steps:
        _set_learning_rate(optimizer, config, step)
        loss, measured = objective(model, batches(step), progress=step / config.steps)
        _check_finite("loss", loss, step, config, out)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(_parameters(model, objective), config.gradient_clip)
        _check_finite("gradient", norm, step, config, out)  # a finite loss can have a broken one
        optimizer.step()
        step += 1
        _update_average(averaged, model, min(config.average_decay, (step + 1) / (step + 10)))
        validated = validate and (step % config.validate_every == 0 or step == config.steps)
        if validate and validated:
            validation = validate(averaged.eval())
            measured = {**measured, **validation}
        if step % 50 == 0 or validated:
            _log(out / "metrics.jsonl", {"step": step, **measured})
        if on_step:
            on_step(step, measured)
        if time.monotonic() - written > config.checkpoint_every_s or step == config.steps:
            _save(out / "last.pt", step, state)
            written = time.monotonic()
    return FitResult(averaged.eval(), step, validation)


def _check_finite(what: str, value: torch.Tensor, step: int, config: FitConfig, out: Path) -> None:
    if not math.isfinite(float(value.detach())):
        raise ToolkitError(
            f"the {what} became {float(value.detach())} at step {step}: "
            f"lower learning_rate ({config.learning_rate}) and start again; what {str(out)!r} "
            "holds is from before"
        )


def _parameters(model: nn.Module, objective: nn.Module) -> list[nn.Parameter]:
    return [p for p in (*model.parameters(), *objective.parameters()) if p.requires_grad]


def _optimizer(model: nn.Module, objective: nn.Module, config: FitConfig) -> torch.optim.Optimizer:
    parameters = _parameters(model, objective)
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


def _set_learning_rate(optimizer: torch.optim.Optimizer, config: FitConfig, step: int) -> None:
    low, high = config.final_learning_rate, config.learning_rate
    part = step / max(1, config.steps)
    fall = 0.5 * (1 + math.cos(math.pi * part)) if config.schedule == "cosine" else 1 - part
    warm = min(1.0, (step + 1) / max(1, config.warmup_steps))
    for group in optimizer.param_groups:
        group["lr"] = (low + (high - low) * fall) * warm


@torch.no_grad()
def _update_average(averaged: nn.Module, model: nn.Module, decay: float) -> None:
    for kept, new in zip(averaged.state_dict().values(), model.state_dict().values(), strict=True):
        if kept.dtype.is_floating_point:
            kept.lerp_(new, 1 - decay)
        else:
            kept.copy_(new)


def _save(path: Path, step: int, state: dict[str, Any]) -> None:
    """Write beside and rename, so that a kill or a full disk never harms the last good one."""
    partial = path.with_suffix(".partial")
    try:
        parts = {name: part.state_dict() for name, part in state.items()}
        torch.save({"step": step, "random": torch.get_rng_state(), **parts}, partial)
        partial.replace(path)
    except (OSError, RuntimeError) as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise StoreError(f"cannot write the checkpoint {str(path)!r}: {error}") from error


def _restore(path: Path, state: dict[str, Any]) -> int:
    if not path.exists():
        return 0
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        for name, part in state.items():
            part.load_state_dict(saved[name])
        step = int(saved["step"])
        if "random" in saved:  # random mining and dropout go on as they would have
            torch.set_rng_state(saved["random"])
    except (
        RuntimeError,
        LookupError,
        ValueError,
        TypeError,
        OSError,
        EOFError,
        pickle.UnpicklingError,
    ) as error:
        raise CheckpointError(
            f"the checkpoint {str(path)!r} does not belong to this model or is damaged: "
            "choose another output folder"
        ) from error
    return step


def _forget_later(path: Path, step: int) -> None:
    """Drop the lines of steps that a stopped run did after its last checkpoint: they come again."""
    if path.is_file():
        kept = []
        for row in path.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError, KeyError):  # the last line may be torn by a kill
                if json.loads(row)["step"] <= step:
                    kept.append(row + "\n")
        partial = path.with_suffix(".partial")
        partial.write_text("".join(kept), encoding="utf-8")
        partial.replace(path)


def _log(path: Path, row: dict[str, float]) -> None:
    try:
        with path.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(row) + "\n")
    except OSError as error:
        raise StoreError(f"cannot write {str(path)!r}: {error.strerror}") from error
