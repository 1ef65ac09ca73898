"""How well vectors tell speakers apart: EER, minDCF and identification, with intervals.

Unit vectors (N, D) and the speakers of their utterances go in; measures come out, the same for any
embedder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from encoder.common.lazy import lazy_exports

if TYPE_CHECKING:
    from encoder.evaluation.bootstrap import Interval
    from encoder.evaluation.closed_set import closed_set_ranks
    from encoder.evaluation.identification import identification_trials
    from encoder.evaluation.metrics import Eer, eer, min_dcf
    from encoder.evaluation.trials import verification_trials

__all__ = [
    "Eer",
    "Interval",
    "closed_set_ranks",
    "eer",
    "identification_trials",
    "min_dcf",
    "verification_trials",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "Eer": "encoder.evaluation.metrics",
        "Interval": "encoder.evaluation.bootstrap",
        "closed_set_ranks": "encoder.evaluation.closed_set",
        "eer": "encoder.evaluation.metrics",
        "identification_trials": "encoder.evaluation.identification",
        "min_dcf": "encoder.evaluation.metrics",
        "verification_trials": "encoder.evaluation.trials",
    },
)
