"""Weights of segmentation networks, in the same kind of file as those of encoders."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, cast

from diarize.segmentation.neural.network import SegmentationNetwork
from encoder.checkpoint import load_weights, save_weights
from encoder.errors import CheckpointError
from encoder.features import FeatureConfig
from encoder.hub import find_weights
from encoder.registry import Registry

__all__ = ["DEFAULT", "NETWORKS", "LoadedNetwork", "load_network", "save_network"]

DEFAULT = "segmentation"

NETWORKS = Registry(
    "segmentation network",
    {"conv-lstm": "diarize.segmentation.neural.network:SegmentationNetwork"},
)


class LoadedNetwork(NamedTuple):
    """A network in evaluation mode, the features it hears, and the fingerprint of the pair."""

    network: SegmentationNetwork
    features: FeatureConfig
    fingerprint: str


def save_network(network: SegmentationNetwork, folder: Path, *, name: str = DEFAULT) -> Path:
    """Write `folder/name-HASH.safetensors` in one piece and return its path."""
    return save_weights(network, FeatureConfig(), folder, name=name, architectures=NETWORKS)


def load_network(name_or_path: str | Path = DEFAULT) -> LoadedNetwork:
    """The network of a weights file, or of a name that `encoder.hub` looks for.

    CheckpointError for weights that are missing, damaged, or of an encoder.
    """
    try:
        path = find_weights(name_or_path)
    except CheckpointError as error:
        if str(name_or_path) != DEFAULT:
            raise
        raise CheckpointError(
            f"there are no weights named {DEFAULT!r}: train them with `make segmentation`, or "
            "give a path as segmentation.weights"
        ) from error
    loaded = load_weights(path, architectures=NETWORKS)
    network = cast(SegmentationNetwork, loaded.model)  # the family has no others
    return LoadedNetwork(network, loaded.features, loaded.fingerprint)
