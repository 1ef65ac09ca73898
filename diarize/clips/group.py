"""A folder of clips, grouped by speaker: the natural path from files to a table.

groups = group_clips(["clips/"])
for row in groups.rows:
    print(row.path, row.speaker)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from diarize.clips.cache import ClipCache, default_cache
from diarize.clips.cluster import cluster_clips, least_similarity, pick_clusterer
from diarize.clips.embed import Clip, embed_clips
from diarize.clips.find import find_clips
from diarize.clustering.api import SpeakerCount
from diarize.core.text import plural
from diarize.embedding.clip_embedding import ClipEmbedder, ClipEmbeddingConfig
from diarize.embedding.embedders import load_embedder
from diarize.formats.clip_table import ClipRow, rows_as_json, speaker_groups
from diarize.models.presets import CLIP_SETTINGS, FAST, PRESETS, check_fetched, with_preset
from diarize.segmentation import SEGMENTERS
from encoder.calibration.score_calibration import find_calibration
from encoder.common.config import apply_overrides, from_mapping, to_mapping
from encoder.common.settings import Settings, bounded
from encoder.common.version import package_version
from encoder.errors import ConfigError, CorpusError, StoreError

__all__ = ["ClipGroups", "ClipsConfig", "clips_config", "group_clips"]


@dataclass(frozen=True)
class ClipsConfig(Settings):
    """Every setting of `group_clips`.

    Args:
        segmenter: name of what finds the speech: silero, energy, neural or pyannote.
        segmentation: settings by segmenter name, as {"silero": {"hysteresis": {"onset": 0.4}}}.
        clip_embedding: how the speech of a clip becomes one vector; lengths in seconds.
        embedder: name of packaged or fetched weights, a path, or `onnx:` and one of both.
        device: cpu, cuda or auto.
        clusterer: name of what groups clips by speaker; "" chooses by their number.
        clustering: settings by clusterer name, as {"graph": {"neighbours": 32}}.
        min_probability: 0 to 1, both excluded; clips are of one speaker from this mean probability
            on. It needs a calibration of the embedder.
        min_similarity: -1 to 1, a cosine in place of the probability; None is none.
        preset: name of the preset that the models began with, for the record: it changes none of
            them here, as `diarize.clips.group.clips_config` does.

    Raises:
        ConfigError: a value that cannot be.
    """

    segmenter: str = field(default="silero", metadata={"help": "finds the speech"})
    segmentation: dict[str, Any] = field(
        default_factory=dict, metadata={"help": "settings by segmenter name"}
    )
    clip_embedding: ClipEmbeddingConfig = field(default_factory=ClipEmbeddingConfig)
    embedder: str = field(default="deepspeaker-small", metadata={"help": "name or path; onnx:..."})
    device: str = field(default="auto", metadata={"help": "cpu, cuda or auto"})
    clusterer: str = field(
        default="", metadata={"help": "groups clips by speaker; empty: by their number"}
    )
    clustering: dict[str, Any] = field(
        default_factory=dict, metadata={"help": "settings by clusterer name"}
    )
    # The best mean pairwise F over validation speakers' data sets, for two embedders.
    min_probability: float = bounded(
        0.6,
        above=0,
        below=1,
        help="clips are one speaker's from this P(same speaker) on, on average",
    )
    min_similarity: float | None = bounded(
        None, least=-1, most=1, help="or from this cosine on; instead of the probability"
    )

    preset: str = field(default=FAST, metadata={"help": f"one of {', '.join(PRESETS)}"})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.preset not in PRESETS:
            raise ConfigError(f"unknown preset {self.preset!r}: choose one of {', '.join(PRESETS)}")


def clips_config(
    settings: Iterable[str] = (),
    preset: str | None = None,
    *,
    otherwise: str = FAST,
    chosen: Mapping[str, Any] | None = None,
) -> ClipsConfig:
    """The embedder of a preset, then settings `a.b=c`, then `chosen`, each over the one before.

    preset, otherwise: as `diarize.load_config` has them. ConfigError as there.
    """
    values = {**apply_overrides({}, settings), **(chosen or {})}
    values = with_preset(values, preset=preset, otherwise=otherwise, only=CLIP_SETTINGS)
    return from_mapping(ClipsConfig, values)


@dataclass(frozen=True, eq=False)
class ClipGroups:
    """What `group_clips` found: `clips` and their `rows`, in one order.

    min_similarity: the threshold that was used. warnings: a sentence for everything odd.
    """

    clips: list[Clip]
    rows: list[ClipRow]
    min_similarity: float
    fingerprint: str
    count: SpeakerCount
    config: ClipsConfig
    warnings: list[str] = field(default_factory=list)

    def to_mapping(self) -> dict[str, Any]:
        """Rows, speakers, counts and provenance as plain values."""
        from_cache = sum(clip.from_cache for clip in self.clips)
        readable = sum(clip.readable for clip in self.clips)
        with_vector = sum(clip.vector is not None for clip in self.clips)
        groups = speaker_groups(self.rows)
        return {
            "clips": rows_as_json(self.rows),
            "speakers": [
                {
                    "speaker": speaker,
                    "clips": clips,
                    "speech_s": round(speech_s, 3),
                    "similarity": None if near is None else round(near, 4),
                }
                for speaker, clips, speech_s, near in groups
            ],
            "counts": {
                "clips": len(self.clips),
                "with_speaker": with_vector,
                "without_speaker": len(self.clips) - with_vector,
                "speakers": len(groups),
                "unreadable": len(self.clips) - readable,
                "embedded": readable - from_cache,
                "from_cache": from_cache,
            },
            "min_similarity": round(self.min_similarity, 4),
            "asked": {"min_speakers": self.count.minimum, "max_speakers": self.count.maximum},
            "warnings": self.warnings,
            "encoder_fingerprint": self.fingerprint,
            "version": package_version(),
            "config": to_mapping(self.config),
        }


def group_clips(
    places: Sequence[str | Path],
    config: ClipsConfig | None = None,
    count: SpeakerCount | None = None,
    *,
    cache: Path | Literal[False] | None = None,
    on_done: Callable[[str, int, int], None] | None = None,
) -> ClipGroups:
    """Group the clips in folders, and files, by speaker.

    A clip that cannot be read, or has too little speech, gets a row without a speaker.

    Args:
        places: folders, which are searched at any depth, and files.
        config: settings; the defaults if None.
        count: bounds on the number of speakers; none if None.
        cache: the file that keeps the vectors of clips; None is the one in the user's cache folder,
            False is none.
        on_done: is given what is done in words, the number of clips that are done, and of all.

    Returns:
        The clips and a row of each, sorted by path.

    Raises:
        ConfigError: a setting that cannot be used, no calibration where `min_probability` needs
            one, or more clips than the clusterer can compare.
        CorpusError: a place does not exist, there are no clips or only one file, or no clip has a
            vector.
        CheckpointError: weights that are missing or damaged, or models of the preset that were not
            fetched.
        StoreError: the cache is a file of another program.
        BackendUnavailable: a part whose package is not installed.
    """
    config, count = config or ClipsConfig(), count or SpeakerCount()
    check_fetched(config.preset, vars(config))
    warnings: list[str] = []
    files = find_clips([Path(place) for place in places], on_warning=warnings.append)
    pick_clusterer(  # raises now what would fail when all clips have been embedded
        config.clusterer, len(files), min_similarity=0.5, settings=config.clustering
    )
    embedder = load_embedder(config.embedder, device=config.device)
    calibration = find_calibration(embedder.fingerprint, config.embedder)
    if config.min_similarity is None:
        least_similarity([], calibration, config.min_probability)
    segmenter = SEGMENTERS.build(config.segmenter, config.segmentation, where="segmentation")
    clip_embedder = ClipEmbedder(segmenter, embedder, config.clip_embedding)
    with _cache(cache, clip_embedder, warnings.append) as known:
        clips = embed_clips(
            files.values(),
            clip_embedder,
            cache=known,
            on_done=on_done and (lambda done, total: on_done("embedding clips", done, total)),
        )
    with_vector = [clip for clip in clips if clip.vector is not None]
    if not with_vector:
        raise CorpusError(
            f"none of {plural(len(clips), 'clip')} can be embedded, the first for this reason: "
            f"{clips[0].reason}"
        )
    threshold = config.min_similarity
    if threshold is None:
        threshold = least_similarity(with_vector, calibration, config.min_probability)
    clusterer = pick_clusterer(
        config.clusterer,
        len(with_vector),
        min_similarity=threshold,
        settings=config.clustering,
        on_note=warnings.append,
    )
    rows = cluster_clips(clips, clusterer, count, names=list(files), calibration=calibration)
    found = len(speaker_groups(rows))
    if found < count.minimum:
        warnings.append(
            f"{count.minimum} speakers were asked for, but {found} is all that "
            f"{plural(len(with_vector), 'clip')} can hold"
        )
    return ClipGroups(clips, rows, threshold, clip_embedder.fingerprint, count, config, warnings)


@contextmanager
def _cache(
    path: Path | Literal[False] | None, clip_embedder: ClipEmbedder, warn: Callable[[str], None]
) -> Iterator[ClipCache | None]:
    if path is False:
        yield None
        return
    try:
        path = path or default_cache()
    except StoreError as error:
        warn(f"going on without a cache, for {error}")
        yield None
        return
    with ClipCache.open(path, clip_embedder.fingerprint, clip_embedder.recipe, warn) as cache:
        yield cache
