"""What an ONNX speaker model takes: the TOML file beside it, and the features it asks for.

# voice.toml, beside voice.onnx: a model of WeSpeaker's
kind = "kaldi-fbank"
n_mels = 80
scale = 32768.0
window = "hamming"
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal

from torch import Tensor

from encoder.common.config import from_mapping, read_toml
from encoder.common.settings import Settings, bounded
from encoder.common.units import SAMPLE_RATE
from encoder.errors import ConfigError
from encoder.features.kaldi_fbank import KaldiWindow, kaldi_fbank, kaldi_frames, kaldi_samples
from encoder.features.log_mel import FeatureConfig, LogMel

__all__ = ["OnnxFeatures", "read_features", "toml_of"]

EXAMPLE = 'kind = "kaldi-fbank", n_mels = 80, scale = 32768.0, window = "hamming", one to a line'


@dataclass(frozen=True)
class OnnxFeatures(Settings):
    """What an ONNX model takes; the keys of the TOML file beside it."""

    kind: Literal["wave", "log-mel", "kaldi-fbank"] = field(
        metadata={
            "help": "input of the model: wave (B, T), or (B, F, M) of "
            "`encoder.features.log_mel.LogMel` or of Kaldi's filterbanks"
        }
    )
    sample_rate: int = bounded(SAMPLE_RATE, least=4000, most=192_000, help="Hz; 16000 so far")
    n_mels: int = bounded(80, least=4, most=256, help="mel bands (M)")
    scale: float = bounded(
        1.0,
        above=0,
        most=1_000_000,
        help="multiplies the wave, which is in [-1, 1]; WeSpeaker's models want 32768",
    )
    window: KaldiWindow = field(
        default="povey", metadata={"help": "of kaldi-fbank: hamming or povey; log-mel is Hamming"}
    )
    mean_normalise: bool = field(
        default=True, metadata={"help": "take each band's mean over the window out of the features"}
    )
    input: str = field(default="", metadata={"help": "name in the graph; empty: the first"})
    output: str = field(default="", metadata={"help": "name in the graph; empty: the first"})
    minimum_s: float = bounded(0.2, least=0.025, most=60, help="the shortest window it takes")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sample_rate != SAMPLE_RATE:
            raise ConfigError(
                f"sample_rate is {self.sample_rate}: choose a model trained at {SAMPLE_RATE} Hz"
            )

    def input_samples(self, samples: int) -> int:
        """How many of `samples` reach the model: both filterbanks take whole frames only, of 25 ms
        every 10 ms; a model of waves gets all."""
        return samples if self.kind == "wave" else kaldi_samples(kaldi_frames(samples))

    def of(self, waves: Tensor) -> Tensor:
        """Waves (B, T) in [-1, 1] -> what the model takes: (B, T) or (B, F, M)."""
        waves = waves * self.scale
        if self.kind == "wave":
            return waves
        if self.kind == "log-mel":
            bands = _log_mel(self.n_mels)(waves)
        else:
            bands = kaldi_fbank(waves, n_mels=self.n_mels, window=self.window)
        return bands - bands.mean(dim=1, keepdim=True) if self.mean_normalise else bands


def read_features(model: Path) -> OnnxFeatures:
    """The settings beside `model`, under its name with .toml; ConfigError says what to write."""
    path = model.with_suffix(".toml")
    if not path.is_file():
        raise ConfigError(
            f"nothing says what the model {str(model)!r} takes: "
            f"write {str(path)!r}, for instance {EXAMPLE}"
        )
    try:
        return from_mapping(OnnxFeatures, read_toml(path))
    except ConfigError as error:
        raise ConfigError(f"{error} (in {str(path)!r})") from error


def toml_of(features: OnnxFeatures) -> str:
    """The TOML text of settings, as `read_features` reads them; a wave's leave out filterbanks."""
    lines = []
    for f in fields(features):
        value = getattr(features, f.name)
        if value != f.default or (value != "" and features.kind != "wave"):
            lines.append(f"{f.name} = {json.dumps(value)}")  # JSON's scalars are TOML's
    return "\n".join([*lines, ""])


@functools.cache
def _log_mel(n_mels: int) -> LogMel:
    return LogMel(FeatureConfig(n_mels=n_mels))
