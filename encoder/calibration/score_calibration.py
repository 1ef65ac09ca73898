"""From a similarity to the probability that two sounds are of one speaker.

A cosine means nothing by itself: it depends on the embedder, and short sounds score lower than
long ones. Logistic calibration (Brummer and du Preez 2006, "Application-independent evaluation of
speaker detection") makes a probability of it. With seconds a, b of the two sounds

    log odds = slope * similarity + offset + shortness * (1 / a + 1 / b)

because the noise in a vector shrinks with the length of the sound. Even odds are assumed
beforehand: as many pairs of one speaker as of two.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from encoder.calibration.metrics import balanced_weights
from encoder.common.atomic_files import replacing
from encoder.errors import CheckpointError, ConfigError, CorpusError
from encoder.hub.paths import calibration_folders

__all__ = [
    "Calibration",
    "find_calibration",
    "fit_calibration",
    "read_calibration",
    "sigmoid",
    "write_calibration",
]

FORMAT = 1
SHORTEST_S, LONGEST_S = 0.5, 30.0  # beyond them a sound counts as so short or so long
STEEPEST = 1000.0  # a slope that trials without any doubt lead to


@dataclass(frozen=True)
class Calibration:
    """From similarities to probabilities, for the vectors of one embedder.

    Args:
        fingerprint: That of the embedder.
        slope: Log odds for 1 of similarity.
        offset: Log odds at similarity 0 of endless sounds.
        shortness: Log odds for each 1 / second of the two sounds.
        further: What others keep in the same file under names of their own, written back as read.
        fitted_on: What it is fitted on, in words and numbers.
    """

    fingerprint: str
    slope: float
    offset: float
    shortness: float = 0.0
    further: dict[str, Any] = field(default_factory=dict)
    fitted_on: dict[str, Any] = field(default_factory=dict)

    def probability(
        self, similarity: ArrayLike, a_s: ArrayLike, b_s: ArrayLike
    ) -> NDArray[np.float64]:
        """The probability that two sounds are of one speaker.

        Args:
            similarity: Cosine similarities, of any shape; one that is not a number gives 0.
            a_s: Seconds of the one sound; shapes broadcast.
            b_s: Seconds of the other.

        Returns:
            Probabilities of the shape that the arguments broadcast to.
        """
        odds = self.slope * np.asarray(similarity, np.float64) + self._floor(a_s, b_s)
        return np.nan_to_num(sigmoid(odds), nan=0.0)

    def similarity(self, probability: float, a_s: float, b_s: float) -> float:
        """The similarity that is needed for a probability.

        Args:
            probability: More than 0 and less than 1.
            a_s: Seconds of the one sound.
            b_s: Seconds of the other.

        Returns:
            The cosine similarity; it may lie outside [-1, 1].

        Raises:
            ConfigError: `probability` is not between 0 and 1.
        """
        if not 0 < probability < 1:
            raise ConfigError(f"the probability is {probability}: give more than 0 and less than 1")
        odds = np.log(probability / (1 - probability))
        return float(self.even_odds(a_s, b_s) + odds / self.slope)

    def even_odds(self, a_s: ArrayLike, b_s: ArrayLike) -> NDArray[np.float64]:
        """The similarity at which two sounds are as likely of one speaker as of two.

        Args:
            a_s: Seconds of the one sound, of any shape.
            b_s: Seconds of the other; shapes broadcast.

        Returns:
            Cosine similarities of the shape that the arguments broadcast to.
        """
        return -self._floor(a_s, b_s) / self.slope

    def _floor(self, a_s: ArrayLike, b_s: ArrayLike) -> NDArray[np.float64]:
        return self.offset + self.shortness * _shortness(a_s, b_s)


def fit_calibration(
    scores: ArrayLike,
    is_target: ArrayLike,
    a_s: ArrayLike,
    b_s: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    fingerprint: str = "",
    fitted_on: dict[str, Any] | None = None,
) -> Calibration:
    """The slope, offset and shortness that make trials most likely (logistic regression).

    scores: (N,) similarities; is_target: (N,) whether it is one speaker; a_s, b_s: (N,) seconds of
    the two sounds; weights: (N,), None makes both kinds of trial weigh the same.

    CorpusError for trials of one kind only, and where they do not say how sure one can be: no
    trial is in doubt, or a larger similarity is no better.
    """
    from sklearn.linear_model import LogisticRegression

    values, truth = np.asarray(scores, np.float64), np.asarray(is_target, bool)
    weighing = balanced_weights(truth)  # refuses trials of one kind
    weighing = weighing if weights is None else np.asarray(weights, np.float64)
    known = np.stack([values, np.broadcast_to(_shortness(a_s, b_s), values.shape)], axis=1)
    constant = np.ptp(known[:, 1]) < 1e-9  # sounds of one length say nothing of other lengths
    model = LogisticRegression(C=1e12, solver="newton-cholesky", tol=1e-10, max_iter=200)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what does not converge is refused below, in our words
        model.fit(known[:, :1] if constant else known, truth, weighing * len(truth))
    slope, shortness = (*model.coef_[0].tolist(), 0.0)[:2]
    if not 0 < slope < STEEPEST:
        raise CorpusError(
            f"{len(truth)} trials give a calibration of slope {slope:.3g}, which cannot be: give "
            "more speakers, so that some pairs are in doubt"
        )
    return Calibration(
        fingerprint, slope, float(model.intercept_[0]), shortness, {}, fitted_on or {}
    )


def find_calibration(fingerprint: str, weights: str | Path = "") -> Calibration | None:
    """The calibration of an embedder: beside its file, the user's own, else the packaged one.

    Args:
        fingerprint: Of the embedder.
        weights: Its name or path; only beside the path of a file is there a folder to look in.

    Returns:
        The calibration; None if there is none.

    Raises:
        CheckpointError: Its file is damaged.
    """
    path = Path(weights)
    beside = [path.parent] if path.suffix == ".safetensors" and path.is_file() else []
    for folder in [*beside, *calibration_folders()]:
        path = folder / file_name(fingerprint)
        if path.is_file():
            found = read_calibration(path)
            if found.fingerprint == fingerprint:
                return found
    return None


def file_name(fingerprint: str) -> str:
    """What the file of a calibration is called."""
    return f"calibration-{fingerprint}.json"


def read_calibration(path: Path) -> Calibration:
    """CheckpointError names a file that `write_calibration` did not write."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored.pop("format") != FORMAT:
            raise ValueError("of another version")
        own = {field.name: stored.pop(field.name) for field in fields(Calibration)[:4]}
        fitted_on = stored.pop("fitted_on")
        further = {name: value for name, value in stored.items() if value is not None}
        found = Calibration(**own, further=further, fitted_on=fitted_on)
        numbers = (found.slope, found.offset, found.shortness)
        if not (np.isfinite(numbers).all() and found.slope > 0):
            raise ValueError("its numbers cannot be")
    except OSError as error:
        raise CheckpointError(
            f"cannot read the calibration {str(path)!r} ({error.strerror}): check its permissions, "
            "or fit it again"
        ) from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise CheckpointError(
            f"{str(path)!r} is not a calibration ({error}): remove it, or fit it again"
        ) from error
    return found


def write_calibration(calibration: Calibration, folder: Path) -> Path:
    """Write `folder/calibration-FINGERPRINT.json` in one piece; StoreError if it cannot."""
    path = folder / file_name(calibration.fingerprint)
    values = asdict(calibration)
    further, fitted_on = values.pop("further"), values.pop("fitted_on")
    stored = {"format": FORMAT, **values, **further, "fitted_on": fitted_on}
    content = json.dumps(stored, indent=1) + "\n"
    with replacing(path, what="the calibration ") as partial:
        partial.write_text(content, encoding="utf-8")
    return path


def _shortness(a_s: ArrayLike, b_s: ArrayLike) -> NDArray[np.float64]:
    a, b = (np.clip(np.asarray(s, np.float64), SHORTEST_S, LONGEST_S) for s in (a_s, b_s))
    return np.asarray(1 / a + 1 / b)


def sigmoid(odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """From log odds to probabilities."""
    return 0.5 * (1 + np.tanh(odds / 2))  # no overflow at either end
