"""All stages in order. In: a recording and a `DiarizeConfig`. Out: a `DiarizationResult` with turns
in seconds and the arrays they are made of, whose speakers a gallery may name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from encoder.common.lazy import lazy_exports

if TYPE_CHECKING:
    from diarize.pipeline.config import DiarizeConfig, load_config
    from diarize.pipeline.diarizer import Diarizer
    from diarize.pipeline.result import DiarizationResult
    from diarize.pipeline.speaker_naming import name_result

__all__ = [
    "DiarizationResult",
    "DiarizeConfig",
    "Diarizer",
    "load_config",
    "name_result",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "DiarizationResult": "diarize.pipeline.result",
        "DiarizeConfig": "diarize.pipeline.config",
        "Diarizer": "diarize.pipeline.diarizer",
        "load_config": "diarize.pipeline.config",
        "name_result": "diarize.pipeline.speaker_naming",
    },
)
