"""From a similarity to the probability that two sounds are of one speaker, and how good that is.

Scored trials (N,) with their truth go in and a `Calibration` comes out, which is stored under the
fingerprint of the embedder it belongs to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from encoder.common.lazy import lazy_exports

if TYPE_CHECKING:
    from encoder.calibration.metrics import cllr, min_cllr
    from encoder.calibration.score_calibration import (
        Calibration,
        find_calibration,
        fit_calibration,
        read_calibration,
        write_calibration,
    )

__all__ = [
    "Calibration",
    "cllr",
    "find_calibration",
    "fit_calibration",
    "min_cllr",
    "read_calibration",
    "write_calibration",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "Calibration": "encoder.calibration.score_calibration",
        "cllr": "encoder.calibration.metrics",
        "find_calibration": "encoder.calibration.score_calibration",
        "fit_calibration": "encoder.calibration.score_calibration",
        "min_cllr": "encoder.calibration.metrics",
        "read_calibration": "encoder.calibration.score_calibration",
        "write_calibration": "encoder.calibration.score_calibration",
    },
)
