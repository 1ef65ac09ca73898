"""Agglomerative clustering: average linkage on cosine distance.

A fixed distance does not carry from one recording to the next, so the number of speakers comes from
a rule that looks at the recording (`diarize.clustering.count_estimation`). Whatever the rule, a
few odd windows (laughter, two speakers at once) are no speaker: groups below a smallest size are
dissolved.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diarize.clustering.base import Clusterer
from diarize.clustering.count_enforcement import dissolve, merge_similar
from diarize.clustering.count_estimation import (
    count_by_eigengap,
    count_by_silhouette,
    pair_threshold,
)
from diarize.clustering.linkage.average_linkage import average_tree, cut_tree
from diarize.core.vectors import group_means
from encoder.common.settings import Settings, bounded
from encoder.errors import ConfigError

if TYPE_CHECKING:
    from diarize.core.speaker_count import SpeakerCount

__all__ = ["Agglomerative", "AgglomerativeConfig"]

FEW = 2  # windows that do not overlap: no speaker has fewer, where resegmentation has no model


@dataclass(frozen=True)
class AgglomerativeConfig(Settings):
    """How the number of speakers is found where it is unknown.

    ConfigError for values that cannot be.
    """

    count_by: Literal["pairs", "silhouette", "eigengap", "distance", "surplus"] = field(
        default="pairs",
        metadata={
            "help": "the rule that finds the number of speakers; surplus leaves too many, for "
            "resegmentation to choose among"
        },
    )
    merge_ratio: float = bounded(
        0.7,
        least=0,
        most=1,
        help="count_by pairs: groups whose similarity to each other is this share of the "
        "similarity inside them are one speaker",
    )
    max_distance: float = bounded(
        0.7, least=0, most=2, help="count_by distance: no merge beyond this (1 - cosine)"
    )
    max_speakers_tried: int = bounded(
        12, least=1, most=10_000, help="count_by silhouette and eigengap: most speakers looked for"
    )
    min_cluster_size: int = bounded(
        8, least=0, most=1_000_000, help="a group of fewer windows is no speaker by itself"
    )
    min_cluster_share: float = bounded(
        0.01, least=0, below=1, help="nor is a group of a smaller share of all windows"
    )


class Agglomerative(Clusterer):
    """Average linkage on cosine distance.

    Args:
        config: how the number of speakers is found; the defaults if None.
    """

    Config = AgglomerativeConfig
    takes_groups = True

    def __init__(self, config: AgglomerativeConfig | None = None) -> None:
        self.config = config or AgglomerativeConfig()

    @classmethod
    def for_clips(cls, min_similarity: float) -> Agglomerative:
        """Make one for a folder of clips, where a single clip may be a speaker.

        Args:
            min_similarity: mean cosine, -1 to 1, from which clips are of one speaker.

        Returns:
            The clusterer.

        Raises:
            ConfigError: `min_similarity` is no cosine.
        """
        if not -1 <= min_similarity <= 1:
            raise ConfigError(f"min_similarity is {min_similarity}: give a cosine, -1 to 1")
        return cls(
            AgglomerativeConfig(
                count_by="distance",
                max_distance=1 - min_similarity,
                min_cluster_size=1,
                min_cluster_share=0.0,
            )
        )

    def for_speaker_windows(self, *, modelled: bool) -> Agglomerative:
        """For windows that do not overlap, of one speaker each, where no setting was chosen.

        Args:
            modelled: resegmentation follows, with a model of the vectors; it is left to choose
                among too many speakers.

        Returns:
            A clusterer; this one where its settings are not the defaults.
        """
        if self.config != AgglomerativeConfig():
            return self
        if modelled:
            return type(self)(AgglomerativeConfig(count_by="surplus"))
        return type(self)(AgglomerativeConfig(min_cluster_size=FEW))

    def fit_predict(
        self,
        unit: NDArray[np.floating],
        count: SpeakerCount,
        group: NDArray[np.int64] | None = None,
    ) -> NDArray[np.int64]:
        """Group unit vectors by speaker. `diarize.cluster` is for vectors of any kind.

        Args:
            unit: (N, D) unit vectors, N >= 2.
            count: bounds on the number of speakers.
            group: (N,) 0..M-1; rows of one group stay together. Everything that is counted or
                measured is so in rows all the same.

        Returns:
            (N,) int64 labels, one for each speaker; none is -1.
        """
        tree = _Tree.grown(unit, group)
        smallest = max(
            self.config.min_cluster_size, round(self.config.min_cluster_share * len(unit))
        )
        if count.exact is not None:
            return _cut_into(tree, count.exact, smallest)
        labels = self._count_and_cut(tree, smallest)
        found = len(np.unique(labels))
        allowed = count.clip(found)
        return labels if found == allowed else _cut_into(tree, allowed, smallest)

    def _count_and_cut(self, tree: _Tree, smallest: int) -> NDArray[np.int64]:
        unit = tree.unit
        most = min(self.config.max_speakers_tried, len(unit))
        if self.config.count_by == "silhouette":
            return _cut_into(tree, count_by_silhouette(unit, tree.cut, most), smallest)
        if self.config.count_by == "eigengap":
            return _cut_into(tree, count_by_eigengap(unit, most), smallest)
        if self.config.count_by == "distance":
            return dissolve(unit, tree.cut_at(self.config.max_distance), smallest)
        labels = tree.cut_at(1 - pair_threshold(unit))
        if self.config.count_by == "surplus":
            return labels
        labels = dissolve(unit, labels, smallest)
        return merge_similar(unit, labels, self.config.merge_ratio)


class _Tree(NamedTuple):
    """Rows (N, D), the tree of their groups (M - 1, 4), and the groups they are in (N,)."""

    unit: NDArray[np.floating]
    links: NDArray[np.floating]
    group: NDArray[np.int64] | None

    @classmethod
    def grown(
        cls,
        unit: NDArray[np.floating],
        group: NDArray[np.int64] | None,
    ) -> _Tree:
        if group is None:
            return cls(unit, average_tree(unit), None)
        sizes = np.bincount(group)
        return cls(unit, average_tree(group_means(unit, group, len(sizes)), sizes), group)

    def cut(self, k: int) -> NDArray[np.int64]:
        """Labels (N,) of k clusters, or of as many as there are groups."""
        labels = cut_tree(self.links, k)
        return labels if self.group is None else labels[self.group]

    def cut_at(self, distance: float) -> NDArray[np.int64]:
        return self.cut(int((self.links[:, 2] > distance).sum()) + 1)


def _cut_into(tree: _Tree, k: int, smallest: int) -> NDArray[np.int64]:
    """k clusters of at least `smallest` rows, cutting deeper past odd ones if need be; plain k
    clusters where the recording has no such k."""
    for cut in range(k, min(len(tree.links) + 1, 4 * k + 20) + 1):
        labels = tree.cut(cut)
        if (np.bincount(labels) >= smallest).sum() >= k:
            return dissolve(tree.unit, labels, smallest, keep=k)
    return tree.cut(k)
