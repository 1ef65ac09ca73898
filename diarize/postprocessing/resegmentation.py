"""Resegmentation: labels corrected by the order of the windows in time.

Clustering ignores time. Here every speaker is a state of a hidden Markov model: the evidence of a
window is weighed against that of its neighbours, and against how well a speaker is known. Speakers
who explain nothing that others do not explain as well lose their share and go, so that their number
can only fall. Posteriors of means and states are improved in turn (variational Bayes): VBx (Landini
et al. 2022, arXiv 2012.14952).

With a model of the embedder's vectors (`encoder.calibration.plda`), as published. Without one,
those of a speaker lie around a mean, equally wide in all directions, and the means lie so around
the mean of the recording.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from diarize.core.labels import by_first_appearance
from diarize.core.speaker_count import SpeakerCount
from diarize.core.vectors import Labels, Vectors
from diarize.embedding.windows import Windows
from diarize.postprocessing.config import ResegmentationConfig
from encoder.calibration.plda import Plda

__all__ = ["resegment"]

Posteriors = NDArray[np.float64]
FULL_S = 1.6  # new sound from which a window counts in full, with a model of vectors
STEP_S = 0.4  # windows overlap: without one, a vector counts for no more of its territory than this
ALONE_S = 1.6  # nor, if it is of one speaker alone, for more than this
GONE = 1e-3  # a speaker who begins so small a part of an equal share of the turns is none
SURE = 1 - 1e-9  # that the speaker stays: no more, or what is impossible would stay so
ROUNDS, SETTLED = 50, 1e-3  # at most so many, until no posterior changes by more
HALVINGS = 6  # of the prior, to keep the speakers that must stay
PIECE = 512  # windows: longer chains are cut, so that all pieces are gone through at once


class _Evidence(NamedTuple):
    """What the windows say, ready for any speakers.

    vectors (N, L), less centre (L,) and times scale: of variance 1 within a speaker, times the
    deviation of the speakers' means. They are kept apart, as a second array of all vectors would be
    much of a long recording's memory. between (L,): variance of these means. counted (N,): what
    each window counts for. prior: what counts so much is believed half. freedom: of how many
    directions between speaks for each of L.
    """

    vectors: NDArray[np.floating]
    centre: NDArray[np.float64]
    scale: float
    between: NDArray[np.float64]
    counted: NDArray[np.float64]
    prior: float
    freedom: float


def resegment(
    embeddings: Vectors,
    windows: Windows,
    labels: Labels,
    count: SpeakerCount | None = None,
    config: ResegmentationConfig | None = None,
    *,
    plda: Plda | None = None,
) -> Labels:
    """Correct the labels of windows by their order in time.

    There are never more speakers than before, and never fewer than `count.minimum` if there were so
    many: where some would go who must not, they are expected less and less often to differ, and at
    last every window keeps its given label.

    Args:
        embeddings: (N, D) unit vectors.
        windows: N windows that follow each other in time, as `cut_windows` makes them.
        labels: (N,) speakers; windows labelled -1 keep that and do not count.
        count: bounds on the number of speakers.
        config: what is expected of speakers.
        plda: the model of the embedder's vectors; None takes them as equally wide everywhere.

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
        if plda is None:
            evidence = _plain(unit, _counted_s(windows)[rows], config)
        else:
            evidence = _modelled(plda, unit, windows.fresh_s[rows], config)
        stay = _stays(windows.territory_s, rows, config.turn_s)
        for halvings in range(HALVINGS):
            better = _improved(evidence._replace(prior=evidence.prior / 2**halvings), stay, given)
            if len(np.unique(better)) >= min(count.minimum, K):
                found = better
                break
    out = np.full(len(labels), -1, np.int64)
    out[rows] = found
    return by_first_appearance(out)


def _modelled(
    plda: Plda, unit: Vectors, fresh_s: NDArray[np.float64], config: ResegmentationConfig
) -> _Evidence:
    between = plda.between.astype(np.float64)
    counted = config.evidence * np.minimum(fresh_s / FULL_S, 1)
    vectors = plda.transform(unit) * np.sqrt(between)
    centre = np.zeros(len(between))
    return _Evidence(vectors, centre, 1.0, between, counted, config.prior, 1.0)


def _plain(
    unit: Vectors, counted_s: NDArray[np.float64], config: ResegmentationConfig
) -> _Evidence:
    """Of vectors that vary by 1 / concentration a second in each direction, and whose speakers'
    means vary by as much in `prior_s` seconds; `spread` of it in all directions together."""
    centre = unit.mean(axis=0, dtype=np.float64)
    scale = float(np.sqrt(config.concentration * config.prior_s))
    freedom = config.concentration * config.spread * config.prior_s / len(centre)
    counted = counted_s / config.prior_s
    return _Evidence(unit, centre, scale, np.ones(len(centre)), counted, 1.0, freedom)


def _counted_s(windows: Windows) -> NDArray[np.float64]:
    return np.minimum(windows.territory_s, STEP_S if windows.alone is None else ALONE_S)


def _stays(
    territory_s: NDArray[np.float64], rows: NDArray[np.int64], turn_s: float
) -> NDArray[np.float64]:
    """(n,): P(the same speaker as in the row before), by the seconds of speech between their
    middles; to count pauses, too, was no better."""
    middle_s = (np.cumsum(territory_s) - territory_s / 2)[rows]
    apart_s = np.diff(middle_s, prepend=middle_s[:1])
    return np.minimum(np.exp(-apart_s / turn_s), SURE)


def _improved(evidence: _Evidence, stay: NDArray[np.float64], given: Labels) -> Labels:
    """The most likely speaker (N,) of each window, of those who are left of 0..K-1."""
    rho, between = evidence.vectors, evidence.between
    posterior = np.eye(int(given.max()) + 1)[given]
    share = np.full(posterior.shape[1], 1 / posterior.shape[1])
    counted = evidence.counted[:, None]
    for _ in range(ROUNDS):
        weight = posterior * counted
        # A speaker with little speech is drawn to the centre, and is less sure to be there.
        weight_s = weight.sum(axis=0)[:, None]
        unsure = 1 / (1 + weight_s * between / evidence.prior)  # (K, L)
        sums = evidence.scale * (weight.T.astype(rho.dtype) @ rho - weight_s * evidence.centre)
        means = unsure * sums / evidence.prior
        scaled = evidence.scale * means
        fit = rho @ scaled.T.astype(rho.dtype)
        fit -= evidence.centre @ scaled.T
        fit -= (np.square(means) + evidence.freedom * unsure) @ between / 2
        before = posterior
        posterior, turns = _forward_backward(counted * fit, stay, share)
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
