"""Weights on disk: one safetensors file that says what it is.

The file holds the tensors (float16 where not told otherwise) and, in its header, architecture,
model and feature settings as JSON. Its name ends in its fingerprint, the first 8 hex digits of a
SHA-256 over the tensors, the architecture and the features: the same weights have it wherever and
whenever the file was made, and a damaged or swapped one is noticed. (Files of format 1 have that of
their bytes.) Nothing is unpickled; keys must match the architecture exactly.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from encoder.common.atomic_files import replacing
from encoder.common.config import from_mapping, to_mapping
from encoder.common.registry import Registry
from encoder.errors import CheckpointError, ConfigError, ToolkitError
from encoder.features.kinds import FEATURES, kind_of
from encoder.models import ARCHITECTURES

__all__ = ["Loaded", "load_weights", "save_weights"]

_DTYPES = (torch.float16, torch.float32, torch.float64, torch.int64, torch.int32, torch.bool)
FORMAT = 2  # 1, which is still read, knew log-mel features only


class Loaded(NamedTuple):
    """A model in evaluation mode, the settings of its features, and the fingerprint of the pair."""

    model: nn.Module
    features: Any
    fingerprint: str


def save_weights(
    model: nn.Module,
    features: Any,
    folder: str | Path,
    *,
    name: str,
    architectures: Registry = ARCHITECTURES,
    exact: bool = False,
) -> Path:
    """Write `folder/name-FINGERPRINT.safetensors` in one piece and return its path.

    features: settings of one of `encoder.features.kinds.FEATURES`. architectures: the family of
    networks, which has the model's class. exact: keep the tensors as they are, not as float16.
    """
    description = {
        "format": FORMAT,
        "architecture": architectures.name_of(type(model)),
        "model": to_mapping(model.config),
        "features": {"kind": kind_of(features), **to_mapping(features)},
    }
    tensors = {key: _checked(key, value) for key, value in model.state_dict().items()}
    if not exact:
        tensors = {key: _compact(value) for key, value in tensors.items()}
    content = save(tensors, metadata={"deepspeaker": json.dumps(description)})
    path = Path(folder) / f"{name}-{_fingerprint(description, tensors)}.safetensors"
    with replacing(path, what="the weights ") as partial:
        partial.write_bytes(content)
    return path


def load_weights(path: str | Path, *, architectures: Registry = ARCHITECTURES) -> Loaded:
    """Read weights written by `save_weights`; CheckpointError names what is wrong with others, and
    with those of a network that is not in the family `architectures`."""
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(
            f"cannot read the weights {str(path)!r} ({error.strerror}): "
            "give the path of a .safetensors file"
        ) from error
    named = path.stem.rpartition("-")[2]
    try:
        description, tensors = _read(path)
        old = description["format"] == 1
        fingerprint = _digest(content) if old else _fingerprint(description, tensors)
    except CheckpointError as error:
        if _is_hash(named) and not isinstance(error.__cause__, _OtherFormatError):
            raise _damaged(path, named) from error
        raise
    if _is_hash(named) and named != fingerprint:
        raise _damaged(path, named)
    if bad := [key for key, value in tensors.items() if not _are_numbers(value)]:
        raise CheckpointError(
            f"the weights {str(path)!r} hold values that are not numbers ({min(bad)}): fetch or "
            "train them again"
        )
    try:
        architecture = architectures.load(description["architecture"])
        with torch.device("meta"):  # no random weights, that would be written over
            model = architecture(from_mapping(architecture.Config, description["model"]))
        settings = {"kind": "log-mel", **description["features"]}
        features = from_mapping(FEATURES.load(settings.pop("kind")).Config, settings)
        bands = getattr(features, "n_mels", None)
        if getattr(model.config, "n_mels", bands) != bands:
            raise ConfigError(f"n_mels is {model.config.n_mels}, but the features have {bands}")
        model.load_state_dict(
            {
                k: v.to(torch.float32 if v.is_floating_point() else v.dtype, copy=True)
                for k, v in tensors.items()
            },
            assign=True,
        )
    except (KeyError, TypeError, RuntimeError, ToolkitError) as error:
        reason = " ".join(str(error).split())[:300]  # torch lists every key, on many lines
        raise CheckpointError(
            f"the weights {str(path)!r} do not fit the architecture they name: {reason}"
        ) from error
    return Loaded(model.eval(), features, fingerprint)


class _OtherFormatError(ValueError):
    """A file of another version, which is not damaged."""


def _read(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        description = json.loads(metadata["deepspeaker"])
    except (SafetensorError, KeyError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{str(path)!r} is not a weights file of this toolkit: "
            "give a .safetensors file written by its training"
        ) from error
    written = description.get("format") if isinstance(description, dict) else None
    if written not in (1, FORMAT):
        raise CheckpointError(
            f"the weights {str(path)!r} have format {written}, this version "
            f"reads {FORMAT}: update the toolkit"
        ) from _OtherFormatError()
    lacking = sorted({"architecture", "model", "features"} - set(description))
    others = sorted({str(t.dtype) for t in tensors.values() if t.dtype not in _DTYPES})
    if lacking or others:
        fault = f"say nothing of {lacking[0]}" if lacking else f"hold tensors of {others[0]}"
        raise CheckpointError(
            f"the weights {str(path)!r} {fault}, as no training of this toolkit leaves them: give "
            "a file that one wrote"
        )
    return description, tensors


def _damaged(path: Path, named: str) -> CheckpointError:
    return CheckpointError(
        f"the weights {str(path)!r} are damaged: their content is not what the {named} in their "
        "name says; fetch them again"
    )


def _checked(key: str, value: torch.Tensor) -> torch.Tensor:
    if not _are_numbers(value):
        raise CheckpointError(f"the weights {key!r} hold values that are not numbers: train again")
    return value.contiguous()


def _are_numbers(value: torch.Tensor) -> bool:
    return not value.is_floating_point() or bool(value.isfinite().all())


def _compact(value: torch.Tensor) -> torch.Tensor:
    """float16, unless a value is too large for it (a batch norm's variance may be)."""
    if not value.is_floating_point():
        return value
    half = value.to(torch.float16)
    return half if half.isfinite().all() else value


def _fingerprint(description: dict[str, Any], tensors: dict[str, torch.Tensor]) -> str:
    known = {key: description[key] for key in ("architecture", "features")}
    digest = hashlib.sha256(json.dumps(known, sort_keys=True).encode())
    for key in sorted(tensors):
        value = tensors[key]
        digest.update(f"{key} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.cpu().numpy().tobytes())
    return digest.hexdigest()[:8]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:8]


def _is_hash(text: str) -> bool:
    return len(text) == 8 and all(c in "0123456789abcdef" for c in text)
