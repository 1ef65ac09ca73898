"""Agglomerative clustering: average linkage on cosine distance, with a choice of stopping rules.

A fixed distance does not carry from one recording to the next: on a telephone line everybody sounds
alike, across a room one person sounds like several. So by default the number of speakers comes from
a rule that looks at the recording itself (`diarize.clustering.counting`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import linkage

from diarize.clustering.counting import count_by_eigengap, count_by_silhouette
from diarize.clustering.counts import cut_tree

if TYPE_CHECKING:
    from diarize.clustering.door import SpeakerCount

__all__ = ["Agglomerative", "AgglomerativeConfig"]


@dataclass(frozen=True)
class AgglomerativeConfig:
    """How the number of speakers is found when it is not told."""

    count_by: Literal["silhouette", "eigengap", "distance"] = field(
        default="silhouette", metadata={"help": "the rule that finds the number of speakers"}
    )
    max_distance: float = field(
        default=0.7, metadata={"help": "count_by distance: no merge beyond this (1 - cosine)"}
    )
    max_speakers: int = field(default=12, metadata={"help": "most speakers looked for"})


class Agglomerative:
    """Average linkage on cosine distance."""

    Config = AgglomerativeConfig

    def __init__(self, config: AgglomerativeConfig | None = None) -> None:
        self.config = config or AgglomerativeConfig()

    def fit_predict(self, unit: NDArray[np.floating], count: SpeakerCount) -> NDArray[np.int64]:
        """Unit vectors (N, D) -> (N,) labels."""
        tree = linkage(unit, method="average", metric="cosine")
        return cut_tree(tree, count.exact or count.clip(self._count(unit, tree)))

    def _count(self, unit: NDArray[np.floating], tree: NDArray[np.floating]) -> int:
        most = min(self.config.max_speakers, len(unit))
        if self.config.count_by == "distance":
            return int((tree[:, 2] > self.config.max_distance).sum()) + 1
        if self.config.count_by == "eigengap":
            return count_by_eigengap(unit, most)
        return count_by_silhouette(unit, tree, most)
