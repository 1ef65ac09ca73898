"""Grouping unit vectors by speaker: one door, `cluster`, and its backends."""

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
