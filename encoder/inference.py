"""From sound to unit vectors with trained weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from encoder.by_length import ByLength
from encoder.checkpoint import load_weights
from encoder.errors import BackendUnavailable
from encoder.features import FeatureConfig, LogMel, normalise
from encoder.hub import DEFAULT, find_weights

__all__ = ["Encoder"]


class Encoder(ByLength):
    """A trained network with its features."""

    batch_size = 32

    def __init__(
        self, model: nn.Module, features: FeatureConfig, fingerprint: str, *, device: str = "cpu"
    ) -> None:
        self.device = torch.device(device)
        self.model = model.eval().to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.mel = LogMel(features).to(self.device)
        self.fingerprint = fingerprint

    @classmethod
    def from_pretrained(
        cls, name_or_path: str | Path = DEFAULT, *, device: str = "auto"
    ) -> Encoder:
        """Load weights by name or path onto "cpu", "cuda" or the better of the two ("auto").

        CheckpointError if the weights are missing or damaged, BackendUnavailable without the
        device.
        """
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            torch.zeros(1, device=device)
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            raise BackendUnavailable(
                f"no device {device!r} on this machine: use cpu or auto"
            ) from error
        loaded = load_weights(find_weights(name_or_path))
        return cls(loaded.model, loaded.features, loaded.fingerprint, device=device)

    @property
    def embedding_size(self) -> int:
        """D."""
        return int(self.model.config.embedding_size)  # type: ignore[union-attr,arg-type]

    @property
    def minimum_samples(self) -> int:
        """The shortest wave that can be embedded: one output frame of the trunk."""
        stride = int(self.model.stride)  # type: ignore[arg-type]
        return self.mel.config.samples(stride)

    def _heard_samples(self, samples: int) -> int:
        return self.mel.config.samples(self.mel.config.frames(samples))

    def _forward(self, waves: Tensor) -> NDArray[np.float32]:
        features = normalise(self.mel(waves.to(self.device)))
        return self.model(features).cpu().numpy()
