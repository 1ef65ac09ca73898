"""Verification on a list of trials: error rates, detection costs, and how sure they are.

Conventions as in `encoder.evaluation.metrics`. Whole files are compared; of a long file only the
beginning is embedded. Scores that the list brings are taken as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diarize.core.text import and_more
from diarize.formats.trial_lists import Trials
from encoder.common.names import existing_path
from encoder.errors import CorpusError
from encoder.evaluation.bootstrap import Interval, interval_of, resample_trials
from encoder.evaluation.metrics import eer, min_dcf
from encoder.evaluation.trials import pair_similarities

if TYPE_CHECKING:
    from encoder.inference.extraction import CropVectors
    from encoder.inference.window_embedder import WindowEmbedder

__all__ = [
    "TrialScores",
    "VerificationScore",
    "embed_trials",
    "notes_on",
    "score_verification",
    "whole_files",
]

P_TARGETS = (0.01, 0.05)
_DRAWN = {"columns": "speakers", "folders": "speakers (first folders)", "": "trials"}


class TrialScores(NamedTuple):
    """scores: (N,) similarities, not a number where a file cannot be read; probabilities: (N,)
    that it is one speaker, None for an embedder without calibration; notes: sentences on files
    that were left out or not read to their end."""

    scores: NDArray[np.float64]
    probabilities: NDArray[np.float64] | None
    notes: list[str]


@dataclass(frozen=True)
class VerificationScore:
    """Rates are fractions. intervals: 95 % by measure, over `drawn`: speakers or trials."""

    eer: float
    threshold: float
    min_dcf: dict[float, float]
    intervals: dict[str, Interval]
    drawn: str
    cllr: float | None
    min_cllr: float
    trials: int
    of_one_speaker: int
    speakers: int | None
    left_out: int = 0
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Plain numbers by name."""
        return asdict(self)


def embed_trials(
    trials: Trials,
    root: str | Path,
    embedder: WindowEmbedder,
    *,
    on_done: Callable[[int, int], None] | None = None,
) -> TrialScores:
    """Similarities of the files, whose paths are below `root`. CorpusError if none can be read."""
    from encoder.calibration.score_calibration import find_calibration

    paths = list(dict.fromkeys([*trials.enrollment, *trials.test]))
    vectors, seconds, notes = whole_files(paths, root, embedder, on_done=on_done)
    place = {path: row for row, path in enumerate(paths)}
    a, b = ([place[path] for path in side] for side in (trials.enrollment, trials.test))
    scores = np.asarray(pair_similarities(vectors, a, b), np.float64)
    calibration = find_calibration(embedder.fingerprint)
    chance = (
        None if calibration is None else calibration.probability(scores, seconds[a], seconds[b])
    )
    return TrialScores(scores, chance, notes)


def whole_files(
    paths: list[str],
    root: str | Path,
    embedder: WindowEmbedder,
    *,
    on_done: Callable[[int, int], None] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64], list[str]]:
    """Unit vectors (N, D) and seconds (N,) read of the files, not a number for those that cannot
    be read, and sentences on these and on long ones. CorpusError if none can be read."""
    from encoder.data.manifest import Utterance
    from encoder.inference.extraction import crop_vectors

    root = Path(root)
    listed = [Utterance(existing_path(root, p), "", "", "", p, 0.0, p) for p in paths]
    found = crop_vectors(embedder, listed, crops={"full": None}, on_done=on_done)
    vectors = np.full((len(paths), found.by_crop["full"].shape[1]), np.nan)
    seconds = np.full(len(paths), np.nan)
    vectors[found.kept], seconds[found.kept] = found.by_crop["full"], found.seconds
    return vectors, seconds, notes_on(found, paths)


def notes_on(found: CropVectors, names: Sequence[str]) -> list[str]:
    """Sentences on the utterances, by their `names` (N,), that were left out or are long."""
    from encoder.inference.extraction import LONGEST_S

    notes = [f"left out: {sentence}" for sentence in found.left_out]
    if found.shortened:
        shown = and_more(repr(names[row]) for row in found.shortened)
        notes.append(f"only the first {LONGEST_S:g} s were read of {shown}")
    return notes


def score_verification(
    trials: Trials,
    scores: NDArray[np.floating],
    *,
    probabilities: NDArray[np.floating] | None = None,
    replicates: int = 500,
    seed: int = 0,
) -> VerificationScore:
    """Measures of scores (N,); trials whose score is not a number are left out and counted.

    CorpusError if none of a kind remain.
    """
    from encoder.calibration.metrics import cllr, min_cllr

    known = ~np.isnan(scores)
    values, truth = np.asarray(scores, np.float64)[known], trials.is_target[known]
    if truth.all() or not truth.any():
        raise CorpusError(
            f"{int(truth.sum())} same-speaker and {int((~truth).sum())} different-speaker trials "
            f"of {len(known)} can be scored: both kinds are needed"
        )
    sides = None
    if trials.speakers is not None:
        first, second = (np.array(side)[known] for side in trials.speakers)
        sides = first, second
    drawn = resample_trials(
        values, truth, sides, p_targets=P_TARGETS, replicates=replicates, seed=seed
    )
    intervals = {"eer": interval_of(drawn.eer)}
    intervals |= {f"min_dcf {p}": interval_of(drawn.min_dcf[p]) for p in P_TARGETS}
    notes = []
    if sides is None:
        notes.append(
            "the list does not name the speakers, so the intervals are over trials, which promises "
            "too much: add columns enrollment_speaker and test_speaker"
        )
    if not known.all():
        notes.append(f"{int((~known).sum())} of {len(known)} trials are left out")
    rate = eer(values, truth)
    return VerificationScore(
        eer=rate.rate,
        threshold=rate.threshold,
        min_dcf={p: min_dcf(values, truth, p_target=p) for p in P_TARGETS},
        intervals={name: found for name, found in intervals.items() if found is not None},
        drawn=_DRAWN[trials.speakers_from],
        cllr=None if probabilities is None else cllr(np.asarray(probabilities)[known], truth),
        min_cllr=min_cllr(values, truth),
        trials=len(values),
        of_one_speaker=int(truth.sum()),
        speakers=None if sides is None else len(set(sides[0]) | set(sides[1])),
        left_out=int((~known).sum()),
        notes=notes,
    )
