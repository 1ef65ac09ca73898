"""Average linkage, exact and on a graph of nearest neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from encoder.common.lazy import lazy_exports

if TYPE_CHECKING:
    from diarize.clustering.linkage.average_linkage import average_tree, cosine_distances, cut_tree
    from diarize.clustering.linkage.sparse_linkage import merge_graph

__all__ = [
    "average_tree",
    "cosine_distances",
    "cut_tree",
    "merge_graph",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "average_tree": "diarize.clustering.linkage.average_linkage",
        "cosine_distances": "diarize.clustering.linkage.average_linkage",
        "cut_tree": "diarize.clustering.linkage.average_linkage",
        "merge_graph": "diarize.clustering.linkage.sparse_linkage",
    },
)
