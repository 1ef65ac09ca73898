"""HDBSCAN (Campello et al. 2013) on unit vectors.

On unit vectors the euclidean distance is sqrt(2 - 2 cos): it orders pairs as the cosine does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from hdbscan import HDBSCAN
from numpy.typing import NDArray

from encoder.errors import ConfigError

if TYPE_CHECKING:
    from diarize.clustering.door import SpeakerCount

__all__ = ["Hdbscan", "HdbscanConfig"]


@dataclass(frozen=True)
class HdbscanConfig:
    """How dense a speaker must be."""

    min_cluster_share: float = field(
        default=0.04, metadata={"help": "smallest speaker, as a share of all windows"}
    )
    min_cluster_size: int = field(default=5, metadata={"help": "smallest speaker, in windows"})
    min_samples: int = field(default=3, metadata={"help": "neighbours that make a core point"})

    def __post_init__(self) -> None:
        if self.min_cluster_size < 2 or self.min_samples < 1:
            raise ConfigError(
                f"min_cluster_size is {self.min_cluster_size} and min_samples {self.min_samples}: "
                "give at least 2 and 1"
            )


class Hdbscan:
    """Finds the number of speakers by itself; rows in no dense place get -1."""

    Config = HdbscanConfig

    def __init__(self, config: HdbscanConfig | None = None) -> None:
        self.config = config or HdbscanConfig()

    def fit_predict(self, unit: NDArray[np.floating], count: SpeakerCount) -> NDArray[np.int64]:
        """Unit vectors (N, D) -> (N,) labels, -1 for noise. `count` is enforced by the door."""
        smallest = max(
            self.config.min_cluster_size, round(self.config.min_cluster_share * len(unit))
        )
        if len(unit) < 2 * smallest:
            return np.zeros(len(unit), np.int64)  # no room for two speakers
        model = HDBSCAN(
            min_cluster_size=smallest,
            min_samples=min(self.config.min_samples, len(unit) - 1),
            metric="euclidean",
            core_dist_n_jobs=1,
        )
        return np.asarray(model.fit_predict(np.ascontiguousarray(unit, np.float64)), np.int64)
