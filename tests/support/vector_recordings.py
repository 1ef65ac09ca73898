"""Recordings without sound for tests: windows, unit vectors and who they are of.

recording([(speaker, seconds), ...]) has turns without a pause; by_first(labels) numbers labels by
first appearance; chain_in_loops is the hidden Markov model of resegmentation, written out.
"""

from __future__ import annotations

import numpy as np

from diarize.embedding.windows import WindowConfig, cut_windows

__all__ = ["D", "by_first", "centres_of", "recording", "unit"]

D = 64


def recording(turns, *, noise=0.8, seed=0, step_s=0.4):
    """Windows, unit vectors and true speakers of turns (speaker, seconds) without a pause."""
    rng = np.random.default_rng(seed)
    ends = np.cumsum([seconds for _, seconds in turns])
    length = int(ends[-1] * 16_000)
    config = WindowConfig(step_s=step_s)
    windows = cut_windows(np.array([[0, length]]), length=length, config=config)
    middle_s = windows.territory.mean(axis=1) / 16_000
    truth = np.array([turns[n][0] for n in np.searchsorted(ends, middle_s)])
    centres = centres_of(rng, truth.max() + 1)
    vectors = centres[truth] + noise * rng.normal(size=(len(truth), D)) / D**0.5
    return windows, unit(vectors).astype(np.float32), truth


def centres_of(rng, K):
    return unit(rng.normal(size=(K, D)))


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def by_first(labels):
    order = list(dict.fromkeys(labels.tolist()))
    return np.array([order.index(label) for label in labels.tolist()])


def chain_in_loops(likely, stays, share):
    """Likelihoods (N, K), P(no change) before each window but the first, P(k after a change) (K,)
    -> P(k) of each window, a list of N, and the share of the turns that each speaker begins."""
    N, K = likely.shape
    change = [p * np.eye(K) + (1 - p) * share for p in stays]
    ahead, behind = [share * likely[0]], [np.ones(K)]
    for t in range(1, N):
        ahead.append(likely[t] * (ahead[-1] @ change[t - 1]))
    for t in range(N - 1, 0, -1):
        behind.insert(0, change[t - 1] @ (likely[t] * behind[0]))
    turns = share * likely[0] * behind[0]
    for t in range(1, N):
        turns = turns + (1 - stays[t - 1]) * ahead[t - 1].sum() * share * likely[t] * behind[t]
    belief = [a * b / ahead[-1].sum() for a, b in zip(ahead, behind, strict=True)]
    return belief, turns / turns.sum()
