"""What a diarization gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from diarize.config import DiarizeConfig
from diarize.files import write_atomic
from diarize.formats.json import format_json
from diarize.formats.lines import to_ms
from diarize.formats.rttm import format_rttm
from diarize.timeline import Turn, speaking_time, to_annotation
from diarize.windows import Windows
from encoder.config import to_mapping

if TYPE_CHECKING:
    from pyannote.core import Annotation

__all__ = ["DiarizationResult", "package_version"]


def package_version() -> str:
    """The installed version, or "unknown" when run from a bare checkout."""
    try:
        return version("deepspeaker-diarize")
    except PackageNotFoundError:
        return "unknown"


@dataclass(frozen=True, eq=False)
class DiarizationResult:
    """Turns in time order, and what they were made of.

    embeddings (N, D) unit vectors and labels (N,) belong to the N windows. `asked` holds what the
    caller said of speakers and channel, `warnings` a sentence for everything odd.
    """

    uri: str
    duration_s: float
    turns: list[Turn]
    embeddings: NDArray[np.float32]
    windows: Windows
    labels: NDArray[np.int64]
    config: DiarizeConfig
    fingerprint: str
    seconds_by_stage: dict[str, float]
    asked: dict[str, int | None] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    @cached_property
    def annotation(self) -> Annotation:
        """The turns as pyannote's Annotation, which notebooks draw as a timeline."""
        return to_annotation(self.turns, self.uri)

    @property
    def speakers(self) -> dict[str, float]:
        """Seconds of speech by speaker, in order of first appearance."""
        return speaking_time(self.turns)

    def to_rttm(self) -> str:
        """The turns as RTTM text."""
        return format_rttm({self.uri: self.turns})

    def to_json(self) -> str:
        """Everything but the vectors as JSON text."""
        return format_json(self.to_mapping())

    def write_rttm(self, path: str | Path) -> None:
        """Write RTTM, whole or not at all; "-" is standard output."""
        write_atomic(path, self.to_rttm())

    def write_json(self, path: str | Path) -> None:
        """Write JSON, whole or not at all; "-" is standard output."""
        write_atomic(path, self.to_json())

    def to_mapping(self) -> dict[str, Any]:
        """Turns, speakers and provenance as plain values, times in seconds."""
        seconds = self.speakers
        total = sum(seconds.values())
        return {
            "uri": self.uri,
            "duration_s": round(self.duration_s, 3),
            "speakers": [
                {"speaker": name, "speech_s": round(s, 3), "share": round(s / total, 4)}
                for name, s in seconds.items()
            ],
            "turns": [
                {
                    "start_s": to_ms(t.start_s) / 1000,  # as RTTM rounds them
                    "end_s": to_ms(t.end_s) / 1000,
                    "speaker": t.speaker,
                }
                for t in self.turns
            ],
            "warnings": self.warnings,
            "asked": self.asked,
            "encoder_fingerprint": self.fingerprint,
            "version": package_version(),
            "config": to_mapping(self.config),
        }
