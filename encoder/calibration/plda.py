"""A model of one embedder's vectors: how speakers differ, and how one speaker varies.

Linear discriminant analysis keeps the directions in which speakers differ most against the
variation within them. Then probabilistic linear discriminant analysis (PLDA; Ioffe 2006, in its
two-covariance form) scales these so that a speaker's vectors vary by 1 in each direction and the
speakers' means by `between`. It is fitted on short crops of many speakers, and packaged beside the
embedder's calibration, by fingerprint.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encoder.common.vectors import unit_rows
from encoder.errors import CheckpointError, CorpusError
from encoder.hub.paths import calibration_folders

__all__ = ["Plda", "find_plda", "fit_plda", "read_plda", "write_plda"]

FORMAT = 1
ARRAYS = ("centre", "projection", "second_centre", "rotation", "between")
LEAST = 1e-6  # of a variance, relative to the mean one


@dataclass(frozen=True, eq=False)
class Plda:
    """How vectors (D,) of one embedder are made comparable, in L directions.

    Args:
        fingerprint: That of the embedder.
        centre: (D,) mean of all unit vectors.
        projection: (D, L), after which one speaker's vectors vary equally in all directions.
        second_centre: (L,) mean of the speakers after projection and length normalisation.
        rotation: (L, L) to directions that do not depend on each other.
        between: (L,) variance of the speakers' means there, falling; within a speaker it is 1.
        fitted_on: What it is fitted on, in words and numbers.
    """

    fingerprint: str
    centre: NDArray[np.float32]
    projection: NDArray[np.float32]
    second_centre: NDArray[np.float32]
    rotation: NDArray[np.float32]
    between: NDArray[np.float32]
    fitted_on: dict[str, Any] = field(default_factory=dict)

    def transform(self, vectors: NDArray[np.floating]) -> NDArray[np.float64]:
        """Vectors (N, D) of the embedder -> (N, L), of variance 1 within a speaker."""
        unit = unit_rows(np.asarray(vectors, np.float64)) - self.centre
        return (_projected(unit, self.projection) - self.second_centre) @ self.rotation


def fit_plda(
    vectors: NDArray[np.floating],
    speakers: NDArray[np.int64],
    *,
    directions: int = 128,
    fingerprint: str = "",
    fitted_on: dict[str, Any] | None = None,
) -> Plda:
    """The model of unit vectors (N, D) of `speakers` (N,); speakers with one vector do not count.

    directions: L, at most D and less than the number of speakers. CorpusError for too little data.
    """
    counts = np.bincount(speakers)
    several = counts[speakers] >= 2
    unit, who = np.asarray(vectors, np.float64)[several], speakers[several]
    D = unit.shape[1]
    if not 1 <= directions <= D or len(np.unique(who)) <= directions or len(unit) < 2 * D:
        raise CorpusError(
            f"{len(unit)} vectors of {len(np.unique(who))} speakers are too few for {directions} "
            f"directions of {D} values: give more speakers with two utterances and more"
        )
    centre = unit.mean(axis=0)
    centred = unit_rows(unit - centre)
    _, projection, _ = _diagonalised(centred, who)
    projected = _projected(unit - centre, projection[:, :directions])
    second_centre, rotation, between = _diagonalised(projected, who)
    return Plda(
        fingerprint,
        centre.astype(np.float32),
        projection[:, :directions].astype(np.float32),
        second_centre.astype(np.float32),
        rotation.astype(np.float32),
        between.astype(np.float32),
        fitted_on or {},
    )


def find_plda(fingerprint: str) -> Plda | None:
    """The model of an embedder's vectors: the user's own, else the packaged one, else None.

    CheckpointError for a damaged file.
    """
    for folder in calibration_folders():
        path = folder / _file_name(fingerprint)
        if path.is_file():
            found = read_plda(path)
            if found.fingerprint == fingerprint:  # a renamed file is of another embedder
                return found
    return None


def read_plda(path: Path) -> Plda:
    """What `write_plda` wrote; CheckpointError names another file."""
    from encoder.hub.tensor_file import read_arrays  # safetensors is wanted only where one is read

    arrays, description = read_arrays(path)
    try:
        if description["format"] != FORMAT:
            raise ValueError("of another version")
        found = Plda(
            fingerprint=str(description["fingerprint"]),
            fitted_on=dict(description["fitted_on"]),
            **{name: arrays[name] for name in ARRAYS},
        )
        D, L = found.projection.shape
        shapes = [(D,), (D, L), (L,), (L, L), (L,)]
        if [arrays[name].shape for name in ARRAYS] != shapes:
            raise ValueError("its arrays do not fit together")
        if not all(np.isfinite(arrays[n]).all() for n in ARRAYS) or found.between.min() < 0:
            raise ValueError("its numbers cannot be")
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{str(path)!r} is no model of vectors ({error}): remove it, or fit it again"
        ) from error
    return found


def write_plda(plda: Plda, folder: Path) -> Path:
    """Write `folder/plda-FINGERPRINT.safetensors` in one piece; StoreError if it cannot."""
    from encoder.hub.tensor_file import write_arrays

    arrays = {name: getattr(plda, name) for name in ARRAYS}
    description = {
        "format": FORMAT,
        "fingerprint": plda.fingerprint,
        "fitted_on": plda.fitted_on,
    }
    path = folder / _file_name(plda.fingerprint)
    return write_arrays(path, arrays, description, what="the model of vectors ")


def _file_name(fingerprint: str) -> str:
    return f"plda-{fingerprint}.safetensors"


def _projected(
    centred: NDArray[np.float64], projection: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Rows (N, D) -> (N, L) of length sqrt(L): after the projection, the length says nothing."""
    rows = unit_rows(centred) @ projection
    return unit_rows(rows) * np.sqrt(projection.shape[1])


def _diagonalised(
    rows: NDArray[np.float64], speakers: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Mean of the speakers' means (n,), directions (n, n) in which one speaker varies by 1, and the
    variance (n,) of the means in them, falling."""
    from scipy.linalg import eigh

    number = np.unique(speakers, return_inverse=True)[1]
    sizes = np.bincount(number)
    means = np.zeros((len(sizes), rows.shape[1]))
    np.add.at(means, number, rows)
    means /= sizes[:, None]
    apart = rows - means[number]
    within = apart.T @ apart / (len(rows) - len(sizes))
    centre = means.mean(axis=0)
    spread = (means - centre).T @ (means - centre) / len(sizes)
    between = spread - within * (1 / sizes).mean()  # what a mean of few vectors adds to it
    n = len(within)
    floor = LEAST * np.trace(within) / n
    values, directions = eigh(between, within + floor * np.eye(n))
    return centre, directions[:, ::-1], np.maximum(values[::-1], LEAST)
