"""Who is it among 100? Identification trials as in Deep Speaker (Li et al. 2017, section 4).

A trial has one anchor utterance and 100 candidates: the anchor's speaker and 99 negatives. A
candidate is one enrolled speaker, that is, the unit-normalised mean of the vectors of `enrollment`
utterances of one speaker. The trial is right if the anchor is most similar to its own speaker.

All comes from one data set, or the channel would give the answer away. Where a data set has fewer
than 99 other speakers, a speaker gives several negatives, no two of the same utterances, and all
speakers about as many. A data set whose other speakers have fewer than 99 utterances in all cannot
be used: trials with fewer negatives are easier, and their accuracy means something else.
"""

from __future__ import annotations

from math import comb
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from encoder.common.vectors import unit_rows
from encoder.errors import CorpusError
from encoder.evaluation.metrics import most_similar

__all__ = ["IdentificationTrials", "identification_trials", "recognised"]


class IdentificationTrials(NamedTuple):
    """P trials over the N utterances of a data set.

    anchors: (P,) rows of the utterances to be recognised.
    members: (P, 1 + negatives, enrollment) rows whose mean is a candidate; the right one is first.
    """

    anchors: NDArray[np.int64]
    members: NDArray[np.int64]


def identification_trials(
    speakers: ArrayLike,
    sessions: ArrayLike | None = None,
    *,
    enrollment: int = 1,
    negatives: int = 99,
    per_speaker_limit: int = 10,
    seed: int = 0,
) -> IdentificationTrials:
    """Draw trials from utterances of `speakers` (N,); the same arguments give the same trials.

    sessions: (N,) what each utterance was cut from. The right candidate has utterances of other
    sessions
        than the anchor's as far as its speaker has them. None: every utterance is its own session.
    enrollment: utterances that a candidate is the mean of.
    per_speaker_limit: anchors of one speaker, so that a few speakers do not decide the result.

    CorpusError if no utterance can be an anchor: its speaker needs `enrollment` more utterances,
    and other speakers (with `enrollment` each) `negatives` utterances and as many different groups.
    """
    names, codes = np.unique(np.asarray(speakers), return_inverse=True)
    cut_from = np.arange(len(codes)) if sessions is None else np.asarray(sessions)
    counts = np.bincount(codes, minlength=len(names))
    rng = np.random.default_rng(seed)
    anchors, members = [], []
    for speaker in range(len(names)):
        others = np.flatnonzero((counts >= enrollment) & (np.arange(len(names)) != speaker))
        groups = sum(comb(int(n), enrollment) for n in counts[others])
        if counts[speaker] <= enrollment or min(counts[others].sum(), groups) < negatives:
            continue
        for anchor in rng.permutation(np.flatnonzero(codes == speaker))[:per_speaker_limit]:
            right = _positive(rng, codes, cut_from, anchor)[:enrollment]
            anchors.append(anchor)
            members.append([sorted(right), *_negatives(rng, codes, others, enrollment, negatives)])
    if not anchors:
        raise CorpusError(
            f"{len(codes)} utterances of {len(names)} speakers are too few to tell one among "
            f"{1 + negatives}: give {enrollment + 1} utterances of one and {negatives} of others"
        )
    return IdentificationTrials(np.array(anchors, np.int64), np.array(members, np.int64))


def recognised(vectors: NDArray[np.floating], trials: IdentificationTrials) -> NDArray[np.bool_]:
    """Which of P `trials` unit `vectors` (N, D) get right, (P,); a tie is a miss."""
    right = []
    for at in range(0, len(trials.anchors), 128):  # the candidates of all would fill the memory
        rows, members = trials.anchors[at : at + 128], trials.members[at : at + 128]
        # Candidate by utterance, not all at once: (P, C, enrollment, D) would be larger still.
        means = np.asarray(sum(vectors[members[..., k]] for k in range(members.shape[-1])))
        right.append(most_similar(vectors[rows], unit_rows(means), np.zeros(len(rows), np.int64)))
    return np.concatenate(right)


def _positive(
    rng: np.random.Generator, codes: NDArray[np.int64], sessions: NDArray[Any], anchor: int
) -> list[int]:
    """The other utterances of the anchor's speaker in random order, those of other sessions
    first."""
    own = rng.permutation(np.flatnonzero(codes == codes[anchor]))
    own = own[own != anchor]
    return own[np.argsort(sessions[own] == sessions[anchor], kind="stable")].tolist()


def _negatives(
    rng: np.random.Generator,
    codes: NDArray[np.int64],
    others: NDArray[np.int64],
    enrollment: int,
    negatives: int,
) -> list[tuple[int, ...]]:
    """Different groups of `enrollment` utterances, a speaker at a time until there are enough."""
    first = np.searchsorted(np.sort(codes), others)
    found: dict[tuple[int, ...], None] = {}  # a set that keeps its order
    while True:
        by_speaker = np.lexsort((rng.random(len(codes)), codes))  # random within a speaker
        for start in rng.permutation(first):
            found[tuple(sorted(by_speaker[start : start + enrollment].tolist()))] = None
            if len(found) == negatives:
                return list(found)
