"""Weights on disk: one safetensors file that says what it is.

The file holds the tensors (float16) and, in its header, architecture, model and feature settings as
JSON. Its name ends in the first 8 hex digits of the SHA-256 of its content, so a damaged or swapped
file is noticed. Nothing is unpickled; keys must match the architecture exactly.
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
from encoder.errors import CheckpointError, ToolkitError
from encoder.features.log_mel import FeatureConfig
from encoder.models import ARCHITECTURES

__all__ = ["Loaded", "load_weights", "save_weights"]

FORMAT = 1


class Loaded(NamedTuple):
    """A model in evaluation mode, the settings of its features, and the fingerprint of the pair."""

    model: nn.Module
    features: FeatureConfig
    fingerprint: str


def save_weights(
    model: nn.Module,
    features: FeatureConfig,
    folder: str | Path,
    *,
    name: str,
    architectures: Registry = ARCHITECTURES,
) -> Path:
    """Write `folder/name-HASH.safetensors` in one piece and return its path.

    architectures: the family of networks, which has the model's class.
    """
    description = {
        "format": FORMAT,
        "architecture": architectures.name_of(type(model)),
        "model": to_mapping(model.config),
        "features": to_mapping(features),
    }
    tensors = {key: _compact(key, value) for key, value in model.state_dict().items()}
    content = save(tensors, metadata={"deepspeaker": json.dumps(description)})
    path = Path(folder) / f"{name}-{_digest(content)}.safetensors"
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
    expected = path.stem.rpartition("-")[2]
    if _is_hash(expected) and expected != _digest(content):
        raise CheckpointError(
            f"the weights {str(path)!r} are damaged: their content has the hash "
            f"{_digest(content)}, their name says {expected}; fetch them again"
        )
    description, tensors = _read(path)
    try:
        architecture = architectures.load(description["architecture"])
        with torch.device("meta"):  # no random weights, that would be written over
            model = architecture(from_mapping(architecture.Config, description["model"]))
        features = from_mapping(FeatureConfig, description["features"])
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
    return Loaded(model.eval(), features, _digest(content))


def _read(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        description = json.loads(metadata["deepspeaker"])
    except (SafetensorError, KeyError, ValueError) as error:
        raise CheckpointError(
            f"{str(path)!r} is not a weights file of this toolkit: "
            "give a .safetensors file written by its training"
        ) from error
    written = description.get("format") if isinstance(description, dict) else None
    if written != FORMAT:
        raise CheckpointError(
            f"the weights {str(path)!r} have format {written}, this version "
            f"reads {FORMAT}: update the toolkit"
        )
    return description, tensors


def _compact(key: str, value: torch.Tensor) -> torch.Tensor:
    """float16, unless a value is too large for it (a batch norm's variance may be)."""
    if not value.is_floating_point():
        return value
    if not value.isfinite().all():
        raise CheckpointError(f"the weights {key!r} hold values that are not numbers: train again")
    half = value.to(torch.float16)
    return (half if half.isfinite().all() else value).contiguous()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:8]


def _is_hash(text: str) -> bool:
    return len(text) == 8 and all(c in "0123456789abcdef" for c in text)
