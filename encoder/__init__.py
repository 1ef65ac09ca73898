"""Speaker embeddings: from sound to unit vectors, and the training that makes them.

    from encoder import Encoder, load_audio
    vector = Encoder.from_pretrained().embed(load_audio("clip.wav"))     # (192,), unit norm

Names are imported when first used, so that `import encoder` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from encoder.common.lazy import lazy_exports

if TYPE_CHECKING:
    from encoder.audio.load import load_audio, stream_audio
    from encoder.calibration.score_calibration import Calibration, find_calibration
    from encoder.common.version import __version__
    from encoder.errors import (
        AudioError,
        BackendUnavailable,
        CheckpointError,
        ConfigError,
        CorpusError,
        FormatError,
        StoreError,
        ToolkitError,
    )
    from encoder.evaluation.metrics import eer, min_dcf
    from encoder.features.log_mel import FeatureConfig, LogMel
    from encoder.inference.encoder import Encoder
    from encoder.inference.onnx_encoder import OnnxEncoder
    from encoder.inference.window_embedder import FunctionEmbedder, WindowEmbedder
    from encoder.losses.mining import mine_triplets
    from encoder.losses.triplet import cosine_triplet_loss
    from encoder.models.gru import GRU
    from encoder.models.rescnn import ResCNN
    from encoder.speaker_training.config import TrainConfig
    from encoder.speaker_training.finetuning import finetune
    from encoder.speaker_training.training_run import train

__all__ = [
    "GRU",
    "AudioError",
    "BackendUnavailable",
    "Calibration",
    "CheckpointError",
    "ConfigError",
    "CorpusError",
    "Encoder",
    "FeatureConfig",
    "FormatError",
    "FunctionEmbedder",
    "LogMel",
    "OnnxEncoder",
    "ResCNN",
    "StoreError",
    "ToolkitError",
    "TrainConfig",
    "WindowEmbedder",
    "__version__",
    "cosine_triplet_loss",
    "eer",
    "find_calibration",
    "finetune",
    "load_audio",
    "min_dcf",
    "mine_triplets",
    "stream_audio",
    "train",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "AudioError": "encoder.errors",
        "BackendUnavailable": "encoder.errors",
        "Calibration": "encoder.calibration.score_calibration",
        "CheckpointError": "encoder.errors",
        "ConfigError": "encoder.errors",
        "CorpusError": "encoder.errors",
        "Encoder": "encoder.inference.encoder",
        "FeatureConfig": "encoder.features.log_mel",
        "FormatError": "encoder.errors",
        "FunctionEmbedder": "encoder.inference.window_embedder",
        "GRU": "encoder.models.gru",
        "LogMel": "encoder.features.log_mel",
        "OnnxEncoder": "encoder.inference.onnx_encoder",
        "ResCNN": "encoder.models.rescnn",
        "StoreError": "encoder.errors",
        "ToolkitError": "encoder.errors",
        "TrainConfig": "encoder.speaker_training.config",
        "WindowEmbedder": "encoder.inference.window_embedder",
        "__version__": "encoder.common.version",
        "cosine_triplet_loss": "encoder.losses.triplet",
        "eer": "encoder.evaluation.metrics",
        "find_calibration": "encoder.calibration.score_calibration",
        "finetune": "encoder.speaker_training.finetuning",
        "load_audio": "encoder.audio.load",
        "min_dcf": "encoder.evaluation.metrics",
        "mine_triplets": "encoder.losses.mining",
        "stream_audio": "encoder.audio.load",
        "train": "encoder.speaker_training.training_run",
    },
)
