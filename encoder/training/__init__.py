"""The one training loop, its checkpoints and its picture; it knows nothing of speakers.

A network, an `Objective` and batches by number go in; the averaged network comes out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from encoder.common.lazy import lazy_exports

if TYPE_CHECKING:
    from encoder.training.distributed import Engine, EngineConfig, make_engine
    from encoder.training.loop import FitConfig, FitResult, fit
    from encoder.training.objective import Objective
    from encoder.training.plot_curves import draw_curves

__all__ = [
    "Engine",
    "EngineConfig",
    "FitConfig",
    "FitResult",
    "Objective",
    "draw_curves",
    "fit",
    "make_engine",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "Engine": "encoder.training.distributed",
        "EngineConfig": "encoder.training.distributed",
        "FitConfig": "encoder.training.loop",
        "FitResult": "encoder.training.loop",
        "Objective": "encoder.training.objective",
        "draw_curves": "encoder.training.plot_curves",
        "fit": "encoder.training.loop",
        "make_engine": "encoder.training.distributed",
    },
)
