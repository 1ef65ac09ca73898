"""The pipeline's settings: schema, defaults and help in one place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from diarize.embedding.windows import WindowConfig
from diarize.gallery.config import NamingConfig
from diarize.postprocessing.config import AggregationConfig, ResegmentationConfig
from encoder.common.config import apply_overrides, from_mapping, read_toml
from encoder.errors import ConfigError

__all__ = ["DiarizeConfig", "load_config"]


@dataclass(frozen=True)
class DiarizeConfig:
    """Every setting of `Diarizer`. Those of a backend are a group under the backend's own name:
    `clustering.agglomerative.count_by`. ConfigError for values that cannot be."""

    segmenter: str = field(default="silero", metadata={"help": "finds the speech"})
    segmentation: dict[str, Any] = field(
        default_factory=dict, metadata={"help": "settings by segmenter name"}
    )
    window: WindowConfig = field(default_factory=WindowConfig)
    embedder: str = field(default="deepspeaker-small", metadata={"help": "name or path; onnx:..."})
    device: str = field(default="auto", metadata={"help": "cpu, cuda or auto"})
    aggregation: AggregationConfig = field(
        default_factory=AggregationConfig,
        metadata={"help": "how chunks become turns, where the segmenter tells speakers apart"},
    )
    clusterer: str = field(default="agglomerative", metadata={"help": "groups windows by speaker"})
    clustering: dict[str, Any] = field(
        default_factory=dict, metadata={"help": "settings by clusterer name"}
    )
    resegment: bool = field(
        default=True,
        metadata={"help": "correct the labels by the order of the windows"},
    )
    resegmentation: ResegmentationConfig = field(default_factory=ResegmentationConfig)
    naming: NamingConfig = field(default_factory=NamingConfig)
    min_confidence: float = field(
        default=0.0, metadata={"help": "turns less likely right than this have no speaker (0..1)"}
    )

    def __post_init__(self) -> None:
        if not 0 <= self.min_confidence <= 1:
            raise ConfigError(f"min_confidence is {self.min_confidence}: give 0 to 1")


def load_config(path: str | Path | None = None, settings: Iterable[str] = ()) -> DiarizeConfig:
    """Defaults, then a TOML file, then `a.b=c` settings; ConfigError names what cannot be used."""
    values = read_toml(path) if path is not None else {}
    return from_mapping(DiarizeConfig, apply_overrides(values, settings))
