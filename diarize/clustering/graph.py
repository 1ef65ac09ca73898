"""Average linkage on the graph of nearest neighbours: a million rows without a million squared.

Only rows among each other's nearest neighbours are ever compared
(`diarize.clustering.linkage.nearest_neighbours`), and groups merge along that graph
(`diarize.clustering.linkage.sparse_linkage`). While neighbours are looked up exactly, the groups
are those of average linkage cut at the same similarity.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from diarize.clustering.base import Clusterer
from diarize.clustering.count_enforcement import dissolve, merge_similar
from diarize.clustering.count_estimation import pair_threshold
from diarize.clustering.linkage.nearest_neighbours import check_neighbours
from diarize.clustering.linkage.sparse_linkage import merge_graph
from encoder.common.settings import Settings, bounded

if TYPE_CHECKING:
    from diarize.core.speaker_count import SpeakerCount

__all__ = ["Graph", "GraphConfig"]


@dataclass(frozen=True)
class GraphConfig(Settings):
    """What is compared, and what one speaker is. ConfigError for values that cannot be."""

    neighbours: int = bounded(
        24, least=1, most=10_000, help="most similar rows that each row is compared with"
    )
    min_similarity: float | None = bounded(
        None,
        least=-1,
        most=1,
        help="no merge below this mean cosine; left out, it is read off the recording, and "
        "groups that are hardly less similar than their own members are one speaker",
    )
    merge_ratio: float = bounded(
        0.7,
        least=0,
        most=1,
        help="how much less similar, as a share, where min_similarity is left out",
    )
    min_cluster_size: int = bounded(
        8, least=0, most=1_000_000, help="a group of fewer rows is no speaker by itself"
    )
    min_cluster_share: float = bounded(
        0.01, least=0, below=1, help="nor is a group of a smaller share of all rows"
    )


class Graph(Clusterer):
    """Average linkage on the graph of nearest neighbours; takes any number of rows."""

    Config = GraphConfig
    scales = True

    def __init__(self, config: GraphConfig | None = None) -> None:
        self.config = config or GraphConfig()

    @classmethod
    def for_clips(cls, min_similarity: float) -> Graph:
        """For a folder of clips, where a single clip may be a speaker."""
        return cls(
            GraphConfig(min_similarity=min_similarity, min_cluster_size=1, min_cluster_share=0.0)
        )

    @classmethod
    def check_rows(cls, number: int) -> None:
        """BackendUnavailable, now, where so many rows need faiss and it is not installed."""
        check_neighbours(number)

    def fit_predict(
        self,
        unit: NDArray[np.floating],
        count: SpeakerCount,
        group: NDArray[np.int64] | None = None,
    ) -> NDArray[np.int64]:
        """Unit vectors (N, D) -> (N,) labels. `count` is left to `cluster`.

        BackendUnavailable where N is large and faiss is not installed.
        """
        given = self.config.min_similarity
        limit = pair_threshold(unit) if given is None else given
        labels = merge_graph(unit, neighbours=self.config.neighbours, min_similarity=limit)
        smallest = max(
            self.config.min_cluster_size, round(self.config.min_cluster_share * len(unit))
        )
        if smallest > 1:
            labels = dissolve(unit, labels, smallest)
        return merge_similar(unit, labels, self.config.merge_ratio) if given is None else labels
