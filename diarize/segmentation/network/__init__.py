"""A network that finds who speaks when within ten seconds: features (B, F, M) to powerset
classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from encoder.common.lazy import lazy_exports

if TYPE_CHECKING:
    from diarize.segmentation.network.network import SegmentationNetwork, SegmentationNetworkConfig
    from diarize.segmentation.network.powerset import Powerset
    from diarize.segmentation.network.weights import load_network, save_network

__all__ = [
    "Powerset",
    "SegmentationNetwork",
    "SegmentationNetworkConfig",
    "load_network",
    "save_network",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "Powerset": "diarize.segmentation.network.powerset",
        "SegmentationNetwork": "diarize.segmentation.network.network",
        "SegmentationNetworkConfig": "diarize.segmentation.network.network",
        "load_network": "diarize.segmentation.network.weights",
        "save_network": "diarize.segmentation.network.weights",
    },
)
