"""Weights of segmentation networks, in the same kind of file as those of encoders."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, TypeVar

from torch import nn

from diarize.segmentation.network.network import SegmentationNetwork
from diarize.segmentation.network.pyannet import PyanNet
from encoder.common.registry import Registry
from encoder.errors import CheckpointError
from encoder.features.log_mel import FeatureConfig
from encoder.features.plain_wave import PlainWaveConfig
from encoder.hub.paths import find_weights
from encoder.hub.weights_file import Loaded, load_weights, save_weights

__all__ = [
    "DEFAULT",
    "NETWORKS",
    "PYANNOTE",
    "LoadedNetwork",
    "LoadedPyannote",
    "load_network",
    "load_pyannote",
    "save_network",
    "save_pyannote",
]

DEFAULT = "segmentation"
PYANNOTE = "pyannote-segmentation"

NETWORKS = Registry(
    "segmentation network",
    {
        "conv-lstm": "diarize.segmentation.network.network:SegmentationNetwork",
        "pyannet": "diarize.segmentation.network.pyannet:PyanNet",
    },
)

Network = TypeVar("Network", bound=nn.Module)


class LoadedNetwork(NamedTuple):
    """A network in evaluation mode, the settings of its features, and the fingerprint of the
    pair."""

    network: SegmentationNetwork
    features: FeatureConfig
    fingerprint: str


class LoadedPyannote(NamedTuple):
    """A network of waves in evaluation mode, and its fingerprint."""

    network: PyanNet
    fingerprint: str


def save_network(network: SegmentationNetwork, folder: Path, *, name: str = DEFAULT) -> Path:
    """Write `folder/name-HASH.safetensors` in one piece and return its path."""
    return save_weights(network, FeatureConfig(), folder, name=name, architectures=NETWORKS)


def save_pyannote(network: PyanNet, folder: Path, *, name: str = PYANNOTE) -> Path:
    """The same of a network of waves, every bit: rounded to half as many, the public weights give
    probabilities that differ by up to 0.07."""
    features = PlainWaveConfig()
    return save_weights(network, features, folder, name=name, architectures=NETWORKS, exact=True)


def load_network(name_or_path: str | Path = DEFAULT) -> LoadedNetwork:
    """The network of a weights file, or of a name that `encoder.hub.paths` looks for.

    CheckpointError for weights that are missing, damaged, or of another kind.
    """
    absent = (
        f"there are no weights named {DEFAULT!r}: train them with `python -m "
        "recipes.train.segmentation` of the source repository, or give a path as "
        "segmentation.neural.weights"
    )
    path = _find(name_or_path, DEFAULT, absent)
    loaded = load_weights(path, architectures=NETWORKS)
    network = _of_kind(loaded, SegmentationNetwork, path)
    return LoadedNetwork(network, loaded.features, loaded.fingerprint)


def load_pyannote(name_or_path: str | Path = PYANNOTE) -> LoadedPyannote:
    """The same for a network of waves."""
    absent = (
        f"there are no weights named {PYANNOTE!r}: fetch them with `diarize models fetch "
        f"{PYANNOTE}`, or give a path as segmentation.pyannote.weights"
    )
    path = _find(name_or_path, PYANNOTE, absent)
    loaded = load_weights(path, architectures=NETWORKS)
    return LoadedPyannote(_of_kind(loaded, PyanNet, path), loaded.fingerprint)


def _find(name_or_path: str | Path, default: str, absent: str) -> Path:
    """absent: what to say if there are no weights of the default name."""
    try:
        return find_weights(name_or_path)
    except CheckpointError as error:
        if str(name_or_path) != default:
            raise
        raise CheckpointError(absent) from error


def _of_kind(loaded: Loaded, kind: type[Network], path: Path) -> Network:
    if not isinstance(loaded.model, kind):
        raise CheckpointError(
            f"the weights {str(path)!r} are of a network {NETWORKS.name_of(type(loaded.model))!r}, "
            f"which is of no use here: give those of a {NETWORKS.name_of(kind)!r}"
        )
    return loaded.model
