"""Kinds of features by name, as weights name what their network takes."""

from __future__ import annotations

from typing import Any

from torch import nn

from encoder.common.registry import Registry
from encoder.errors import ConfigError

__all__ = ["FEATURES", "features_of", "kind_of"]

FEATURES = Registry(
    "kind of features",
    {
        "log-mel": "encoder.features.log_mel:LogMel",
        "kaldi-fbank": "encoder.features.kaldi_fbank:KaldiFbank",
        "wave": "encoder.features.plain_wave:PlainWave",
    },
)


def kind_of(config: Any) -> str:
    """The name of the features whose settings these are; ConfigError if there are none."""
    for name in FEATURES.names():
        if type(config) is FEATURES.load(name).Config:
            return name
    raise ConfigError(f"{config!r} are no settings of features: give those of one of them")


def features_of(config: Any) -> nn.Module:
    """What makes features of waves (B, T) with these settings."""
    features: nn.Module = FEATURES.load(kind_of(config))(config)
    return features
