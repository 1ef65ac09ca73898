"""Wave (B, T) to features (B, F, M): the log-mel bands of Deep Speaker, and Kaldi's filterbanks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from encoder.common.lazy import lazy_exports

if TYPE_CHECKING:
    from encoder.features.kinds import FEATURES, features_of
    from encoder.features.log_mel import FeatureConfig, LogMel, normalise, normalise_moving

__all__ = [
    "FEATURES",
    "FeatureConfig",
    "LogMel",
    "features_of",
    "normalise",
    "normalise_moving",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "FEATURES": "encoder.features.kinds",
        "FeatureConfig": "encoder.features.log_mel",
        "LogMel": "encoder.features.log_mel",
        "features_of": "encoder.features.kinds",
        "normalise": "encoder.features.log_mel",
        "normalise_moving": "encoder.features.log_mel",
    },
)
