"""The one training loop of the house.

`fit` knows nothing of speakers: an objective turns a model and a batch into a loss. It keeps an
average of the weights, which is what gets validated and shipped, and writes a checkpoint that an
interrupted run goes on from with the same losses as an undisturbed one.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, TypeVar

import torch
from torch import Tensor, nn

from encoder.errors import ConfigError, StoreError, ToolkitError
from encoder.training.checkpointing import (
    FORMAT,
    forget_later,
    load_parts,
    log_row,
    random_of,
    read_checkpoint,
    restore_random,
    state_of,
    write_checkpoint,
)
from encoder.training.distributed import Engine, SingleEngine, serve_cpu
from encoder.training.interrupts import noting_interrupts
from encoder.training.objective import ChoosableBatches, Objective
from encoder.training.optimization import (
    FitConfig,
    make_optimizer,
    set_learning_rate,
    update_average,
)

__all__ = ["FitConfig", "FitResult", "fit"]

T = TypeVar("T")


@dataclass(frozen=True)
class FitResult:
    """What a training leaves, on the CPU and in evaluation mode; the same on every worker.

    averaged: the averaged weights after the last step.
    steps: the number of steps done.
    validation: the last validation of this call; empty where an earlier one had done all the steps.
    best: the averaged weights of the best validation; `averaged` where nothing was validated.
    best_step, best_value: when that was, and the value of `FitConfig.best_by`; None without.
    """

    averaged: nn.Module
    steps: int
    validation: dict[str, float]
    best: nn.Module
    best_step: int | None = None
    best_value: float | None = None


def fit(
    model: nn.Module,
    objective: Objective,
    batches: Callable[[int], Any],
    *,
    config: FitConfig,
    out: Path,
    resume: bool = True,
    validate: Callable[[nn.Module], dict[str, float]] | None = None,
    on_step: Callable[[int, dict[str, float]], None] | None = None,
    on_warning: Callable[[str], None] | None = None,
    engine: Engine | None = None,
) -> FitResult:
    """Minimise `objective(model, batch, progress=)` over `batches(step)`; all files go to `out`.

    Writes `metrics.jsonl` (one line a validation and every 50 steps), `last.pt`, and `best.pt` (the
    averaged weights with the lowest validation value). With `resume` an existing `last.pt` is
    continued. `on_step` is given the step and its measurements, with `crops_per_s` if batches have
    `features`; `on_warning` a sentence when the objective has one.

    engine: where it runs; one CPU worker if None. With W workers, worker r draws
        `batches(step * W + r)`, gradients are averaged, and files, validation, callbacks and
        measurements are those of worker 0, as are the running statistics of batch norms. All
        workers call this with the same arguments.
    The objective is asked for the speakers of a batch (`Objective.choose`); where it names some,
        the batch is `batches.choose(number, speakers=...)`.

    A Ctrl-C ends the step, writes `last.pt` and is raised then, with where that is; a second one is
    raised at once.

    Raises ToolkitError when the loss or its gradient is not finite, CheckpointError when `last.pt`
    belongs to another model, StoreError when `out` cannot be written, ConfigError for a `best_by`
    that the validation does not measure.
    """
    engine = engine or SingleEngine()
    _on_main(engine, _make_folder, out)
    network = engine.setup(model, objective)
    objective.bind(engine)
    averaged = copy.deepcopy(model)
    parameters = [p for p in (*model.parameters(), *objective.parameters()) if p.requires_grad]
    optimizer = make_optimizer(parameters, config)
    parts = {"model": model, "averaged": averaged, "objective": objective, "optimizer": optimizer}
    step, best, seconds = _begin(engine, out / "last.pt", parts, resume=resume)
    _on_main(engine, forget_later, out / "metrics.jsonl", step)
    pace = _Pace(seconds, engine.world_size)
    validation: dict[str, float] = {}
    written = time.monotonic()
    model.train()
    with noting_interrupts() as interrupted:
        while step < config.steps:
            pace.start()
            set_learning_rate(optimizer, config, step)
            batch = _draw(batches, objective, step, engine)
            loss, measured = objective(network, batch, progress=step / config.steps)
            late = time.monotonic() - written >= config.checkpoint_every_s
            mean_loss, late, stopped = _agreed(engine, loss, late, interrupted())
            _check_finite("loss", mean_loss, step, config, out)
            optimizer.zero_grad(set_to_none=True)
            engine.backward(loss, parameters)
            norm = nn.utils.clip_grad_norm_(parameters, config.gradient_clip)
            _check_finite(
                "gradient", float(norm), step, config, out
            )  # a finite loss can break there
            optimizer.step()
            step += 1
            update_average(averaged, model, min(config.average_decay, (step + 1) / (step + 10)))
            measured = {**measured, **pace.stop(batch)}
            validated = validate and (step % config.validate_every == 0 or step == config.steps)
            if validate and validated:
                validation = _on_main(engine, _validated, validate, averaged.eval(), engine.device)
                best = _on_main(engine, _keep_best, out, step, validation, best, averaged, config)
                measured = {**measured, **validation}
            if step % 50 == 0 or validated:
                row = {"step": step, **measured, "seconds": round(pace.seconds, 3)}
                _on_main(engine, log_row, out / "metrics.jsonl", row)
                pace.lap()
            if engine.is_main:
                if on_step:
                    on_step(step, measured)
                _pass_on(objective, on_warning)
            if late or stopped or step == config.steps:
                random = {
                    name: engine.gather(x).cpu() for name, x in random_of(engine.device).items()
                }
                kept = {"step": step, "best": best, "seconds": pace.seconds, **random}
                _on_main(engine, write_checkpoint, out / "last.pt", {**kept, **state_of(parts)})
                written = time.monotonic()
            if stopped:
                raise KeyboardInterrupt(
                    f"stopped after step {step} of {config.steps}: {str(out / 'last.pt')!r} holds "
                    "it, and the same command goes on from there"
                )
    return _result(engine, out, parts, step, validation, best)


def _on_main(engine: Engine, action: Callable[..., T], *arguments: Any) -> T:
    """What `action` gives on worker 0, on every worker; or its ToolkitError, on every worker: one
    that went on alone would wait for the others for ever."""
    result: Any = None
    if engine.is_main:
        try:
            result = action(*arguments)
        except ToolkitError as error:
            result = error
    result = engine.broadcast(result)
    if isinstance(result, ToolkitError):
        raise result
    return result


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot make the folder {str(out)!r}: {error.strerror}") from error


def _begin(
    engine: Engine, path: Path, parts: dict[str, Any], *, resume: bool
) -> tuple[int, _Best | None, float]:
    """Steps done, best validation and seconds so far, after every worker has the same state."""
    content = _on_main(engine, read_checkpoint, path) if resume else None
    if content is None:
        if engine.world_size > 1:
            shared = engine.broadcast({"format": FORMAT, "step": 0, **state_of(parts)})
            load_parts(path, shared, parts)
        return 0, None, 0.0
    step = load_parts(path, content, parts)
    restore_random(path, content, rank=engine.rank, device=engine.device)
    return step, content.get("best"), content.get("seconds", 0.0)


def _draw(batches: Any, objective: Objective, step: int, engine: Engine) -> Any:
    number = step * engine.world_size + engine.rank
    chosen = objective.choose(number)
    if chosen is None:
        return engine.to_device(batches(number))
    if not isinstance(batches, ChoosableBatches):
        raise ConfigError(
            f"the objective chooses {len(chosen)} speakers for a batch, but the speakers of these "
            "batches cannot be chosen: set hard_speakers to 0"
        )
    return engine.to_device(batches.choose(number, speakers=chosen))


def _agreed(engine: Engine, loss: Tensor, late: bool, stopped: bool) -> tuple[float, bool, bool]:
    """The mean loss of all workers, so that all stop at a broken one; worker 0's `late`; whether
    any was `stopped`."""
    own = [[float(loss.detach()), float(late), float(stopped)]]
    rows = engine.gather(torch.tensor(own, dtype=torch.float64))
    return float(rows[:, 0].mean()), bool(rows[0, 1]), bool(rows[:, 2].any())


def _check_finite(what: str, value: float, step: int, config: FitConfig, out: Path) -> None:
    if not math.isfinite(value):
        raise ToolkitError(
            f"the {what} became {value} at step {step}: "
            f"lower learning_rate ({config.learning_rate}) and start again; what {str(out)!r} "
            "holds is from before"
        )


def _validated(
    validate: Callable[[nn.Module], dict[str, float]], averaged: nn.Module, device: torch.device
) -> dict[str, float]:
    with serve_cpu(averaged, device):
        return validate(averaged)


def _keep_best(
    out: Path,
    step: int,
    validation: dict[str, float],
    best: _Best | None,
    averaged: nn.Module,
    config: FitConfig,
) -> _Best | None:
    """The better of `best` and this validation; writes best.pt when it is this one."""
    name = config.best_by or next(iter(validation), "")
    if not validation:
        return best
    if name not in validation:
        raise ConfigError(
            f"best_by is {name!r}, but the validation measures {', '.join(validation)}: "
            "choose one of them"
        )
    value = float(validation[name])
    if not math.isfinite(value) or (best is not None and value >= best["value"]):
        return best
    found: _Best = {"step": step, "value": value}
    write_checkpoint(out / "best.pt", {**found, "name": name, **state_of({"averaged": averaged})})
    return found


def _pass_on(objective: Objective, on_warning: Callable[[str], None] | None) -> None:
    sentence = objective.warning()
    if sentence and on_warning:
        on_warning(sentence)


def _result(
    engine: Engine,
    out: Path,
    parts: dict[str, Any],
    step: int,
    validation: dict[str, float],
    best: _Best | None,
) -> FitResult:
    if engine.world_size > 1:  # running statistics differ until here
        for name, state in engine.broadcast(
            state_of({key: parts[key] for key in ("model", "averaged")})
        ).items():
            parts[name].load_state_dict(state)
    averaged = parts["averaged"].cpu().eval()
    if best is None or best["step"] == step:
        return FitResult(averaged, step, validation, averaged, **_named(best))
    content = _on_main(engine, read_checkpoint, out / "best.pt")
    if content is None:  # somebody removed it
        return FitResult(averaged, step, validation, averaged)
    chosen = {"averaged": copy.deepcopy(averaged)}
    load_parts(out / "best.pt", content, chosen)
    return FitResult(averaged, step, validation, chosen["averaged"], **_named(content))


def _named(best: Any) -> dict[str, Any]:
    return {} if best is None else {"best_step": best["step"], "best_value": best["value"]}


class _Best(TypedDict):
    """The validation whose weights are in best.pt."""

    step: int
    value: float


class _Pace:
    """Seconds spent in steps, and crops a second since the last lap (validation and writing left
    out)."""

    def __init__(self, seconds: float, workers: int) -> None:
        self.seconds, self.workers = seconds, workers
        self.lap()

    def lap(self) -> None:
        self._crops, self._since = 0, self.seconds

    def start(self) -> None:
        self._started = time.perf_counter()

    def stop(self, batch: Any) -> dict[str, float]:
        self.seconds += time.perf_counter() - self._started
        features = getattr(batch, "features", None)
        if features is None:
            return {}
        self._crops += len(features) * self.workers
        return {"crops_per_s": round(self._crops / max(1e-9, self.seconds - self._since), 1)}
