"""Resegmentation: labels corrected by the order of the windows in time.

Clustering ignores time. Here every speaker is a state of a hidden Markov model: the evidence of a
window is weighed against that of its neighbours, and against how well a speaker is known. Speakers
who explain nothing that others do not explain as well lose their share and go, so that their number
can only fall.

This is VBx (Landini et al. 2022, arXiv 2012.14952) without its trained model of the vectors: those
of a speaker lie around a mean, equally wide in all directions, and the means lie so around the mean
of the recording. Posteriors of means and states are improved in turn (variational Bayes).
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

Posteriors = NDArray[np.float64]
NEW_S = 0.4  # windows overlap: a vector counts for its territory, but for no more seconds than this
GONE = 1e-3  # a speaker who begins so small a part of an equal share of the turns is none
SURE = 1 - 1e-9  # that the speaker stays: no more, or what is impossible would stay so
ROUNDS, SETTLED = 50, 1e-3  # at most so many, until no posterior changes by more
HALVINGS = 6  # of `prior_s`, to keep the speakers that must stay
PIECE = 512  # windows: longer chains are cut, so that all pieces are gone through at once


def resegment(
    embeddings: Vectors,
    windows: Windows,
    labels: Labels,
    count: SpeakerCount | None = None,
    config: ResegmentationConfig | None = None,
) -> Labels:
    """Correct the labels of windows by their order in time.

    There are never more speakers than before, and never fewer than `count.minimum` if there were so
    many: where some would go who must not, `prior_s` is halved again and again, and at last every
    window keeps its given label.

    Args:
        embeddings: (N, D) unit vectors.
        windows: N windows that follow each other in time, as `cut_windows` makes them.
        labels: (N,) speakers; windows labelled -1 keep that and do not count.
        count: bounds on the number of speakers.
        config: what is expected of speakers.

    Returns:
        (N,) int64 labels 0..K-1 by first appearance.
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
    """The most likelihood speaker (N,) of each window, of those who are left of 0..K-1."""
    counted_s = np.minimum(lengths_s, NEW_S)[:, None]
    # Seconds of speech from one centre to the next: to count pauses, too, was no better.
    apart_s = np.append(0.0, (lengths_s[1:] + lengths_s[:-1]) / 2)
    stay = np.minimum(np.exp(-apart_s / config.turn_s), SURE)
    centre = unit.mean(axis=0, dtype=np.float64)
    posterior = np.eye(int(given.max()) + 1)[given]
    share = np.full(posterior.shape[1], 1 / posterior.shape[1])
    for _ in range(ROUNDS):
        weight = posterior * counted_s
        speech_s = weight.sum(axis=0)
        # A speaker with little speech is drawn to the centre, and is less sure to be there.
        sums = weight.T.astype(unit.dtype) @ unit - speech_s[:, None] * centre
        means = sums / (speech_s + prior_s)[:, None]
        unsure = config.spread * prior_s / (speech_s + prior_s)
        fit = unit @ means.T.astype(unit.dtype) - centre @ means.T
        fit -= (np.square(means).sum(axis=1) + unsure) / 2
        before = posterior
        posterior, turns = _forward_backward(config.concentration * counted_s * fit, stay, share)
        share = turns / turns.sum()
        stays = share > GONE / len(share)
        if not stays.all():
            posterior, share = posterior[:, stays], share[stays] / share[stays].sum()
            posterior /= np.maximum(posterior.sum(axis=1, keepdims=True), np.finfo(float).tiny)
        elif np.abs(posterior - before).max() < SETTLED:
            break
    return posterior.argmax(axis=1)


def _forward_backward(
    scores: Posteriors, stay: NDArray[np.float64], share: NDArray[np.float64]
) -> tuple[Posteriors, NDArray[np.float64]]:
    """Log-likelihoods (N, K), P(no change) before each window (N,), P(k after a change) (K,) ->
    P(k) of each window (N, K), and how many turns each speaker (K,) is expected to begin."""
    N, K = scores.shape
    pieces = -(-N // PIECE)
    L = PIECE if pieces > 1 else N
    likelihood = np.ones((pieces * L, K))
    likelihood[:N] = np.exp(scores - scores.max(axis=1, keepdims=True))
    same = np.ones(pieces * L)  # what fills the last piece says nothing and begins no turn
    same[:N] = stay
    likelihood = np.ascontiguousarray(likelihood.reshape(pieces, L, K).swapaxes(0, 1))
    same = np.ascontiguousarray(same.reshape(pieces, L).T)[:, :, None]
    same[0] = 0.0
    begins = (1 - same) * share
    ahead = np.empty_like(likelihood)
    total = np.empty_like(same)
    state = np.zeros((pieces, K))
    for t in range(L):
        state = (same[t] * state + begins[t]) * likelihood[t]
        total[t] = state.sum(axis=1, keepdims=True)
        state = ahead[t] = state / total[t]
    behind = np.ones_like(likelihood)
    likelihood /= total
    for t in range(L - 1, 0, -1):
        seen = likelihood[t] * behind[t]
        behind[t - 1] = same[t] * seen + (1 - same[t]) * (seen @ share)[:, None]
    turns = (begins * likelihood * behind).sum(axis=(0, 1))
    posterior = (ahead * behind).swapaxes(0, 1).reshape(pieces * L, K)[:N]
    return posterior / posterior.sum(axis=1, keepdims=True), turns
