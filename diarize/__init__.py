"""Who spoke when.

    from diarize import Diarizer
    result = Diarizer.from_config()("meeting.wav", speakers=4)

Names are imported when first used, so that `import diarize` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from diarize.core.turns import Turn
    from diarize.pipeline.config import DiarizeConfig
    from diarize.pipeline.diarizer import Diarizer
    from diarize.pipeline.result import DiarizationResult

__all__ = ["DiarizationResult", "DiarizeConfig", "Diarizer", "Turn"]

_HOMES = {
    "DiarizationResult": "diarize.pipeline.result",
    "DiarizeConfig": "diarize.pipeline.config",
    "Diarizer": "diarize.pipeline.diarizer",
    "Turn": "diarize.core.turns",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'diarize' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
