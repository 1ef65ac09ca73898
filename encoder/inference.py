"""From sound to unit vectors with trained weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from encoder.by_length import embed_by_length
from encoder.checkpoint import load_weights
from encoder.errors import BackendUnavailable
from encoder.features import FeatureConfig, LogMel, normalise
from encoder.hub import DEFAULT, find_weights

__all__ = ["Encoder"]


class Encoder:
    """A trained network with its features. Vectors of two encoders must never be compared:
    `fingerprint` says which space a vector belongs to."""

    batch_size = 32  # windows in one forward pass; the result does not depend on it

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

    def embed(self, wave: Tensor) -> NDArray[np.float32]:
        """(T,) wave -> (D,) unit vector; AudioError below `minimum_samples`."""
        return self.embed_windows(wave, np.array([[0, len(wave)]]))[0]

    @torch.inference_mode()
    def embed_windows(
        self,
        wave: Tensor,
        bounds: NDArray[np.int64],
        *,
        on_done: Callable[[int, int], None] | None = None,
    ) -> NDArray[np.float32]:
        """Wave (T,), windows (N, 2) as sample offsets -> (N, D) unit vectors.

        Windows of one length share a forward pass, so none is ever padded. AudioError if a window
        leaves the wave or is shorter than `minimum_samples`.
        """
        mel = self.mel.config
        return embed_by_length(
            self._forward,
            wave,
            bounds,
            embedding_size=self.embedding_size,
            minimum_samples=self.minimum_samples,
            heard_samples=lambda samples: mel.samples(mel.frames(samples)),
            batch_size=self.batch_size,
            on_done=on_done,
        )

    def _forward(self, waves: Tensor) -> NDArray[np.float32]:
        features = normalise(self.mel(waves.to(self.device)))
        return self.model(features).cpu().numpy()
