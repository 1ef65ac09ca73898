"""Small arrays on disk, as safetensors with a description in the header."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from encoder.common.atomic_files import replacing
from encoder.errors import CheckpointError

__all__ = ["read_arrays", "write_arrays"]


def write_arrays(
    path: Path, arrays: Mapping[str, NDArray[Any]], description: Mapping[str, Any], *, what: str
) -> Path:
    """Write the file in one piece; StoreError, which calls it `what`, if it cannot."""
    content = save(
        {name: np.ascontiguousarray(array) for name, array in arrays.items()},
        metadata={"deepspeaker": json.dumps(description)},
    )
    with replacing(path, what=what) as partial:
        partial.write_bytes(content)
    return path


def read_arrays(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """The arrays and the description; CheckpointError for a file of another kind."""
    try:
        with safe_open(path, framework="np") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            description = json.loads((file.metadata() or {})["deepspeaker"])
        if not isinstance(description, dict):
            raise ValueError("no description")
    except (OSError, SafetensorError, KeyError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"cannot read {str(path)!r} ({error}): remove it, or make it again"
        ) from error
    return arrays, description
