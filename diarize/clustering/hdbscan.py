"""HDBSCAN (Campello et al. 2013) on unit vectors.

On unit vectors the euclidean distance is sqrt(2 - 2 cos): it orders pairs as the cosine does.

A folder of clips needs a scale: density alone makes a speaker of any two clips that are far from
all others, and several of one speaker. HDBSCAN's own scale (`cluster_selection_epsilon`) is one of
single linkage, which chains different speakers: at a cosine of 0.45 all of 310 real speakers became
nine. So with `min_similarity` dense groups are split where no chain of such pairs connects them,
and joined, with the clips left out, while their mean cosine is that high.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from hdbscan import HDBSCAN
from numpy.typing import NDArray

from diarize.clustering.base import Clusterer
from diarize.clustering.linkage.sparse_linkage import merge_groups
from diarize.core.vectors import group_means
from encoder.common.settings import Settings, bounded

if TYPE_CHECKING:
    from diarize.core.speaker_count import SpeakerCount

__all__ = ["Hdbscan", "HdbscanConfig"]


@dataclass(frozen=True)
class HdbscanConfig(Settings):
    """How dense a speaker must be. ConfigError for values that cannot be."""

    min_cluster_share: float = bounded(
        0.04, least=0, below=1, help="smallest speaker, as a share of all windows"
    )
    min_cluster_size: int = bounded(5, least=2, most=1_000_000, help="smallest speaker, in windows")
    min_samples: int = bounded(3, least=1, most=10_000, help="neighbours that make a core point")
    min_similarity: float | None = bounded(
        None,
        least=-1,
        most=1,
        help="groups of at least this mean cosine are one speaker; none left out",
    )


class Hdbscan(Clusterer):
    """Finds the number of speakers by itself; rows in no dense place get -1."""

    Config = HdbscanConfig

    def __init__(self, config: HdbscanConfig | None = None) -> None:
        self.config = config or HdbscanConfig()

    @classmethod
    def for_clips(cls, min_similarity: float) -> Hdbscan:
        """For a folder of clips, where a single clip may be a speaker."""
        return cls(
            HdbscanConfig(
                min_cluster_share=0.0,
                min_cluster_size=2,
                min_samples=1,
                min_similarity=min_similarity,
            )
        )

    def fit_predict(
        self,
        unit: NDArray[np.floating],
        count: SpeakerCount,
        group: NDArray[np.int64] | None = None,
    ) -> NDArray[np.int64]:
        """Unit vectors (N, D) -> (N,) labels, -1 for noise. `count` is left to `cluster`."""
        smallest = max(
            self.config.min_cluster_size, round(self.config.min_cluster_share * len(unit))
        )
        limit = self.config.min_similarity
        if len(unit) < 2 * smallest and limit is None:
            return np.zeros(len(unit), np.int64)  # no room for two speakers
        model = HDBSCAN(
            min_cluster_size=smallest,
            min_samples=min(self.config.min_samples, len(unit) - 1),
            metric="euclidean",
            core_dist_n_jobs=1,
        ).fit(np.ascontiguousarray(unit, np.float64))
        labels = np.asarray(model.labels_, np.int64)
        if limit is None:
            return labels
        chained = model.dbscan_clustering(max(2 - 2 * limit, 0.0) ** 0.5, min_cluster_size=2)
        return _scaled(unit, labels, np.asarray(chained, np.int64), limit)


def _scaled(
    unit: NDArray[np.floating],
    labels: NDArray[np.int64],
    chained: NDArray[np.int64],
    min_similarity: float,
) -> NDArray[np.int64]:
    """Groups (N,) of the rows that both labellings put together, joined while similar enough."""
    N = len(unit)
    alone = np.arange(N) + N
    both = np.where((labels < 0) | (chained < 0), alone, labels) * 2 * N + chained
    groups = np.unique(both, return_inverse=True)[1].astype(np.int64)
    K = int(groups.max()) + 1
    return merge_groups(
        group_means(unit, groups, K),
        np.bincount(groups),
        groups,
        neighbours=min(K - 1, 64),
        min_similarity=min_similarity,
    )
