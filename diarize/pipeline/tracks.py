"""A recording whose audio tracks are diarized one by one, as where each person has a track."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from diarize.audio.recording import Recording, Sound
from diarize.core.regions import merge_regions
from diarize.core.speaker_count import SpeakerCount
from diarize.embedding.windows import Windows
from diarize.pipeline.result import DiarizationResult
from diarize.postprocessing.turns import by_first_region, speaker_names
from encoder.audio.load import readable_tracks, reopenable
from encoder.errors import ConfigError

if TYPE_CHECKING:
    from diarize.pipeline.diarizer import Diarizer, OnStage

__all__ = ["diarize_each_track", "join_tracks"]


def diarize_each_track(
    diarizer: Diarizer,
    audio: Sound,
    count: SpeakerCount,
    *,
    channel: int | None,
    uri: str,
    on_stage: OnStage | None,
) -> DiarizationResult:
    """One track after the other, joined; `count` bounds the speakers of each. ConfigError for a
    wave, which has no tracks."""
    if isinstance(audio, (Tensor, np.ndarray, Recording)):
        raise ConfigError("track is 'each', but a wave has none: give a media file")
    results = {}
    with reopenable(audio) as source:
        for number in readable_tracks(source):
            prepared = diarizer.prepare(
                source, channel=channel, track=number, uri=uri, on_stage=on_stage
            )
            results[number] = diarizer.decide(prepared, count, on_stage=on_stage)
    return join_tracks(results)


def join_tracks(results: dict[int, DiarizationResult]) -> DiarizationResult:
    """The results of a recording's tracks, by the number of the track, as one on its timeline.

    No speaker of one track is one of another. Speakers are numbered by their first turns, and a
    warning says who speaks on which track.
    """
    parts = list(results.values())
    bounds = np.concatenate([part.windows.bounds for part in parts])
    order = np.argsort(bounds[:, 0], kind="stable")  # windows lie in time order
    counts = [int(part.labels.max(initial=-1)) + 1 for part in parts]
    firsts = np.cumsum([0, *counts])
    labels = np.concatenate(
        [
            np.where(part.labels >= 0, part.labels + first, -1)
            for part, first in zip(parts, firsts, strict=False)
        ]
    )
    regions = [
        region for part, K in zip(parts, counts, strict=True) for region in _regions(part, K)
    ]
    labels, regions = by_first_region(labels, regions)
    first_windows = np.cumsum([0, *(len(part.windows) for part in parts)])
    said = []
    for number, start, end in zip(results, first_windows, first_windows[1:], strict=False):
        own = np.unique(labels[start:end])
        names = ", ".join(np.array(speaker_names(labels))[own[own >= 0]])
        said.append(f"track {number}: {names or 'no speech'}")
    width = max(part.embeddings.shape[1] for part in parts)
    return replace(
        parts[0],
        duration_s=max(part.duration_s for part in parts),
        embeddings=np.concatenate([part.embeddings.reshape(-1, width) for part in parts])[order],
        windows=_joined([part.windows for part in parts], order),
        labels=labels[order],
        speaker_regions=regions,
        seconds_by_stage={
            stage: sum(part.seconds_by_stage[stage] for part in parts)
            for stage in parts[0].seconds_by_stage
        },
        track="each",
        warnings=[*dict.fromkeys(text for part in parts for text in part.warnings), *said],
    )


def _regions(result: DiarizationResult, speakers: int) -> Sequence[np.ndarray]:
    """For each speaker the regions (n, 2) of a result, which may know them by windows alone."""
    if result.speaker_regions is not None:
        return result.speaker_regions
    territory = result.windows.territory
    return [merge_regions(territory[result.labels == speaker]) for speaker in range(speakers)]


def _joined(parts: Sequence[Windows], order: np.ndarray) -> Windows:
    firsts = np.cumsum([0, *(int(part.region.max(initial=-1)) + 1 for part in parts)])
    alone = [part.alone for part in parts if part.alone is not None]
    return Windows(
        np.concatenate([part.bounds for part in parts])[order],
        np.concatenate([part.territory for part in parts])[order],
        np.concatenate([part.region + first for part, first in zip(parts, firsts, strict=False)])[
            order
        ],
        np.concatenate(alone)[order] if len(alone) == len(parts) else None,
    )
