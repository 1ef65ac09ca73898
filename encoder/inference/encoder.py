"""From sound to unit vectors with trained weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from encoder.common.parallel import in_threads
from encoder.errors import BackendUnavailable
from encoder.features.kinds import features_of
from encoder.hub.paths import DEFAULT, find_weights
from encoder.hub.weights_file import load_weights
from encoder.inference.window_embedder import (
    BatchedEmbedder,
    Stretch,
    check_windows,
    embed_group,
    groups_of,
)
from encoder.models.campplus import CAMPlusPlus
from encoder.models.campplus_folded import FoldedCAMPlusPlus
from encoder.models.rescnn import ResCNN

__all__ = ["Encoder"]

LENGTHS = 64  # stretches go through the network in lengths of multiples of so many frames


class Encoder(BatchedEmbedder):
    """A trained network with its features; `Encoder.from_pretrained` loads one."""

    batch_size = 32

    def __init__(
        self, model: nn.Module, features: Any, fingerprint: str, *, device: str = "cpu"
    ) -> None:
        """Put a network into evaluation mode on a device.

        Args:
            model: (B, F, M) normalised features -> (B, D) of unit norm.
            features: Settings of the features, such as a `FeatureConfig`.
            fingerprint: Of the network and its features.
            device: "cpu", "cuda" or "cuda:N".
        """
        self.device = torch.device(device)
        self.model = model.eval().to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.mel: Any = features_of(features).to(self.device)
        self.fingerprint = fingerprint

    @classmethod
    def from_pretrained(
        cls, name_or_path: str | Path = DEFAULT, *, device: str = "auto"
    ) -> Encoder:
        """Load trained weights.

        Args:
            name_or_path: Of the weights; by default the packaged ones.
            device: "cpu", "cuda", or "auto" for the better of the two.

        Returns:
            The encoder.

        Raises:
            CheckpointError: The weights are missing or damaged.
            BackendUnavailable: The device is not there.
        """
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            torch.zeros(1, device=device).item()  # "meta" is a device without values
        except (RuntimeError, AssertionError, NotImplementedError, ImportError) as error:
            raise BackendUnavailable(
                f"no device {device!r} on this machine: use cpu or auto"
            ) from error
        loaded = load_weights(find_weights(name_or_path))
        model = loaded.model
        if isinstance(model, ResCNN):
            model.fold_norms()
        elif isinstance(model, CAMPlusPlus):
            model = FoldedCAMPlusPlus(model)
        return cls(model, loaded.features, loaded.fingerprint, device=device)

    @property
    def embedding_size(self) -> int:
        """D."""
        return int(self.model.config.embedding_size)  # type: ignore[union-attr,arg-type]

    @property
    def minimum_samples(self) -> int:  # type: ignore[override]
        """The shortest wave that can be embedded: one output frame of the trunk, or more where the
        network needs more."""
        frames = getattr(self.model, "minimum_frames", self.model.stride)
        return self.mel.config.samples(int(frames))  # type: ignore[arg-type]

    def _input_samples(self, samples: int) -> int:
        return self.mel.config.samples(self.mel.config.frames(samples))

    def _forward(self, waves: Tensor) -> NDArray[np.float32]:
        features = self.mel.normalise(self.mel(waves.to(self.device)))
        return self.model(features).cpu().numpy()

    def embed_stretches(self, stretches: Iterable[Stretch]) -> Iterator[NDArray[np.float32]]:
        """As `WindowEmbedder.embed_stretches`.

        The ResCNN runs once over each stretch, and each window takes the mean of its own frames: a
        quarter of the work for windows that overlap fourfold. A frame is normalised by the frames
        around it, as many as the longest window has. A stretch of one window gives the vector of
        `embed_windows`. The result does not depend on the number of threads.

        Args:
            stretches: Waves with their windows; taken as they are needed.

        Returns:
            An iterator over (N, D) float32 vectors of unit norm, one array a stretch.

        Raises:
            AudioError: As for `embed_windows`.
        """
        groups = groups_of(stretches)
        done = (in_threads if self.device.type == "cpu" else map)(self._embed_group, groups)
        return (vectors for group in done for vectors in group)

    def _embed_group(self, group: list[Stretch]) -> list[NDArray[np.float32]]:
        if isinstance(self.model, ResCNN) and any(len(bounds) > 1 for _, bounds in group):
            return [self._embed_stretch(stretch) for stretch in group]
        return embed_group(self, group)

    @torch.inference_mode()
    def _embed_stretch(self, stretch: Stretch) -> NDArray[np.float32]:
        wave, bounds = stretch
        check_windows(len(wave), bounds, self.minimum_samples)
        model: ResCNN = self.model  # type: ignore[assignment]
        longest = self.mel.config.frames(int((bounds[:, 1] - bounds[:, 0]).max()))
        features = self.mel.normalise_moving(self.mel(wave.to(self.device)), longest)
        # Every length that the network meets costs memory for kernels of its own.
        padded = nn.functional.pad(features, (0, 0, 0, -len(features) % LENGTHS))
        frames = model.frames(padded[None], len(features))[0]  # (H, F / stride)
        shares = _shares(bounds, model.stride * self.mel.config.hop, frames.shape[1])
        return model.embed(torch.from_numpy(shares).to(frames) @ frames.T).cpu().numpy()


def _shares(bounds: NDArray[np.int64], samples: int, F: int) -> NDArray[np.float64]:
    """(N, F): what each of F frames of so many `samples` adds to the mean of windows (N, 2)."""
    if len(bounds) == 1:
        return np.full((1, F), 1 / F)
    edges = np.arange(F + 1) * samples
    starts, ends = np.minimum(bounds.T, edges[-1])  # the last frame may end before the wave does
    starts = np.minimum(starts, edges[-1] - 1)
    inside = np.minimum(ends[:, None], edges[1:]) - np.maximum(starts[:, None], edges[:-1])
    inside = np.maximum(inside, 0)
    return inside / inside.sum(axis=1, keepdims=True)
