"""Who spoke when.

    from diarize import Diarizer
    result = Diarizer.from_config()("meeting.wav", speakers=4)

Names are imported when first used, so that `import diarize` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from encoder.common.lazy import lazy_exports

if TYPE_CHECKING:
    from diarize.core.turns import Turn
    from diarize.pipeline.config import DiarizeConfig
    from diarize.pipeline.diarizer import Diarizer
    from diarize.pipeline.result import DiarizationResult

__all__ = ["DiarizationResult", "DiarizeConfig", "Diarizer", "Turn"]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "DiarizationResult": "diarize.pipeline.result",
        "DiarizeConfig": "diarize.pipeline.config",
        "Diarizer": "diarize.pipeline.diarizer",
        "Turn": "diarize.core.turns",
    },
)
