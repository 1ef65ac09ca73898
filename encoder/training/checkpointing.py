"""What a training run keeps in its folder, so that a stop at any moment costs little.

`last.pt`: everything the run goes on from. `best.pt`: the averaged weights of the best validation.
`metrics.jsonl`: one line of measurements now and then. The first two are written beside and
renamed: a kill or a full disk never harms the last good ones.
"""

from __future__ import annotations

import contextlib
import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from encoder.common.atomic_files import replacing
from encoder.errors import CheckpointError, StoreError

__all__ = [
    "FORMAT",
    "forget_later",
    "load_parts",
    "log_row",
    "random_of",
    "read_checkpoint",
    "restore_random",
    "state_of",
    "write_checkpoint",
]

FORMAT = 2  # 1 had no number, no best value, and the random state of one worker
_DAMAGES = (
    RuntimeError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    OSError,
    EOFError,
    pickle.UnpicklingError,
)
# Parts of an objective that trainings started with format 1 did not have yet.
_ADDED = ("history.", "projection.")


def state_of(parts: Mapping[str, Any]) -> dict[str, Any]:
    """The state of every part that is saved, by name, on the CPU."""
    return {name: _on_cpu(part.state_dict()) for name, part in parts.items()}


def _on_cpu(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.cpu()
    if isinstance(value, dict):
        return {key: _on_cpu(part) for key, part in value.items()}
    return [_on_cpu(part) for part in value] if isinstance(value, list) else value


def write_checkpoint(path: Path, content: Mapping[str, Any]) -> None:
    """Write `content` with its format; StoreError leaves the old file as it was."""
    step = "what was there is kept, make room and run the same command again"
    fixed = path.with_suffix(".partial")
    with replacing(path, what="the checkpoint ", step=step, temporary=fixed) as partial:
        try:
            torch.save({"format": FORMAT, **content}, partial)
        except RuntimeError as error:  # torch's own name for a disk that refuses
            raise OSError(" ".join(str(error).split())[:300]) from error


def read_checkpoint(path: Path) -> dict[str, Any] | None:
    """What `write_checkpoint` wrote, None where there is no file; CheckpointError if damaged or
    written by a newer version."""
    if not path.exists():
        return None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        written = int(content.get("format", 1))
    except _DAMAGES as error:
        raise _unusable(path) from error
    if written > FORMAT:
        raise CheckpointError(
            f"the checkpoint {str(path)!r} has format {written}, this version reads up to "
            f"{FORMAT}: update the toolkit, or choose another output folder"
        )
    return dict(content)


def load_parts(path: Path, content: Mapping[str, Any], parts: Mapping[str, Any]) -> int:
    """Give every part its state and return the number of steps done.

    A format 1 file may lack what `_ADDED` names; that keeps the values it has. Raises
    CheckpointError when the content belongs to other parts.
    """
    old = content.get("format", 1) == 1
    try:
        for name, part in parts.items():
            state = content[name]
            if old and name == "objective":
                _load_older_objective(part, state)
            elif old and name == "optimizer":
                part.load_state_dict(_with_added_parameters(state, part.state_dict()))
            else:
                part.load_state_dict(state)
        return int(content["step"])
    except _DAMAGES as error:
        raise _unusable(path) from error


def random_of(device: torch.device) -> dict[str, Tensor]:
    """The state (1, n) of this worker's random numbers, by name of its entry in last.pt, where the
    workers' rows lie below each other."""
    states = {"random": torch.get_rng_state()[None]}
    if device.type == "cuda":
        states["random_device"] = torch.cuda.get_rng_state(device)[None]
    return states


def restore_random(
    path: Path, content: Mapping[str, Any], *, rank: int, device: torch.device
) -> None:
    """Random mining and dropout go on as they would have on this worker."""
    try:
        for name in random_of(device):
            states = content.get(name, torch.empty(0, 1))
            states = states.reshape(-1, states.shape[-1])  # format 1 has the row of one worker
            if rank < len(states):
                state = states[rank].clone()  # torch crashes on a view with an offset
                if name == "random":
                    torch.set_rng_state(state)
                else:
                    torch.cuda.set_rng_state(state, device)
    except _DAMAGES as error:
        raise _unusable(path) from error


def _unusable(path: Path) -> CheckpointError:
    return CheckpointError(
        f"the checkpoint {str(path)!r} does not belong to this model or is damaged: "
        "choose another output folder"
    )


def _load_older_objective(objective: nn.Module, state: dict[str, Any]) -> None:
    missing, unexpected = objective.load_state_dict(state, strict=False)
    wrong = [key for key in missing if not any(part in key for part in _ADDED)] + unexpected
    if wrong:
        raise ValueError(f"keys do not fit: {wrong}")


def _with_added_parameters(saved: dict[str, Any], present: dict[str, Any]) -> dict[str, Any]:
    """An optimizer's saved state, renumbered for groups that have got parameters at their end."""
    groups, states = [], {}
    for old, new in zip(saved["param_groups"], present["param_groups"], strict=True):
        if len(old["params"]) > len(new["params"]):
            raise ValueError("fewer parameters than were saved")
        groups.append({**old, "params": new["params"]})
        for before, now in zip(old["params"], new["params"], strict=False):
            if before in saved["state"]:
                states[now] = saved["state"][before]
    return {"state": states, "param_groups": groups}


def forget_later(path: Path, step: int) -> None:
    """Drop the lines of steps that a stopped run did after its last checkpoint: they come again."""
    if not path.is_file():
        return
    kept = []
    for row in path.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(ValueError, KeyError):  # the last line may be torn by a kill
            if json.loads(row)["step"] <= step:
                kept.append(row + "\n")
    with replacing(path) as partial:
        partial.write_text("".join(kept), encoding="utf-8")


def log_row(path: Path, row: Mapping[str, float]) -> None:
    """Append one line of JSON."""
    try:
        with path.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(row) + "\n")
    except OSError as error:
        raise StoreError(f"cannot write {str(path)!r}: {error.strerror}") from error
