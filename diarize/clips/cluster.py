"""Clips grouped by speaker: find the files, embed each, group the vectors, make a table.

    files = find_clips([Path("clips")])
    clips = embed_clips(files.values(), clip_embedder)
    clusterer = pick_clusterer("agglomerative", len(clips), min_similarity=0.42)
    rows = cluster_clips(clips, clusterer, names=list(files))

Unlike in a recording, a clip that is like no other may well be a speaker, seen once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diarize.clips.embed import Clip
from diarize.clustering import CLUSTERERS
from diarize.clustering.api import SpeakerCount, cluster
from diarize.clustering.base import Clusterer
from diarize.core.labels import speaker_name
from diarize.formats.clip_table import ClipRow
from encoder.calibration.score_calibration import Calibration
from encoder.common.config import from_mapping, to_mapping
from encoder.errors import ConfigError

__all__ = [
    "cluster_clips",
    "least_similarity",
    "pick_clusterer",
]

EXACT_CLIPS = 10_000  # above, a clusterer of all pairs is replaced by a graph of neighbours
MOST_EXACT = 30_000  # above, all pairs would not fit into the memory of an ordinary machine
LARGE = "graph"


def least_similarity(
    clips: Sequence[Clip], calibration: Calibration | None, min_probability: float
) -> float:
    """The similarity at which two of these clips are one speaker's with that probability.

    Taken for the median seconds of speech of the clips. ConfigError without a calibration.
    """
    if calibration is None:
        raise ConfigError(
            "this embedder has no calibration, so there are no probabilities: fit one with "
            "`python -m recipes.calibrate.scores` of the source repository, or give min_similarity",
            setting="min_similarity",
        )
    speech = [clip.speech_s for clip in clips if clip.vector is not None]
    median = float(np.median(speech)) if speech else 1.0
    return calibration.similarity(min_probability, median, median)


def pick_clusterer(
    name: str,
    number: int,
    *,
    min_similarity: float,
    settings: dict[str, Any] | None = None,
    on_note: Callable[[str], None] | None = None,
) -> Clusterer:
    """The clusterer `name` for so many clips; for "" the exact one, or above EXACT_CLIPS the graph.

    settings: by clusterer name, over what `min_similarity` asks for. ConfigError for more than
    MOST_EXACT clips where all pairs are needed, BackendUnavailable where so many need a package
    that is not installed.
    """
    if not name:
        name = "agglomerative" if number <= EXACT_CLIPS else LARGE
        if name == LARGE and on_note:
            on_note(
                f"{number} clips are more than {EXACT_CLIPS}: they are grouped by a graph of "
                "nearest neighbours, not by all pairs"
            )
    CLUSTERERS.check_groups(settings or {}, where="clustering")
    backend: type[Clusterer] = CLUSTERERS.load(name)
    if number > MOST_EXACT and not backend.scales:
        gigabytes = number * (number - 1) / 2 * 16 / 1e9  # distances, and a copy to work on
        raise ConfigError(
            f"the clusterer {name!r} compares all pairs, which takes {gigabytes:.0f} GB for "
            f"{number} clips: choose {LARGE!r}",
            setting="clusterer",
        )
    backend.check_rows(number)
    chosen = backend.for_clips(min_similarity)
    own = (settings or {}).get(name, {})
    if not own:
        return chosen
    values = {**to_mapping(chosen.config), **own}
    return backend(from_mapping(backend.Config, values, where=f"clustering.{name}."))


def cluster_clips(
    clips: Sequence[Clip],
    clusterer: Clusterer,
    count: SpeakerCount | None = None,
    *,
    names: Sequence[str] | None = None,
    calibration: Calibration | None = None,
) -> list[ClipRow]:
    """A row a clip, in order; speakers are numbered by first appearance.

    names: what the clips are called; their paths if None. Clips without a vector have no speaker.
    """
    names = [clip.path.as_posix() for clip in clips] if names is None else names
    with_vector = [row for row, clip in enumerate(clips) if clip.vector is not None]
    labels = np.full(len(clips), -1, np.int64)
    similarity = np.full(len(clips), np.nan)
    others_s = np.zeros(len(clips))
    if with_vector:
        vectors = np.stack([clips[row].vector for row in with_vector])  # type: ignore[arg-type,misc]
        found = cluster(vectors, clusterer, count, noise="own", max_exact=MOST_EXACT)
        labels[with_vector] = found
        similarity[with_vector] = _to_the_others(vectors, found)
        others_s[with_vector] = _speech_of_others(clips, with_vector, found)
    digits = max(2, len(str(labels.max(initial=0))))
    rows = []
    for clip, name, label, near, speech_s in zip(
        clips, names, labels.tolist(), similarity.tolist(), others_s.tolist(), strict=True
    ):
        alone = bool(np.isnan(near))
        probability = None
        if calibration and not alone:
            probability = float(calibration.probability(near, clip.speech_s, speech_s))
        rows.append(
            ClipRow(
                path=name,
                speaker=speaker_name(label, digits=digits) if label >= 0 else None,
                similarity=None if alone else near,
                probability=probability,
                seconds=clip.duration_s,
                speech_s=clip.speech_s,
                note="; ".join([clip.reason, *clip.warnings] if clip.reason else clip.warnings),
            )
        )
    return rows


def _to_the_others(unit: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Cosine of each row (N, D) to the mean of the other rows of its label; NaN for one-offs."""
    sums = np.zeros((labels.max() + 1, unit.shape[1]))
    np.add.at(sums, labels, unit)
    near = np.full(len(unit), np.nan)
    sizes = np.bincount(labels)
    for row, (label, own) in enumerate(zip(labels.tolist(), unit, strict=True)):
        others = sums[label] - own
        if sizes[label] > 1:
            near[row] = own @ others / max(float(np.linalg.norm(others)), 1e-12)
    return np.clip(near, -1, 1)


def _speech_of_others(
    clips: Sequence[Clip], rows: Sequence[int], labels: NDArray[np.int64]
) -> NDArray[np.float64]:
    own = np.array([clips[row].speech_s for row in rows])
    return np.bincount(labels, weights=own)[labels] - own
