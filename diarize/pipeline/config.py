"""The pipeline's settings: schema, defaults and help in one place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from diarize.embedding.windows import WindowConfig
from diarize.gallery.config import NamingConfig
from diarize.models.presets import FAST, PRESETS, with_preset
from diarize.postprocessing.config import AggregationConfig, ResegmentationConfig
from encoder.common.config import apply_overrides, from_mapping, read_toml
from encoder.common.settings import Settings, bounded
from encoder.errors import ConfigError

__all__ = ["DiarizeConfig", "load_config"]


@dataclass(frozen=True)
class DiarizeConfig(Settings):
    """Every setting of `Diarizer`.

    Args:
        segmenter: name of what finds the regions with speech: silero, energy, neural or pyannote.
        segmentation: settings by segmenter name, as {"silero": {"hysteresis": {"onset": 0.4}}}.
        window: lengths of windows in seconds.
        embedder: name of packaged or fetched weights, a path, or `onnx:` and one of both.
        device: cpu, cuda or auto.
        aggregation: how chunks become turns, where the segmenter tells speakers apart.
        clusterer: name of what groups windows by speaker: agglomerative, hdbscan or graph.
        clustering: settings by clusterer name, as {"agglomerative": {"count_by": "eigengap"}}.
        resegment: whether labels are corrected by the order of the windows.
        resegmentation: what is expected of speakers there.
        naming: when a speaker gets a name of a gallery.
        min_confidence: 0 to 1; turns with a smaller probability have the speaker UNKNOWN.
        preset: name of the preset that the settings began with, for the record: it changes none of
            them here, as `load_config` does.

    Raises:
        ConfigError: a value that cannot be.
    """

    segmenter: str = field(default="neural", metadata={"help": "finds the speech"})
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
    min_confidence: float = bounded(
        0.0, least=0, most=1, help="turns less likely right than this have no speaker (0..1)"
    )

    preset: str = field(default=FAST, metadata={"help": f"one of {', '.join(PRESETS)}"})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.preset not in PRESETS:
            raise ConfigError(f"unknown preset {self.preset!r}: choose one of {', '.join(PRESETS)}")


def load_config(
    path: str | Path | None = None,
    settings: Iterable[str] = (),
    preset: str | None = None,
    *,
    otherwise: str = FAST,
) -> DiarizeConfig:
    """Settings from a preset, a TOML file and single values, each over the one before.

    The preset is `preset`, else the one that a value or the file names (`preset = "best"`), else
    `otherwise`. Its name may be "default", for the one that is the user's default. Python code
    gets that only where it asks for it, so that it gives the same results for every user; the
    command line asks for it always.

    Args:
        path: a TOML file; None is none.
        settings: `a.b=c` each, as "window.step_s=0.8".
        preset: fast, best or default; None leaves it to the others.
        otherwise: the preset where none is named.

    Returns:
        The settings of a `Diarizer`.

    Raises:
        ConfigError: a name or a value that cannot be used.
    """
    values = apply_overrides(read_toml(path) if path is not None else {}, settings)
    return from_mapping(DiarizeConfig, with_preset(values, preset=preset, otherwise=otherwise))
