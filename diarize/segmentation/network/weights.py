"""Weights of segmentation networks, in the same kind of file as those of encoders."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, cast

from diarize.segmentation.network.network import SegmentationNetwork
from encoder.common.registry import Registry
from encoder.errors import CheckpointError
from encoder.features.log_mel import FeatureConfig
from encoder.hub.paths import find_weights
from encoder.hub.weights_file import load_weights, save_weights

__all__ = ["DEFAULT", "NETWORKS", "LoadedNetwork", "load_network", "save_network"]

DEFAULT = "segmentation"

NETWORKS = Registry(
    "segmentation network",
    {"conv-lstm": "diarize.segmentation.network.network:SegmentationNetwork"},
)


class LoadedNetwork(NamedTuple):
    """A network in evaluation mode, the settings of its features, and the fingerprint of the
    pair."""

    network: SegmentationNetwork
    features: FeatureConfig
    fingerprint: str


def save_network(network: SegmentationNetwork, folder: Path, *, name: str = DEFAULT) -> Path:
    """Write `folder/name-HASH.safetensors` in one piece and return its path."""
    return save_weights(network, FeatureConfig(), folder, name=name, architectures=NETWORKS)


def load_network(name_or_path: str | Path = DEFAULT) -> LoadedNetwork:
    """The network of a weights file, or of a name that `encoder.hub.paths` looks for.

    CheckpointError for weights that are missing, damaged, or of an encoder.
    """
    try:
        path = find_weights(name_or_path)
    except CheckpointError as error:
        if str(name_or_path) != DEFAULT:
            raise
        raise CheckpointError(
            f"there are no weights named {DEFAULT!r}: train them with `python -m "
            "recipes.train.segmentation` of the source repository, or give a path as "
            "segmentation.neural.weights"
        ) from error
    loaded = load_weights(path, architectures=NETWORKS)
    network = cast(SegmentationNetwork, loaded.model)  # the family has no others
    return LoadedNetwork(network, loaded.features, loaded.fingerprint)
