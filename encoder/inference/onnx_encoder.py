"""Speaker models that others trained, as ONNX files, behind the same face as our `Encoder`.

Beside `model.onnx` a `model.toml` says what the model takes (`OnnxFeatures`): an ONNX file does not
tell its features. onnxruntime is imported when a model is loaded.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from encoder.common.config import to_mapping
from encoder.common.units import samples_to_seconds, seconds_to_samples
from encoder.common.vectors import unit_rows
from encoder.errors import BackendUnavailable, CheckpointError, ConfigError
from encoder.hub.onnx_file import has_external_weights
from encoder.inference.onnx_inputs import OnnxFeatures, read_features
from encoder.inference.onnx_runtime import import_onnxruntime
from encoder.inference.window_embedder import BatchedEmbedder

__all__ = ["OnnxEncoder", "onnx_session"]


class OnnxEncoder(BatchedEmbedder):
    """An ONNX speaker model with its features; its vectors are made unit here.

    onnxruntime would take every core; it gets `torch.get_num_threads()` of the moment instead, so
    that one setting (or OMP_NUM_THREADS) rules the whole pipeline.
    """

    batch_size = 16

    def __init__(
        self, content: bytes, features: OnnxFeatures, *, device: str = "cpu", name: str = "model"
    ) -> None:
        """Load a model and try it on noise of `minimum_s`.

        Args:
            content: Bytes of the .onnx file, weights inside.
            features: What the model takes.
            device: "cpu", "cuda", or "auto" for the better of the two.
            name: What errors call the model.

        Raises:
            CheckpointError: The model is damaged or does not take these features.
            ConfigError: It lacks the named input or output.
            BackendUnavailable: onnxruntime or the device is not there.
        """
        self.name = name
        self._session = onnx_session(content, device, name)
        self.features = dataclasses.replace(
            features,
            input=_choose(features.input, self._session.get_inputs(), f"{name} has no input"),
            output=_choose(features.output, self._session.get_outputs(), f"{name} has no output"),
        )
        if self._session.get_inputs()[0].shape[:1] == [1]:
            self.batch_size = 1  # exported for one window at a time
        self.fingerprint = _fingerprint(content, self.features)
        noise = torch.rand(1, self.minimum_samples, generator=torch.Generator().manual_seed(0))
        self._embedding_size = int(self._forward(0.2 * noise - 0.1).shape[1])

    @classmethod
    def from_file(cls, path: str | Path, *, device: str = "cpu") -> OnnxEncoder:
        """Load `model.onnx` with the settings of the `model.toml` beside it.

        Args:
            path: Of the .onnx file.
            device: "cpu", "cuda", or "auto" for the better of the two.

        Returns:
            The encoder.

        Raises:
            CheckpointError: The model cannot be read, is damaged, or does not take these features.
            ConfigError: The .toml is missing or cannot be used.
            BackendUnavailable: onnxruntime or the device is not there.
        """
        path = Path(path)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise CheckpointError(
                f"cannot read the model {str(path)!r} ({error.strerror}): "
                "give the path of a .onnx file"
            ) from error
        return cls(content, read_features(path), device=device, name=str(path))

    @property
    def embedding_size(self) -> int:
        """D."""
        return self._embedding_size

    @property
    def minimum_samples(self) -> int:  # type: ignore[override]
        """The shortest wave that can be embedded."""
        return seconds_to_samples(self.features.minimum_s)

    def _input_samples(self, samples: int) -> int:
        return self.features.input_samples(samples)

    def _forward(self, waves: Tensor) -> NDArray[np.float32]:
        inputs = self.features.of(waves.to("cpu", torch.float32)).contiguous().numpy()
        try:
            (raw,) = self._session.run([self.features.output], {self.features.input: inputs})
        except Exception as error:  # onnxruntime's errors have no base of their own
            raise CheckpointError(
                f"the model {self.name!r} does not take {self.features.kind} of shape "
                f"{inputs.shape}: correct the .toml beside it ({_reason(error)})"
            ) from error
        raw = np.asarray(raw, np.float32)
        if raw.shape[:1] != (len(waves),) or raw[0].size != max(raw.shape[1:], default=0):
            raise CheckpointError(
                f"the model {self.name!r} gives {raw.shape} for {len(waves)} windows and not one "
                "vector each: name another output in the .toml beside it"
            )
        if not np.isfinite(raw).all():
            raise CheckpointError(
                f"the model {self.name!r} gives values that are not numbers for windows of "
                f"{samples_to_seconds(waves.shape[1]):.3f} s: correct the .toml beside it, "
                "or take another model"
            )
        vectors = raw.reshape(len(waves), -1)
        return unit_rows(vectors)


def onnx_session(content: bytes, device: str, name: str) -> Any:
    """An onnxruntime session of a model that is called `name`, with as many threads as torch has.

    BackendUnavailable without onnxruntime, CheckpointError for what is no such model.
    """
    try:
        onnxruntime = import_onnxruntime()
    except (ImportError, OSError) as error:
        raise BackendUnavailable(
            f"the model {name!r} needs onnxruntime, which cannot be imported ({_reason(error)}): "
            "install it with `pip install 'deepspeaker-diarize[onnx]'`"
        ) from error
    if has_external_weights(content):
        raise CheckpointError(
            f"the model {name!r} has weights in other files, which may be any of yours and are not "
            "read: export it again, in one file"
        )
    kind, _, number = device.partition(":")
    has_cuda = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    if kind == "auto":
        kind = "cuda" if has_cuda and torch.cuda.is_available() else "cpu"
    absent = BackendUnavailable(f"no device {device!r} for onnxruntime here: use cpu or auto")
    numbered = not number or number.isdecimal()
    if kind not in ("cpu", "cuda") or (kind == "cuda" and not has_cuda) or not numbered:
        raise absent
    providers: list[Any] = ["CPUExecutionProvider"]
    if kind == "cuda":
        providers.insert(0, ("CUDAExecutionProvider", {"device_id": number or "0"}))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    # Its idle threads would burn the cores on which torch computes the features of the next batch.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Not the format of onnxruntime's own, whose weights may lie elsewhere as well.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    options.log_severity_level = 4  # what goes wrong is raised, not printed
    try:
        session = onnxruntime.InferenceSession(content, options, providers=providers)
    except Exception as error:  # onnxruntime's errors have no base of their own
        raise CheckpointError(
            f"{name!r} is not a model that onnxruntime can load ({_reason(error)}): fetch or "
            "export it again, in one file"
        ) from error
    if kind == "cuda" and "CUDAExecutionProvider" not in session.get_providers():
        raise absent
    return session


def _choose(wanted: str, there: list[Any], problem: str) -> str:
    names = [node.name for node in there]
    if wanted and wanted not in names:
        raise ConfigError(f"{problem} {wanted!r}: name one of {', '.join(names)}")
    return wanted or names[0]


def _fingerprint(content: bytes, features: OnnxFeatures) -> str:
    """8 hex digits of the model and of every setting that changes its vectors."""
    settings = to_mapping(features)
    del settings["minimum_s"]
    canonical = json.dumps(settings, sort_keys=True).encode()
    return hashlib.sha256(content + canonical).hexdigest()[:8]


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
