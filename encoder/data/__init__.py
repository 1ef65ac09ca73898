"""From lists of utterances to batches.

A corpus folder (`encoder.data.corpora`) or a manifest gives utterances with speaker, split and
session; these become a bank of features on disk, and the bank becomes batches of crops (B, F, M).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from encoder.common.lazy import lazy_exports

if TYPE_CHECKING:
    from encoder.data.batch_sampler import Batch, CropBatches, SamplerConfig
    from encoder.data.feature_bank import FeatureBank, bank_of
    from encoder.data.manifest import Utterance, read_manifest
    from encoder.data.splits import split_validation

__all__ = [
    "Batch",
    "CropBatches",
    "FeatureBank",
    "SamplerConfig",
    "Utterance",
    "bank_of",
    "read_manifest",
    "split_validation",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "Batch": "encoder.data.batch_sampler",
        "CropBatches": "encoder.data.batch_sampler",
        "FeatureBank": "encoder.data.feature_bank",
        "SamplerConfig": "encoder.data.batch_sampler",
        "Utterance": "encoder.data.manifest",
        "bank_of": "encoder.data.feature_bank",
        "read_manifest": "encoder.data.manifest",
        "split_validation": "encoder.data.splits",
    },
)
