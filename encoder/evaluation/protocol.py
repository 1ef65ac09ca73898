"""The protocol that every embedder goes through, from vectors of a list of utterances.

All pairs inside one data set are verification trials (across data sets the channel would give the
answer away), `encoder.evaluation.identification` draws one among 100, and
`encoder.evaluation.closed_set` identifies all speakers of a data set. Measures are made for each
data set with at least `MINIMUM_SPEAKERS` speakers and averaged, every data set weighing the same.
Intervals come from drawing speakers anew (`encoder.evaluation.bootstrap`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from encoder.common.settings import MOST_SEED, Settings, bounded
from encoder.data.manifest import Utterance
from encoder.errors import CorpusError
from encoder.evaluation.bootstrap import Interval, interval_of, resample_shares, resample_trials
from encoder.evaluation.closed_set import ClosedSet, closed_set_ranks, draw_enrollments
from encoder.evaluation.identification import identification_trials, recognised
from encoder.evaluation.metrics import eer, min_dcf
from encoder.evaluation.trials import drawn_pairs, pair_similarities, verification_trials

__all__ = [
    "MINIMUM_SPEAKERS",
    "ClosedSetMeasures",
    "Measures",
    "ProtocolConfig",
    "closed_set",
    "large_sets",
    "measure_by_dataset",
]

MINIMUM_SPEAKERS = 4


@dataclass(frozen=True)
class ProtocolConfig(Settings):
    """What is measured; results of two protocols are not comparable."""

    p_targets: tuple[float, ...] = bounded(
        (0.01, 0.05), above=0, below=1, help="priors of the minimum detection costs"
    )
    enrollments: tuple[int, ...] = bounded(
        (1, 2, 3, 5), least=1, most=1000, help="utterances that a speaker is enrolled with"
    )
    negatives: int = bounded(99, least=1, most=10_000, help="wrong candidates of an identification")
    anchors_per_speaker: int = bounded(
        10, least=1, most=10_000, help="identification trials of one speaker, at most"
    )
    closed_enrollment: int = bounded(
        2, least=1, most=1000, help="utterances that enroll a speaker of the closed set"
    )
    replicates: int = bounded(
        1000,
        least=0,
        most=1_000_000,
        help="drawn sets of speakers behind an interval; 0 makes none",
    )
    seed: int = bounded(0, least=0, most=MOST_SEED, help="of trials and intervals")


@dataclass(frozen=True)
class ClosedSetMeasures:
    """top5 is None where six speakers are not enrolled; `speakers` are enrolled, `tests`
    identified."""

    top1: float
    top5: float | None
    speakers: int
    tests: int


@dataclass(frozen=True)
class Measures:
    """One data set, or their mean (then the counts are sums).

    min_dcf: by target prior. accuracy: top-1 share of the identification trials by number of
        enrolled utterances; those that the data set is too small for are absent, as is
        `closed_set`.
    intervals: 95 % by measure ("eer", "min_dcf 0.01", "accuracy 1", "top1"), speakers drawn anew.
    """

    eer: float
    min_dcf: dict[float, float]
    accuracy: dict[int, float]
    closed_set: ClosedSetMeasures | None
    speakers: int
    utterances: int
    intervals: dict[str, Interval] = field(default_factory=dict)


def measure_by_dataset(
    vectors: NDArray[np.floating],
    utterances: Sequence[Utterance],
    *,
    config: ProtocolConfig | None = None,
    minimum_speakers: int = MINIMUM_SPEAKERS,
    most_pairs: int | None = None,
) -> dict[str, Measures]:
    """Measures of unit vectors (N, D), one for each of N utterances, by data set, and "mean".

    The mean of an accuracy is over the data sets that have it. most_pairs: of a data set with more
    pairs of utterances, `encoder.evaluation.trials.drawn_pairs` are the verification trials.
    CorpusError if no data set has enough speakers.
    """
    config = config or ProtocolConfig()
    names = sorted({utterance.dataset for utterance in utterances})
    result, drawn = {}, []
    for dataset, rows in large_sets(utterances, minimum_speakers=minimum_speakers).items():
        some = [utterances[row] for row in rows]
        # Other draws for each data set, or those of one size would sway together.
        entropy = np.random.SeedSequence([config.seed, names.index(dataset)])
        seed = int(entropy.generate_state(1)[0])
        result[dataset], replicates = _measure(vectors[rows], some, config, seed, most_pairs)
        drawn.append(replicates)
    if not result:
        raise CorpusError(
            f"none of {len(names)} data sets has {minimum_speakers} speakers and two utterances "
            "of one of them: measuring an embedder needs more data"
        )
    result["mean"] = replace(_mean(list(result.values())), intervals=_intervals(drawn))
    return result


class LabelledUtterance(Protocol):
    """An utterance, or an item of a feature bank."""

    @property
    def dataset(self) -> str:
        """What it is compared within."""
        ...

    @property
    def speaker(self) -> str:
        """Who speaks."""
        ...


def large_sets(
    utterances: Sequence[LabelledUtterance], *, minimum_speakers: int = MINIMUM_SPEAKERS
) -> dict[str, list[int]]:
    """The rows of every data set that can be measured, by name: it has enough speakers, and one of
    them twice."""
    rows_of = defaultdict(list)
    for row, utterance in enumerate(utterances):
        rows_of[utterance.dataset].append(row)
    return {
        name: rows
        for name, rows in sorted(rows_of.items())
        if minimum_speakers <= len({utterances[row].speaker for row in rows}) < len(rows)
    }


Drawn = dict[str, NDArray[np.float64]]  # measure -> (R,) of drawn speakers


def _measure(
    vectors: NDArray[np.floating],
    utterances: list[Utterance],
    config: ProtocolConfig,
    seed: int,
    most_pairs: int | None,
) -> tuple[Measures, Drawn]:
    names, labels = np.unique([u.speaker for u in utterances], return_inverse=True)
    sessions = [u.session for u in utterances]
    if most_pairs is None or len(labels) * (len(labels) - 1) // 2 <= most_pairs:
        sides = np.triu_indices(len(labels), k=1)
        scores, is_target = verification_trials(vectors, labels)
    else:
        sides = drawn_pairs(labels, most_pairs, seed=seed)
        scores, is_target = pair_similarities(vectors, *sides), labels[sides[0]] == labels[sides[1]]
    drawn = _drawn_trials(scores, is_target, (labels[sides[0]], labels[sides[1]]), config, seed)
    accuracy = {}
    for enrollment in config.enrollments:
        try:
            trials = identification_trials(
                labels,
                sessions,
                enrollment=enrollment,
                negatives=config.negatives,
                per_speaker_limit=config.anchors_per_speaker,
                seed=config.seed,
            )
        except CorpusError:
            continue  # too small for it, which the result shows
        right = recognised(vectors, trials)
        accuracy[enrollment] = float(right.mean())
        own = labels[trials.anchors]
        counts = np.bincount(own[right], minlength=len(names)), np.bincount(own)
        drawn |= _drawn_shares(f"accuracy {enrollment}", *counts, config, seed)
    closed = closed_set(vectors, labels, sessions, config)
    if closed is not None:
        drawn |= _drawn_shares("top1", *closed.by_speaker(1), config, seed)
    measures = Measures(
        eer=eer(scores, is_target).rate,
        min_dcf={p: min_dcf(scores, is_target, p_target=p) for p in config.p_targets},
        accuracy=accuracy,
        closed_set=None if closed is None else _closed_measures(closed),
        speakers=len(names),
        utterances=len(utterances),
        intervals=_intervals([drawn]),
    )
    return measures, drawn


def closed_set(
    vectors: NDArray[np.floating],
    labels: ArrayLike,
    sessions: Sequence[str],
    config: ProtocolConfig,
) -> ClosedSet | None:
    """The closed-set identification of a data set; None if it is too small."""
    try:
        enroll, test = draw_enrollments(
            labels, sessions, enrollment=config.closed_enrollment, seed=config.seed
        )
    except CorpusError:
        return None
    return closed_set_ranks(vectors, labels, enroll, test)


def _closed_measures(closed: ClosedSet) -> ClosedSetMeasures:
    top5 = closed.top(5) if closed.enrolled > 5 else None
    return ClosedSetMeasures(closed.top(1), top5, closed.enrolled, len(closed.ranks))


def _drawn_trials(
    scores: NDArray[np.floating],
    is_target: NDArray[np.bool_],
    sides: tuple[NDArray[np.int64], NDArray[np.int64]],
    config: ProtocolConfig,
    seed: int,
) -> Drawn:
    if not config.replicates:
        return {}
    found = resample_trials(
        scores,
        is_target,
        sides,
        p_targets=config.p_targets,
        replicates=config.replicates,
        seed=seed,
    )
    return {"eer": found.eer} | {f"min_dcf {p}": found.min_dcf[p] for p in config.p_targets}


def _drawn_shares(
    name: str,
    right: NDArray[np.int64],
    total: NDArray[np.int64],
    config: ProtocolConfig,
    seed: int,
) -> Drawn:
    if not config.replicates:
        return {}
    padded = np.zeros(len(right), np.int64)
    padded[: len(total)] = total
    draws = resample_shares(right, padded, replicates=config.replicates, seed=seed)
    return {name: draws}


def _intervals(drawn: list[Drawn]) -> dict[str, Interval]:
    """Of the mean over data sets: the speakers of each are drawn by themselves."""
    found = {}
    for name in dict.fromkeys(name for part in drawn for name in part):
        interval = interval_of(np.mean([part[name] for part in drawn if name in part], axis=0))
        if interval is not None:
            found[name] = interval
    return found


def _mean(parts: list[Measures]) -> Measures:
    enrollments = sorted({enrollment for part in parts for enrollment in part.accuracy})
    closed = [part.closed_set for part in parts if part.closed_set is not None]
    top5 = [part.top5 for part in closed if part.top5 is not None]
    return Measures(
        eer=float(np.mean([part.eer for part in parts])),
        min_dcf={p: float(np.mean([part.min_dcf[p] for part in parts])) for p in parts[0].min_dcf},
        accuracy={
            k: float(np.mean([part.accuracy[k] for part in parts if k in part.accuracy]))
            for k in enrollments
        },
        closed_set=ClosedSetMeasures(
            float(np.mean([part.top1 for part in closed])),
            float(np.mean(top5)) if top5 else None,
            sum(part.speakers for part in closed),
            sum(part.tests for part in closed),
        )
        if closed
        else None,
        speakers=sum(part.speakers for part in parts),
        utterances=sum(part.utterances for part in parts),
    )
