"""Grouping embeddings by speaker. In: vectors (N, D) and bounds on the number of speakers. Out:
labels (N,), -1 for none. `diarize.clustering.api.cluster` calls one of the backends below."""

from __future__ import annotations

from encoder.common.registry import Registry

__all__ = ["CLUSTERERS"]

CLUSTERERS = Registry(
    "clusterer",
    {
        "agglomerative": "diarize.clustering.agglomerative:Agglomerative",
        "hdbscan": "diarize.clustering.hdbscan:Hdbscan",
        "graph": "diarize.clustering.graph:Graph",
    },
)
