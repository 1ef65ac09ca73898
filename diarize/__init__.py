"""Who spoke when.

    from diarize import Diarizer
    result = Diarizer.from_config()("meeting.wav", speakers=4)

Names are imported when first used, so that `import diarize` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from diarize.config import DiarizeConfig
    from diarize.pipeline import Diarizer
    from diarize.result import DiarizationResult
    from diarize.timeline import Turn

__all__ = ["DiarizationResult", "DiarizeConfig", "Diarizer", "Turn"]

_HOMES = {
    "DiarizationResult": "diarize.result",
    "DiarizeConfig": "diarize.config",
    "Diarizer": "diarize.pipeline",
    "Turn": "diarize.timeline",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'diarize' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
