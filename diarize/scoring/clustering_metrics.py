"""How well clips were grouped by speaker, from the true speakers and the groups found.

Pairs of clips are counted (precision: how many of the pairs put together are of one speaker;
recall: how many of the pairs of one speaker were put together), beside the adjusted Rand index
(Hubert and Arabie 1985), the V-measure (Rosenberg and Hirschberg 2007) and purity (the share of
clips whose group is mostly of their speaker). Names of groups do not matter. All come from the
table of counts, so a million clips take seconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from encoder.common.names import path_key
from encoder.errors import CorpusError

__all__ = ["ClusterScore", "MatchedClips", "match_clips", "score_clusters"]


@dataclass(frozen=True)
class ClusterScore:
    """Shares in [0, 1], `ari` in [-1, 1]; counts of speakers and clips.

    unlabelled: clips that no group was found for; each counts as a group by itself, which
    `speakers_found` leaves out.
    """

    precision: float
    recall: float
    f: float
    ari: float
    homogeneity: float
    completeness: float
    v_measure: float
    purity: float
    speakers_true: int
    speakers_found: int
    clips: int
    unlabelled: int = 0

    def to_json(self) -> dict[str, Any]:
        """Plain numbers by name."""
        return asdict(self)


def score_clusters(truth: Sequence[Any], found: Sequence[Any]) -> ClusterScore:
    """Compare the true speakers (N,) with the groups found (N,); labels of any kind.

    A group of None, "" or -1 is none. Where no pair was put together precision is 1, where
    there is none to put together recall is. CorpusError for no clips, or unequal numbers of them.
    """
    if len(truth) != len(found) or len(truth) == 0:
        raise CorpusError(
            f"{len(truth)} true and {len(found)} found labels cannot be compared: give one of each "
            "for every clip"
        )
    from sklearn.metrics import adjusted_rand_score, homogeneity_completeness_v_measure
    from sklearn.metrics.cluster import contingency_matrix, pair_confusion_matrix

    true_codes, speakers = _codes(truth)
    unlabelled = np.fromiter((_is_unlabelled(label) for label in found), bool, len(found))
    named = zip(found, unlabelled, strict=True)
    named = zip(found, unlabelled, strict=True)
    codes, groups = _codes([None if alone else label for label, alone in named])
    codes[unlabelled] = groups + np.arange(int(unlabelled.sum()))
    (_, wrong), (missed, right) = pair_confusion_matrix(true_codes, codes).tolist()
    precision = right / (right + wrong) if right + wrong else 1.0
    recall = right / (right + missed) if right + missed else 1.0
    both = precision + recall
    homogeneity, completeness, v_measure = homogeneity_completeness_v_measure(true_codes, codes)
    largest = contingency_matrix(true_codes, codes, sparse=True).max(axis=0)
    return ClusterScore(
        precision=precision,
        recall=recall,
        f=2 * precision * recall / both if both else 0.0,
        ari=float(adjusted_rand_score(true_codes, codes)),
        homogeneity=float(homogeneity),
        completeness=float(completeness),
        v_measure=float(v_measure),
        purity=float(largest.sum()) / len(truth),
        speakers_true=speakers,
        speakers_found=groups - bool(unlabelled.any()),
        clips=len(truth),
        unlabelled=int(unlabelled.sum()),
    )


class MatchedClips(NamedTuple):
    """Labels of the clips that both sides know, in the order of the truth, and the others."""

    truth: list[str]
    found: list[str]
    not_found: list[str]
    not_known: list[str]


def match_clips(truth: Mapping[str, str], found: Mapping[str, str]) -> MatchedClips:
    """Pair the labels of clips by path, whatever its spelling, else where one path ends like the
    other.

    `a/1.wav` fits `./a/1.wav` and `a\\1.wav`, and `/data/a/1.wav` unless another path of either
    side would fit, too.
    """
    ours, theirs = ({path_key(path): path for path in side} for side in (truth, found))
    pairs = {ours[key]: theirs[key] for key in ours.keys() & theirs.keys()}
    matched = set(pairs.values())
    ours = {key: path for key, path in ours.items() if path not in pairs}
    theirs = {key: path for key, path in theirs.items() if path not in matched}
    fits = [(ours[end], other) for end, other in _ending(theirs, ours)]
    fits += [(path, theirs[end]) for end, path in _ending(ours, theirs)]
    times = Counter(ours_ for ours_, _ in fits), Counter(theirs_ for _, theirs_ in fits)
    pairs |= {a: b for a, b in fits if times[0][a] == times[1][b] == 1}
    matched = set(pairs.values())
    both = [path for path in truth if path in pairs]
    return MatchedClips(
        [truth[path] for path in both],
        [found[pairs[path]] for path in both],
        [path for path in truth if path not in pairs],
        [path for path in found if path not in matched],
    )


def _ending(
    long: Mapping[tuple[str, ...], str], short: Mapping[tuple[str, ...], str]
) -> list[tuple[tuple[str, ...], str]]:
    """Every (short, path of long) such that the longer path ends in the shorter one's parts."""
    return [
        (parts[k:], path)
        for parts, path in long.items()
        for k in range(1, len(parts))
        if parts[k:] in short
    ]


def _codes(labels: Sequence[Any]) -> tuple[NDArray[np.int64], int]:
    """Numbers (N,) for labels of any kind, and how many different ones there are."""
    numbers: dict[Any, int] = {}
    codes = [numbers.setdefault(label, len(numbers)) for label in labels]
    return np.array(codes, np.int64), len(numbers)


def _is_unlabelled(label: Any) -> bool:
    return label is None or label in ("", -1)
