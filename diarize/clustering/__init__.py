"""Grouping embeddings by speaker. In: vectors (N, D) and bounds on the number of speakers. Out:
labels (N,), -1 for none. `diarize.clustering.api.cluster` calls one of the backends below."""

from __future__ import annotations

from typing import TYPE_CHECKING

from encoder.common.lazy import lazy_exports
from encoder.common.registry import Registry

if TYPE_CHECKING:
    from diarize.clustering.agglomerative import Agglomerative
    from diarize.clustering.api import cluster
    from diarize.clustering.base import Clusterer
    from diarize.clustering.graph import Graph
    from diarize.clustering.hdbscan import Hdbscan

__all__ = [
    "CLUSTERERS",
    "Agglomerative",
    "Clusterer",
    "Graph",
    "Hdbscan",
    "cluster",
]

CLUSTERERS = Registry(
    "clusterer",
    {
        "agglomerative": "diarize.clustering.agglomerative:Agglomerative",
        "hdbscan": "diarize.clustering.hdbscan:Hdbscan",
        "graph": "diarize.clustering.graph:Graph",
    },
)

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "Agglomerative": "diarize.clustering.agglomerative",
        "Clusterer": "diarize.clustering.base",
        "Graph": "diarize.clustering.graph",
        "Hdbscan": "diarize.clustering.hdbscan",
        "cluster": "diarize.clustering.api",
    },
)
