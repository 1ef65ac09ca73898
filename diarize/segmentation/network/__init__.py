"""Networks that find who speaks when within ten seconds: features (B, F, M) or waves (B, T) to
powerset classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from encoder.common.lazy import lazy_exports

if TYPE_CHECKING:
    from diarize.segmentation.network.network import SegmentationNetwork, SegmentationNetworkConfig
    from diarize.segmentation.network.powerset import Powerset
    from diarize.segmentation.network.pyannet import PyanNet
    from diarize.segmentation.network.weights import (
        load_network,
        load_pyannote,
        save_network,
        save_pyannote,
    )

__all__ = [
    "Powerset",
    "PyanNet",
    "SegmentationNetwork",
    "SegmentationNetworkConfig",
    "load_network",
    "load_pyannote",
    "save_network",
    "save_pyannote",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "Powerset": "diarize.segmentation.network.powerset",
        "PyanNet": "diarize.segmentation.network.pyannet",
        "SegmentationNetwork": "diarize.segmentation.network.network",
        "SegmentationNetworkConfig": "diarize.segmentation.network.network",
        "load_network": "diarize.segmentation.network.weights",
        "load_pyannote": "diarize.segmentation.network.weights",
        "save_network": "diarize.segmentation.network.weights",
        "save_pyannote": "diarize.segmentation.network.weights",
    },
)
