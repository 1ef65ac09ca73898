"""Diarize the development conversations and score them: errors, speaker counts, speed, memory.

    python -m recipes.evaluate.diarization --data ../shared/corpus [--set clusterer=hdbscan]

The number of speakers is unknown. Scored within each recording's UEM where there is one, else
over its whole length. Each preset has a run of its own, in a process of its own (so that memory is
its own, too), exactly as `diarize FILE --preset NAME` runs; with --embedder the preset `fast` has
another embedder. Writes results/conversations.json.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from typing import Annotated, Any, Optional

import typer
from rich.console import Console
from rich.table import Table

from diarize.cli.score import score_table
from diarize.core.output import write_atomic
from diarize.models.presets import FAST, PRESETS, check_fetched
from diarize.pipeline.config import DiarizeConfig, load_config
from diarize.pipeline.diarizer import Diarizer
from diarize.scoring.report import RecordingScore, ScoreReport
from encoder.common.config import to_mapping
from encoder.errors import CheckpointError, ToolkitError
from recipes.shared.conversations import Conversation, conversations_in
from recipes.shared.embedders import (
    CorpusFolder,
    PresetNames,
    ResultsFolder,
    Saving,
    results_folder,
    say,
    stop,
)


@dataclass(frozen=True)
class Run:
    """The scores of one preset and what they cost. Times are seconds for an hour of sound."""

    config: DiarizeConfig
    fingerprint: str
    report: ScoreReport
    trusted: ScoreReport
    per_hour: dict[str, Any]
    peak_mb: float

    @property
    def name(self) -> str:
        """The preset, or the embedder that was chosen beside it."""
        usual = load_config(preset=self.config.preset).embedder
        return self.config.preset if self.config.embedder == usual else self.config.embedder

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "fingerprint": self.fingerprint,
            "config": to_mapping(self.config),
            "per_hour_of_sound": self.per_hour,
            "peak_memory_mb": self.peak_mb,
            "cores": os.cpu_count(),
            "all": self.report.to_json(),
            "trusted": self.trusted.to_json()["total"],
        }


def main(
    data: CorpusFolder,
    preset: PresetNames = None,
    embedder: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="name or file, with the preset fast; repeatable"),
    ] = None,
    settings: Annotated[Optional[list[str]], typer.Option("--set", help="a.b=c")] = None,  # noqa: UP045
    results: ResultsFolder = None,
    save: Saving = True,
) -> None:
    """Score the pipeline on every recording of the manifest."""
    try:
        if (recordings := conversations_in(data)) is None:
            return
        more = settings or []
        # Whatever else is asked for, it is about one run.
        presets = preset or ([] if embedder else [FAST] if settings else list(PRESETS))
        configs = [load_config(None, more, name) for name in presets]
        configs += [replace(load_config(None, more), embedder=name) for name in embedder or ()]
        runs = []
        for config in configs:
            try:
                check_fetched(config.preset, vars(config))
            except CheckpointError as error:
                if preset:
                    raise
                say(f"left out {config.preset}: {error}", style="yellow")
                continue
            runs.append(run := _alone(recordings, config))
            _show(run)
        _totals(runs)
        if save and (folder := results_folder(results, preset or embedder or settings)) is not None:
            stored = {"runs": [run.to_json() for run in runs]}
            write_atomic(folder / "conversations.json", json.dumps(stored, indent=1) + "\n")
    except ToolkitError as error:
        raise stop(error) from None


def _alone(recordings: list[Conversation], config: DiarizeConfig) -> Run:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_score, recordings, config).result()


def _score(recordings: list[Conversation], config: DiarizeConfig) -> Run:
    diarizer = Diarizer.from_config(config)
    diarizer(recordings[0].path)  # first call: warms caches up, not timed
    stages: dict[str, float] = {}
    seconds, wall, cpu = 0.0, time.perf_counter(), time.process_time()
    scores: list[RecordingScore] = []
    for recording in recordings:
        result = diarizer(recording.path)
        for stage, took in result.seconds_by_stage.items():
            stages[stage] = stages.get(stage, 0.0) + took
        seconds += result.duration_s
        scores.append(recording.score(result.turns, result.duration_s))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    trusted = {recording.name for recording in recordings if recording.trusted}
    per_hour = {
        "wall_s": wall / seconds * 3600,
        "cpu_s": cpu / seconds * 3600,
        "stages": {stage: took / seconds * 3600 for stage, took in stages.items()},
    }
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return Run(
        config,
        diarizer.embedder.fingerprint,
        ScoreReport(tuple(scores)),
        ScoreReport(tuple(s for s in scores if s.uri in trusted)),
        per_hour,
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit,
    )


def _show(run: Run) -> None:
    print(f"{run.name}: {run.config.segmenter}, {run.config.embedder} ({run.fingerprint})")
    score_table(run.report)
    stages = ", ".join(f"{k} {v:.1f}" for k, v in run.per_hour["stages"].items())
    print(
        f"per hour of sound: {run.per_hour['wall_s']:.1f} s wall, {run.per_hour['cpu_s']:.1f} s "
        f"CPU ({stages}); peak memory {run.peak_mb:.0f} MB; {os.cpu_count()} cores"
    )


def _totals(runs: list[Run]) -> None:
    table = Table(title="totals weighted by time, full protocol, %")
    for title in ("preset, recordings", "DER", "missed", "false al.", "confus.", "counts right"):
        table.add_column(title, justify="left" if title.startswith("preset") else "right")
    for run in runs:
        for name, part in (("all", run.report), ("trusted references", run.trusted)):
            full = part.der["full"]
            parts = (full.error_s, full.missed_s, full.false_alarm_s, full.confusion_s)
            cells = [f"{100 * p / max(full.reference_s, 1e-9):.1f}" for p in parts]
            right = f"{part.speaker_count_right} of {len(part.recordings)}"
            title = f"{run.name}, {name} ({len(part.recordings)})"
            table.add_row(title, *cells, right)
    Console(width=100).print(table)


if __name__ == "__main__":
    typer.run(main)
