"""The rows of the ablation, and how they are scored; imported by recipes only."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from torch import Tensor

from diarize.audio.recording import open_recording
from diarize.clustering import CLUSTERERS
from diarize.core.speaker_count import SpeakerCount
from diarize.core.turns import Turn
from diarize.pipeline.config import load_config
from diarize.pipeline.diarizer import Diarizer, Prepared
from diarize.scoring.report import RecordingScore, ScoreReport
from diarize.segmentation.base import Segmentation, Segmenter
from encoder.calibration.score_calibration import find_calibration
from encoder.inference.window_embedder import WindowEmbedder
from recipes.shared.conversations import Conversation


class Row(NamedTuple):
    """What differs from the defaults.

    oracle_count: the true number of speakers is given. aggregation: about how chunks become turns,
    so only for segmenters that tell speakers apart; the labels of the windows stay the same.
    regions: all that is left of the segmentation are its regions, so what follows is the cascade of
    windows and clusters.
    """

    name: str
    settings: tuple[str, ...] = ()
    oracle_count: bool = False
    aggregation: bool = False
    regions: bool = False


DEFAULT = "default"
ROWS = (
    Row(DEFAULT),
    Row("no resegmentation", ("resegment=false",)),
    Row("one at a time", ("aggregation.exclusive=true",), aggregation=True),
    Row("segmentation only", ("aggregation.embedding_weight=0",), aggregation=True),
    Row("embeddings only", ("aggregation.embedding_weight=1",), aggregation=True),
    Row("windows only", aggregation=True, regions=True),
    Row("oracle speaker count", oracle_count=True),
    Row("count by silhouette", ("clustering.agglomerative.count_by=silhouette",)),
    Row("count by eigengap", ("clustering.agglomerative.count_by=eigengap",)),
    Row("hdbscan", ("clusterer=hdbscan",)),
)


@dataclass(frozen=True)
class EmbedderSettings:
    """An embedder and the settings `a.b=c` that all its rows share."""

    name: str
    embedder: WindowEmbedder
    settings: tuple[str, ...]

    def diarizer(self, segmenter: Segmenter, more: Sequence[str] = ()) -> Diarizer:
        """Of those settings and `more`; the embedder is not loaded again."""
        config = replace(load_config(None, [*self.settings, *more]), embedder=self.name)
        clusterer = CLUSTERERS.build(config.clusterer, config.clustering, where="clustering")
        calibration = find_calibration(self.embedder.fingerprint)
        return Diarizer(config, segmenter, self.embedder, clusterer, calibration)


class Found(Segmenter):
    """Returns what a segmenter found before."""

    def __init__(self, segmentation: Segmentation) -> None:
        self.segmentation = segmentation

    def segment(self, blocks: Iterable[Tensor]) -> Segmentation:
        return self.segmentation


class Outcome(NamedTuple):
    """What a row made of a recording. speech_s: seconds in which someone speaks; beyond_s: of its
    turns, what is beyond one at a time."""

    score: RecordingScore
    duration_s: float
    speech_s: float
    beyond_s: float
    stages: dict[str, float]


def prepare(
    talk: Conversation, segmenter: Segmenter, embedders: Sequence[EmbedderSettings]
) -> list[Prepared]:
    """A recording prepared with each embedder; decoded and segmented once for all of them."""
    warnings: list[str] = []
    begin = time.perf_counter()
    with open_recording(
        talk.path, on_warning=warnings.append, on_progress=lambda read_s: None
    ) as recording:
        read_s = time.perf_counter() - begin
        found = segmenter.segment(recording.blocks())
        segment_s = time.perf_counter() - begin - read_s
        prepared = [
            one.diarizer(Found(found)).prepare(recording, uri=talk.name) for one in embedders
        ]
    return [
        replace(
            one,
            # What a whole call would have taken: cutting windows is a part of the stage, too.
            seconds_by_stage={
                "read": read_s,
                "segment": segment_s + one.seconds_by_stage["segment"],
                "embed": one.seconds_by_stage["embed"],
            },
            warnings=(*warnings, *one.warnings),
        )
        for one in prepared
    ]


def outcome(row: Row, diarizer: Diarizer, prepared: Prepared, talk: Conversation) -> Outcome:
    """Decide and score."""
    if row.regions:
        prepared = replace(prepared, segmentation=Segmentation(prepared.segmentation.regions))
    true = len({turn.speaker for turn in talk.reference})
    result = diarizer.decide(
        prepared, SpeakerCount.of((true or None) if row.oracle_count else None)
    )
    speech_s, beyond_s = one_and_more(result.turns)
    return Outcome(
        talk.score(result.turns, result.duration_s),
        result.duration_s,
        speech_s,
        beyond_s,
        result.seconds_by_stage,
    )


def one_and_more(turns: Iterable[Turn]) -> tuple[float, float]:
    """Seconds in which someone speaks, and those that the turns have beyond them."""
    speech_s, total_s, reached = 0.0, 0.0, 0.0
    for turn in sorted(turns):
        total_s += turn.duration_s
        speech_s += max(0.0, turn.end_s - max(reached, turn.start_s))
        reached = max(reached, turn.end_s)
    return speech_s, max(0.0, round(total_s - speech_s, 6))


def total(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """A row on one set, as plain values."""
    hours = sum(one.duration_s for one in outcomes) / 3600
    stages = {
        stage: sum(one.stages[stage] for one in outcomes) / hours for stage in outcomes[0].stages
    }
    speech_s = sum(one.speech_s for one in outcomes)
    return {
        **ScoreReport(tuple(one.score for one in outcomes)).to_json()["total"],
        "counts": _counts(one.score for one in outcomes),
        "overlap": sum(one.beyond_s for one in outcomes) / max(speech_s, 1e-9),
        "per_hour_of_sound": {"wall_s": sum(stages.values()), "stages": stages},
    }


def _counts(scores: Iterable[RecordingScore]) -> dict[str, dict[str, int]]:
    """True number of speakers -> number found -> recordings."""
    pairs = sorted((one.speakers_reference, one.speakers_hypothesis) for one in scores)
    matrix: dict[str, dict[str, int]] = {}
    for true, found in pairs:
        became = matrix.setdefault(str(true), {})
        became[str(found)] = became.get(str(found), 0) + 1
    return matrix
