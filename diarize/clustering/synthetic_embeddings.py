"""Speaker vectors by the million from a stated generator, to measure and test clustering with.

Speakers are directions c in D dimensions, drawn around one shared direction with variances that
fall off exponentially, so that the space is effectively of some 42 dimensions, as measured on real
vectors. A clip is the unit vector of sqrt(q) c + sqrt(1 - q) n: n is a random unit direction, and
the quality q ~ Beta(4, 2) differs from clip to clip. Two clips of one speaker then have a cosine of
0.65 on average (standard deviation 0.14), of two speakers 0.11 (0.13). A speaker has s clips or
more with probability s ** -1.2, at most 2,000: more than half of the speakers have one clip only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["synthetic_voices"]

SHARED = 0.42  # of a centre's length lies in the shared direction
CENTRE_DECAY, CLIP_DECAY = 21.0, 60.0  # dimensions in which the variance falls to 1 / e
QUALITY = (4.0, 2.0)
TAIL, MOST_CLIPS = 1.2, 2_000
BLOCK = 65_536


def synthetic_voices(
    N: int, *, D: int = 256, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Unit vectors (N, D) and their speakers (N,), in random order; the same for the same seed."""
    rng = np.random.default_rng(seed)
    sizes = np.minimum((1 - rng.random(N)) ** (-1 / TAIL), MOST_CLIPS).astype(np.int64)
    K = int(np.searchsorted(np.cumsum(sizes), N)) + 1
    speakers = rng.permutation(np.repeat(np.arange(K), sizes[:K])[:N])
    centres = np.sqrt(1 - SHARED**2) * _directions(rng, K, D, CENTRE_DECAY)
    centres += SHARED * _directions(rng, 1, D, CENTRE_DECAY)
    centres = _unit(centres)
    rows = np.empty((N, D), np.float32)
    for start in range(0, N, BLOCK):
        own = speakers[start : start + BLOCK]
        quality = rng.beta(*QUALITY, size=(len(own), 1)).astype(np.float32)
        block = np.sqrt(quality) * centres[own]
        block += np.sqrt(1 - quality) * _directions(rng, len(own), D, CLIP_DECAY)
        rows[start : start + BLOCK] = _unit(block)
    return rows, speakers


def _directions(rng: np.random.Generator, n: int, D: int, decay: float) -> NDArray[np.float32]:
    """Random unit vectors (n, D) whose variance falls off by exp(-dimension / decay)."""
    spread = np.exp(-np.arange(D, dtype=np.float32) / (2 * decay))
    return _unit(rng.standard_normal((n, D), np.float32) * spread)


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
