"""Who spoke when, once more: a clustering put right with the order of the windows.

A clusterer sees one vector at a time and decides for good. Here every speaker is a state of a
hidden Markov model: what a window says is weighed against what its neighbours say, and against how
well a speaker is known. Speakers who explain nothing that others do not explain as well lose their
share and go, so that their number can only fall.

This is VBx (Landini et al. 2022, arXiv 2012.14952) without its trained model of the vectors: those
of a speaker lie around a mean, equally wide in all directions, and the means lie so around the mean
of the recording. Beliefs in means and states are improved by turns (variational Bayes).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diarize.core.labels import by_first_appearance
from diarize.core.speaker_count import SpeakerCount
from diarize.core.vectors import Labels, Vectors
from diarize.embedding.windows import Windows
from diarize.postprocessing.config import ResegmentationConfig

__all__ = ["resegment"]

Beliefs = NDArray[np.float64]
NEW_S = 0.4  # windows overlap: a vector counts for its territory, but for no more seconds than this
GONE = 1e-3  # a speaker who begins so small a part of an equal share of the turns is none
SURE = 1 - 1e-9  # that nobody else speaks: no more, or what is impossible would stay so
ROUNDS, SETTLED = 50, 1e-3  # at most so many, until no belief changes by more
HALVINGS = 6  # of `prior_s`, to keep the speakers that must stay
PIECE = 512  # windows: longer chains are cut, so that all pieces are gone through at once


def resegment(
    embeddings: Vectors,
    windows: Windows,
    labels: Labels,
    count: SpeakerCount | None = None,
    config: ResegmentationConfig | None = None,
) -> Labels:
    """Unit vectors (N, D) of N windows and labels (N,) -> labels 0..K-1 by first appearance.

    The windows follow each other in time, as `cut_windows` makes them: none is beside another.
    Windows labelled -1 keep that and say nothing. There are never more speakers than before, and
    never fewer than `count.minimum` if there were so many: where some would go who must not,
    `prior_s` is halved again and again, and at last every window keeps its given label.
    """
    config, count = config or ResegmentationConfig(), count or SpeakerCount()
    rows = np.flatnonzero(labels >= 0)
    given = np.unique(labels[rows], return_inverse=True)[1].astype(np.int64)
    K = int(given.max(initial=-1)) + 1
    found = given
    if K > 1:
        unit = embeddings if len(rows) == len(labels) else embeddings[rows]
        lengths_s = windows.territory_s[rows]
        for halvings in range(HALVINGS):
            better = _improved(unit, lengths_s, given, config, config.prior_s / 2**halvings)
            if len(np.unique(better)) >= min(count.minimum, K):
                found = better
                break
    out = np.full(len(labels), -1, np.int64)
    out[rows] = found
    return by_first_appearance(out)


def _improved(
    unit: Vectors,
    lengths_s: NDArray[np.float64],
    given: Labels,
    config: ResegmentationConfig,
    prior_s: float,
) -> Labels:
    """The most likely speaker (N,) of each window, of those who are left of 0..K-1."""
    counted_s = np.minimum(lengths_s, NEW_S)[:, None]
    # Seconds of speech from one centre to the next: to count pauses, too, was no better.
    apart_s = np.append(0.0, (lengths_s[1:] + lengths_s[:-1]) / 2)
    stay = np.minimum(np.exp(-apart_s / config.turn_s), SURE)
    centre = unit.mean(axis=0, dtype=np.float64)
    belief = np.eye(int(given.max()) + 1)[given]
    share = np.full(belief.shape[1], 1 / belief.shape[1])
    for _ in range(ROUNDS):
        weight = belief * counted_s
        heard_s = weight.sum(axis=0)
        # A speaker heard for little time is drawn to the centre, and is less sure to be there.
        sums = weight.T.astype(unit.dtype) @ unit - heard_s[:, None] * centre
        means = sums / (heard_s + prior_s)[:, None]
        unsure = config.spread * prior_s / (heard_s + prior_s)
        fit = unit @ means.T.astype(unit.dtype) - centre @ means.T
        fit -= (np.square(means).sum(axis=1) + unsure) / 2
        before = belief
        belief, turns = _forward_backward(config.concentration * counted_s * fit, stay, share)
        share = turns / turns.sum()
        stays = share > GONE / len(share)
        if not stays.all():
            belief, share = belief[:, stays], share[stays] / share[stays].sum()
            belief /= np.maximum(belief.sum(axis=1, keepdims=True), np.finfo(float).tiny)
        elif np.abs(belief - before).max() < SETTLED:
            break
    return belief.argmax(axis=1)


def _forward_backward(
    scores: Beliefs, stay: NDArray[np.float64], share: NDArray[np.float64]
) -> tuple[Beliefs, NDArray[np.float64]]:
    """Log-likelihoods (N, K), P(no change) before each window (N,), P(k after a change) (K,) ->
    P(k) of each window (N, K), and how many turns each speaker (K,) is expected to begin."""
    N, K = scores.shape
    pieces = -(-N // PIECE)
    L = PIECE if pieces > 1 else N
    likely = np.ones((pieces * L, K))
    likely[:N] = np.exp(scores - scores.max(axis=1, keepdims=True))
    same = np.ones(pieces * L)  # what fills the last piece says nothing and begins no turn
    same[:N] = stay
    likely = np.ascontiguousarray(likely.reshape(pieces, L, K).swapaxes(0, 1))
    same = np.ascontiguousarray(same.reshape(pieces, L).T)[:, :, None]
    same[0] = 0.0
    begins = (1 - same) * share
    ahead = np.empty_like(likely)
    total = np.empty_like(same)
    state = np.zeros((pieces, K))
    for t in range(L):
        state = (same[t] * state + begins[t]) * likely[t]
        total[t] = state.sum(axis=1, keepdims=True)
        state = ahead[t] = state / total[t]
    behind = np.ones_like(likely)
    likely /= total
    for t in range(L - 1, 0, -1):
        seen = likely[t] * behind[t]
        behind[t - 1] = same[t] * seen + (1 - same[t]) * (seen @ share)[:, None]
    turns = (begins * likely * behind).sum(axis=(0, 1))
    belief = (ahead * behind).swapaxes(0, 1).reshape(pieces * L, K)[:N]
    return belief / belief.sum(axis=1, keepdims=True), turns
