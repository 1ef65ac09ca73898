"""Diarize the development conversations and score them: errors, speaker counts, speed, memory.

    python recipes/score_conversations.py --data ../shared/corpus [--set clusterer=hdbscan]

The number of speakers is never told. Scored within each recording's UEM where there is one, else
over its whole length. Writes recipes/results/conversations.json.
"""

from __future__ import annotations

import csv
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.console import Console
from rich.table import Table

from diarize.cli_score import score_table
from diarize.config import load_config
from diarize.formats.rttm import read_rttm
from diarize.formats.uem import read_uem
from diarize.pipeline import Diarizer
from diarize.scoring.report import RecordingScore, ScoreReport, score_recording
from encoder.config import to_mapping
from encoder.errors import CorpusError, ToolkitError

RESULTS = Path(__file__).parent / "results"


def main(
    data: Annotated[Path, typer.Option(help="corpus folder")],
    settings: Annotated[Optional[list[str]], typer.Option("--set", help="a.b=c")] = None,  # noqa: UP045
    save: Annotated[bool, typer.Option(help="write recipes/results")] = True,
) -> None:
    """Score the pipeline on every recording of the manifest."""
    folder = data / "conversations"
    if not (folder / "manifest.tsv").exists():
        print(f"skipped: there are no conversations in {str(data)!r}; give DATA=folder")
        return
    try:
        _score(folder, settings or [], save)
    except ToolkitError as error:
        Console(stderr=True).print(f"error: {error}", style="red", highlight=False, markup=False)
        raise typer.Exit(2) from None


def _score(folder: Path, settings: list[str], save: bool) -> None:
    with (folder / "manifest.tsv").open(newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle, delimiter="\t"))
    config = load_config(None, settings)
    diarizer = Diarizer.from_config(config)
    diarizer(folder / rows[0]["file"])  # first call: warms caches up, not timed
    stages: dict[str, float] = {}
    seconds, wall, cpu = 0.0, time.perf_counter(), time.process_time()
    scores: list[RecordingScore] = []
    for row in rows:
        name = row["recording"]
        result = diarizer(folder / row["file"])
        for stage, took in result.seconds_by_stage.items():
            stages[stage] = stages.get(stage, 0.0) + took
        seconds += result.duration_s
        uem = folder / f"{name}.uem"
        scored = _entries(read_uem, uem, name) if uem.exists() else [(0.0, result.duration_s)]
        reference = _entries(read_rttm, folder / f"{name}.rttm", name)
        scores.append(score_recording(name, reference, result.turns, uem=scored))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    report = ScoreReport(tuple(scores))
    trusted = {row["recording"] for row in rows if row["trust"] == "high"}
    high = ScoreReport(tuple(s for s in scores if s.uri in trusted))
    score_table(report)
    _summary(report, high)
    per_hour = {
        "wall_s": wall / seconds * 3600,
        "cpu_s": cpu / seconds * 3600,
        "stages": {stage: took / seconds * 3600 for stage, took in stages.items()},
    }
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        1 << 20 if sys.platform == "darwin" else 1 << 10
    )
    print(
        f"per hour of sound: {per_hour['wall_s']:.1f} s wall, {per_hour['cpu_s']:.1f} s CPU "
        + "(" + ", ".join(f"{k} {v:.1f}" for k, v in per_hour["stages"].items()) + ")"
        + f"; peak memory {peak_mb:.0f} MB; {os.cpu_count()} cores"
    )  # fmt: skip
    if save:
        RESULTS.mkdir(exist_ok=True)
        stored = {
            "fingerprint": diarizer.embedder.fingerprint,
            "config": to_mapping(config),
            "per_hour_of_sound": per_hour,
            "peak_memory_mb": peak_mb,
            "cores": os.cpu_count(),
            "all": report.to_json(),
            "trusted": high.to_json()["total"],
        }
        text = json.dumps(stored, indent=1) + "\n"
        (RESULTS / "conversations.json").write_text(text, encoding="utf-8")


def _entries(read: Callable[[Path], dict[str, list]], path: Path, name: str) -> list:
    """What the file says of this recording; nothing only if it says nothing at all."""
    found = read(path)
    if found and name not in found:
        raise CorpusError(f"{str(path)!r} speaks of {min(found)!r}, not of {name!r}: correct it")
    return found.get(name, [])


def _summary(report: ScoreReport, high: ScoreReport) -> None:
    table = Table(title="totals weighted by time, full protocol, %")
    for title in ("recordings", "DER", "missed", "false al.", "confus.", "counts right"):
        table.add_column(title, justify="left" if title == "recordings" else "right")
    for name, part in (("all", report), ("trusted references", high)):
        full = part.der["full"]
        parts = (full.error_s, full.missed_s, full.false_alarm_s, full.confusion_s)
        cells = [f"{100 * p / max(full.reference_s, 1e-9):.1f}" for p in parts]
        right = f"{part.speaker_count_right} of {len(part.recordings)}"
        table.add_row(f"{name} ({len(part.recordings)})", *cells, right)
    Console(width=100).print(table)


if __name__ == "__main__":
    typer.run(main)
