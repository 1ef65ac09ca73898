"""Closed-set identification: whose is this utterance, of everybody who is enrolled?

Every speaker is enrolled with the mean of K utterances; all other utterances are identified among
all speakers. Top-1 is the share whose own speaker is most similar, top-5 the share whose own
speaker is among the five most similar. More speakers make it harder, so their number belongs to the
result.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from encoder.common.vectors import unit_rows
from encoder.errors import CorpusError

__all__ = ["ClosedSet", "closed_set_ranks", "draw_enrollments"]


class ClosedSet(NamedTuple):
    """ranks: (T,) place of the right speaker among all K, from 1, a tie being the worse place;
    speakers: (T,) number of the right speaker; enrolled: K."""

    ranks: NDArray[np.int64]
    speakers: NDArray[np.int64]
    enrolled: int

    def top(self, places: int) -> float:
        """Share of tests whose speaker is within the first `places`."""
        return float((self.ranks <= places).mean())

    def by_speaker(self, places: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Tests within the first `places` and all tests, (K,) each."""
        right = np.bincount(self.speakers[self.ranks <= places], minlength=self.enrolled)
        return right, np.bincount(self.speakers, minlength=self.enrolled)


def draw_enrollments(
    speakers: ArrayLike, sessions: ArrayLike | None = None, *, enrollment: int = 2, seed: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows (E,) that enroll and rows (T,) that test, of utterances of `speakers` (N,).

    Each speaker with at least `enrollment` utterances is enrolled with that many, drawn at random;
    the rest are tests. sessions: (N,) what utterances were cut from; an utterance from a session
    that enrolls its speaker is no test, unless that leaves the speaker none.

    CorpusError if nothing is left to test, or fewer than two speakers to tell apart.
    """
    names, codes = np.unique(np.asarray(speakers), return_inverse=True)
    cut_from = np.arange(len(codes)) if sessions is None else np.asarray(sessions)
    rng = np.random.default_rng(seed)
    enroll: list[int] = []
    test: list[int] = []
    able = 0
    for code in range(len(names)):
        rows = rng.permutation(np.flatnonzero(codes == code))
        if len(rows) < enrollment:
            continue
        able += 1
        used, rest = rows[:enrollment], rows[enrollment:]
        fresh = rest[~np.isin(cut_from[rest], cut_from[used])]
        enroll += sorted(used.tolist())
        test += sorted((fresh if len(fresh) else rest).tolist())
    if able < 2 or not test:
        raise CorpusError(
            f"{len(codes)} utterances of {len(names)} speakers are too few to enroll two speakers "
            f"with {enrollment} and test one: give {enrollment + 1} utterances each"
        )
    return np.array(enroll, np.int64), np.array(test, np.int64)


def closed_set_ranks(
    vectors: NDArray[np.floating], speakers: ArrayLike, enroll: ArrayLike, test: ArrayLike
) -> ClosedSet:
    """Tell the utterances in rows `test` (T,) of unit vectors (N, D) among the speakers (K,) that
    the rows `enroll` (E,) are of.

    CorpusError names a test whose speaker is not enrolled.
    """
    names = np.asarray(speakers).astype(str)
    rows, tests = np.asarray(enroll, np.int64), np.asarray(test, np.int64)
    known, codes = np.unique(names[rows], return_inverse=True)
    place = np.searchsorted(known, names[tests])
    strange = names[tests][known[np.minimum(place, len(known) - 1)] != names[tests]]
    if len(strange):
        raise CorpusError(
            f"{str(strange[0])!r} is tested but not enrolled: give an utterance that enrolls them"
        )
    means = np.zeros((len(known), vectors.shape[1]))
    np.add.at(means, codes, vectors[rows])
    means = unit_rows(means)
    ranks = np.zeros(len(tests), np.int64)
    for at in range(0, len(tests), 1024):  # all similarities at once could fill the memory
        similarity = vectors[tests[at : at + 1024]] @ means.T
        own = similarity[np.arange(len(similarity)), place[at : at + 1024]]
        ranks[at : at + 1024] = (similarity >= own[:, None]).sum(axis=1)
    return ClosedSet(ranks, place.astype(np.int64), len(known))
