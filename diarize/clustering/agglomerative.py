"""Agglomerative clustering: average linkage on cosine distance.

A fixed distance does not carry from one recording to the next, so the number of speakers comes from
a rule that looks at the recording (`diarize.clustering.counting`). Whatever the rule, a handful of
odd windows (laughter, two at once) is no speaker: groups below a smallest size are dissolved.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import linkage

from diarize.clustering.counting import count_by_eigengap, count_by_silhouette, pair_threshold
from diarize.clustering.counts import cut_tree, dissolve, merge_alike
from encoder.errors import ConfigError

if TYPE_CHECKING:
    from diarize.clustering.door import SpeakerCount

__all__ = ["Agglomerative", "AgglomerativeConfig"]


@dataclass(frozen=True)
class AgglomerativeConfig:
    """How the number of speakers is found when it is not told."""

    count_by: Literal["pairs", "silhouette", "eigengap", "distance"] = field(
        default="pairs", metadata={"help": "the rule that finds the number of speakers"}
    )
    twin_ratio: float = field(
        default=0.7,
        metadata={
            "help": "count_by pairs: groups whose likeness to each other is this share of the "
            "likeness inside them are one speaker, which keeps a single voice in one piece"
        },
    )
    max_distance: float = field(
        default=0.7, metadata={"help": "count_by distance: no merge beyond this (1 - cosine)"}
    )
    most_tried: int = field(
        default=12, metadata={"help": "count_by silhouette and eigengap: most speakers looked for"}
    )
    smallest_windows: int = field(
        default=8, metadata={"help": "a group of fewer windows is no speaker by itself"}
    )
    smallest_share: float = field(
        default=0.01, metadata={"help": "nor is a group of a smaller share of all windows"}
    )

    def __post_init__(self) -> None:
        if self.most_tried < 1:
            raise ConfigError(f"most_tried is {self.most_tried}: give 1 or more")
        if not 0 <= self.smallest_share < 1:
            raise ConfigError(f"smallest_share is {self.smallest_share}: give 0 to less than 1")


class Agglomerative:
    """Average linkage on cosine distance."""

    Config = AgglomerativeConfig

    def __init__(self, config: AgglomerativeConfig | None = None) -> None:
        self.config = config or AgglomerativeConfig()

    @classmethod
    def for_clips(cls, min_similarity: float) -> Agglomerative:
        """For a folder of clips, where a single clip may be a speaker."""
        if not -1 <= min_similarity <= 1:
            raise ConfigError(f"min_similarity is {min_similarity}: give a cosine, -1 to 1")
        return cls(
            AgglomerativeConfig(
                count_by="distance",
                max_distance=1 - min_similarity,
                smallest_windows=1,
                smallest_share=0.0,
            )
        )

    def fit_predict(self, unit: NDArray[np.floating], count: SpeakerCount) -> NDArray[np.int64]:
        """Unit vectors (N, D) -> (N,) labels. In a recording so long that the door reduces it, a
        row is a group of windows, and `smallest_windows` counts groups."""
        tree = linkage(unit, method="average", metric="cosine")
        smallest = max(self.config.smallest_windows, round(self.config.smallest_share * len(unit)))
        if count.exact is not None:
            return _cut_into(unit, tree, count.exact, smallest)
        labels = self._count_and_cut(unit, tree, smallest)
        found = len(np.unique(labels))
        allowed = count.clip(found)
        return labels if found == allowed else _cut_into(unit, tree, allowed, smallest)

    def _count_and_cut(
        self, unit: NDArray[np.floating], tree: NDArray[np.floating], smallest: int
    ) -> NDArray[np.int64]:
        most = min(self.config.most_tried, len(unit))
        if self.config.count_by == "silhouette":
            return _cut_into(unit, tree, count_by_silhouette(unit, tree, most), smallest)
        if self.config.count_by == "eigengap":
            return _cut_into(unit, tree, count_by_eigengap(unit, most), smallest)
        if self.config.count_by == "distance":
            return dissolve(unit, _cut_at(tree, self.config.max_distance), smallest)
        labels = dissolve(unit, _cut_at(tree, 1 - pair_threshold(unit)), smallest)
        return merge_alike(unit, labels, self.config.twin_ratio)


def _cut_at(tree: NDArray[np.floating], distance: float) -> NDArray[np.int64]:
    return cut_tree(tree, int((tree[:, 2] > distance).sum()) + 1)


def _cut_into(
    unit: NDArray[np.floating], tree: NDArray[np.floating], k: int, smallest: int
) -> NDArray[np.int64]:
    """k clusters of at least `smallest` rows, cutting deeper past odd ones if need be; plain k
    clusters where the recording has no such k."""
    for cut in range(k, min(len(unit), 4 * k + 20) + 1):
        labels = cut_tree(tree, cut)
        sizes = np.bincount(labels)
        if (sizes >= smallest).sum() >= k:
            return dissolve(unit, labels, smallest, keep=k)
    return cut_tree(tree, k)
