"""Clips grouped by speaker: find the files, hear each, group their voices, make a table.

    files = find_clips([Path("clips")])
    clips = embed_clips(files.values(), voices)
    clusterer = pick_clusterer("agglomerative", len(clips), min_similarity=0.42)
    rows = cluster_clips(clips, clusterer, names=list(files))

Unlike in a recording, a clip that is like no other may well be a speaker, seen once.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from diarize.clips.cache import ClipCache, ClipKey, Heard
from diarize.clustering import CLUSTERERS
from diarize.clustering.api import Clusterer, SpeakerCount, cluster
from diarize.embedding.clip_embedding import Voices
from diarize.formats.clip_table import ClipRow
from encoder.audio.media_files import media_below
from encoder.calibration.score_calibration import Calibration
from encoder.common.config import from_mapping, to_mapping
from encoder.errors import AudioError, ConfigError, CorpusError

__all__ = [
    "Clip",
    "cluster_clips",
    "embed_clips",
    "find_clips",
    "least_similarity",
    "pick_clusterer",
]

EXACT_CLIPS = 10_000  # above, a clusterer of all pairs is replaced by a graph of neighbours
MOST_EXACT = 30_000  # above, all pairs would not fit into the memory of an ordinary machine
LARGE = "graph"
WAITING = 4  # clips in work for each thread: more would only hold more sound in memory


@dataclass(frozen=True, eq=False)
class Clip:
    """One file. vector: (D,) unit, or None and the `reason`; seconds of it and of speech in it."""

    path: Path
    vector: NDArray[np.float32] | None
    speech_s: float
    duration_s: float
    reason: str = ""
    warnings: tuple[str, ...] = ()
    readable: bool = True
    from_cache: bool = False


def find_clips(places: Iterable[Path]) -> dict[str, Path]:
    """Media files at any depth of the folders, and the files given, each once, sorted.

    Keys are what tables call them: the path from the folder that all places are in, with "/".
    CorpusError where a place does not exist, or all of them hold no clip or only one file is given.
    """
    places = list(places)
    found: set[Path] = set()
    roots = []
    for place in places:
        try:
            is_folder, exists = place.is_dir(), os.path.lexists(place)
        except (OSError, ValueError) as error:  # a name that no disk can have
            raise CorpusError(
                f"there can be no {str(place)!r} ({error}): check the path"
            ) from error
        if not exists:
            raise CorpusError(f"there is no {str(place)!r}: check the path")
        root = (place if is_folder else place.parent).resolve()
        if is_folder:
            found.update(root / path.relative_to(place) for path in media_below(place))
        else:
            found.add(root / place.name)
        roots.append(root)
    if not found:
        raise CorpusError(
            f"there is no sound or film in {', '.join(repr(str(p)) for p in places)}: "
            "give the folder that the clips are in"
        )
    if len(places) == 1 and not is_folder:
        raise CorpusError(f"{str(places[0])!r} is one file: give a folder of clips or several")
    common = _common(roots)
    clips = sorted(found, key=lambda path: path.parts)
    return {_name(path, common): path for path in clips}


def embed_clips(
    paths: Iterable[Path],
    voices: Voices,
    *,
    cache: ClipCache | None = None,
    workers: int | None = None,
    on_done: Callable[[int, int], None] | None = None,
) -> list[Clip]:
    """Hear each file, in order; what `cache` knows is not heard again, and what is new is kept.

    workers: threads that decode and embed; as many as torch uses if None. Files that cannot be read
    become clips with the reason. on_done(done, total).
    """
    paths = list(paths)
    clips: list[Clip | None] = [None] * len(paths)
    working: deque[tuple[int, ClipKey | None, Future[tuple[Heard, bool]]]] = deque()
    done = 0

    def finish(row: int, clip: Clip) -> None:
        nonlocal done
        clips[row] = clip
        done += 1
        if on_done:
            on_done(done, len(paths))

    def finish_oldest() -> None:
        row, key, future = working.popleft()
        heard, readable = future.result()
        if cache and key and readable:
            cache.keep(key, heard)
        finish(row, Clip(paths[row], **vars(heard), readable=readable))

    threads = workers or torch.get_num_threads()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="clip")
    try:
        for row, path in enumerate(paths):
            key, known = _look_up(cache, path)
            if known:
                finish(row, Clip(path, **vars(known), from_cache=True))
                continue
            working.append((row, key, pool.submit(_hear, path, voices)))
            while working and (working[0][2].done() or len(working) >= WAITING * threads):
                finish_oldest()
        while working:
            finish_oldest()
    finally:
        pool.shutdown(cancel_futures=True)
    return [clip for clip in clips if clip is not None]


def least_similarity(
    clips: Sequence[Clip], calibration: Calibration | None, min_probability: float
) -> float:
    """The similarity at which two of these clips are one speaker's with that probability.

    Taken for the median seconds of speech of the clips. ConfigError without a calibration.
    """
    if calibration is None:
        raise ConfigError(
            "this embedder has no calibration, so a probability means nothing: run "
            "`make calibrate WEIGHTS=...`, or give --min-similarity"
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
    for group, values in (settings or {}).items():
        CLUSTERERS.check(group)
        if not isinstance(values, Mapping):
            raise ConfigError(
                f"'clustering.{group}' is a group of settings, not {values!r}: "
                f"write clustering.{group}.NAME=value"
            )
    backend = CLUSTERERS.load(name)
    if number > MOST_EXACT and not getattr(backend, "scales", False):
        gigabytes = number * (number - 1) / 2 * 16 / 1e9  # distances, and a copy to work on
        raise ConfigError(
            f"--clusterer {name} compares all pairs, which takes {gigabytes:.0f} GB for {number} "
            f"clips: choose {LARGE}"
        )
    if check_rows := getattr(backend, "check_rows", None):
        check_rows(number)
    chosen = backend.for_clips(min_similarity)
    own = (settings or {}).get(name, {})
    if not own:
        return chosen  # type: ignore[no-any-return]
    values = {**to_mapping(chosen.config), **own}
    return backend(from_mapping(backend.Config, values, where=f"clustering.{name}."))  # type: ignore[no-any-return]


def cluster_clips(
    clips: Sequence[Clip],
    clusterer: Clusterer,
    count: SpeakerCount | None = None,
    *,
    names: Sequence[str] | None = None,
    calibration: Calibration | None = None,
) -> list[ClipRow]:
    """A row a clip, in order; speakers are numbered by first appearance.

    names: what the clips are called; their paths if None. Clips without a voice have no speaker.
    """
    names = [clip.path.as_posix() for clip in clips] if names is None else names
    with_voice = [row for row, clip in enumerate(clips) if clip.vector is not None]
    labels = np.full(len(clips), -1, np.int64)
    similarity = np.full(len(clips), np.nan)
    others_s = np.zeros(len(clips))
    if with_voice:
        vectors = np.stack([clips[row].vector for row in with_voice])  # type: ignore[arg-type,misc]
        found = cluster(vectors, clusterer, count, noise="own", max_exact=MOST_EXACT)
        labels[with_voice] = found
        similarity[with_voice] = _to_the_others(vectors, found)
        others_s[with_voice] = _speech_of_others(clips, with_voice, found)
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
                speaker=f"SPEAKER_{label:0{digits}d}" if label >= 0 else None,
                similarity=None if alone else near,
                probability=probability,
                seconds=clip.duration_s,
                speech_s=clip.speech_s,
                note="; ".join([clip.reason, *clip.warnings] if clip.reason else clip.warnings),
            )
        )
    return rows


def _look_up(cache: ClipCache | None, path: Path) -> tuple[ClipKey | None, Heard | None]:
    try:
        return cache.look_up(path) if cache and path.is_file() else (None, None)
    except OSError:
        return None, None  # whoever decodes it will say why


def _hear(path: Path, voices: Voices) -> tuple[Heard, bool]:
    """(what it gave, whether it could be read)."""
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise AudioError(f"{str(path)!r} is no file: leave it out")
        voice = voices(path)
    except OSError as error:  # of `exists`, where the folder does not let look
        return Heard(None, 0.0, 0.0, f"{str(path)!r} cannot be read ({error.strerror})"), False
    except AudioError as error:
        return Heard(None, 0.0, 0.0, str(error)), False
    vector, reason = voice.vector, ""
    if vector is not None and not np.linalg.norm(vector) > 0.5:  # zeros, or not numbers
        vector, reason = None, "no voice that can be compared"
    elif vector is None:
        heard = f"only {voice.speech_s:.1f} s of speech" if voice.speech_s else "no speech"
        reason = f"{heard} in {voice.duration_s:.1f} s"
    return Heard(vector, voice.speech_s, voice.duration_s, reason, tuple(voice.warnings)), True


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


def _common(folders: Sequence[Path]) -> Path | None:
    try:
        return Path(os.path.commonpath(folders))
    except ValueError:  # on two drives
        return None


def _name(path: Path, common: Path | None) -> str:
    return (path.relative_to(common) if common else path).as_posix()
