"""Ours beside other diarizers: the same recordings, the same scoring, one after another.

    python -m recipes.benchmark.peers --data ../shared/corpus [--peer senko ...] [--peer worker.py]

Peers are installed with pip into environments of their own under `--cache`, and run there by the
workers in peer_workers/; ours run in this environment. Every one gets the development conversations
as 16 kHz mono WAVs, without the number of speakers. A peer that cannot be installed or stops has a
row with the reason. A file instead of a name is a worker of your own, as those are.
Writes results/peers.json, in which a run of some peers replaces their rows.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
import wave
from pathlib import Path
from typing import Annotated, Any, Optional

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from diarize.core.output import write_atomic
from diarize.formats.rttm import read_rttm
from diarize.formats.text_lines import printable_token
from diarize.scoring.report import RecordingScore, ScoreReport
from encoder.audio.load import load_audio
from encoder.errors import ToolkitError
from recipes.benchmark.peer_environments import PEERS, Peer, find_peer, run_peer
from recipes.shared.conversations import Conversation, conversations_in
from recipes.shared.embedders import RESULTS, CorpusFolder, ResultsFolder, Saving, say, stop

RATE = 16_000
PROTOCOL = {
    "scored": "within each recording's UEM, else over its whole length; the number of speakers is "
    "unknown",
    "development": "ours were tuned on these recordings, the peers were not",
    "per_hour_of_sound": "seconds for an hour of sound, without loading (load_s) and without a "
    "first recording that warms up; files are read as WAV",
    "peak_memory_mb": "of the worker's process, with all that it imports",
    "measured": "load_average: runnable processes over the minute before the peer began, of a "
    "machine that other work may have shared",
}
Durations = dict[str, float]


def main(
    data: CorpusFolder,
    peer: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help=f"name ({', '.join(PEERS)}) or a worker's file; repeatable (all)"),
    ] = None,
    cache: Annotated[Path, typer.Option(help="environments and logs of the peers")] = Path(
        "cache/peers"
    ),
    threads: Annotated[int, typer.Option(min=1, help="of every peer (default: all cores)")] = (
        len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    ),
    results: ResultsFolder = None,
    save: Saving = True,
) -> None:
    """Run the peers, score them, print and write."""
    try:
        if (talks := conversations_in(data)) is None:
            return
        peers = [find_peer(name) for name in peer or PEERS]
        folder = _folder(results, some=bool(peer)) if save else None
        rows = []
        with tempfile.TemporaryDirectory() as made:
            recordings, durations = _write_waves(talks, Path(made))
            for each in peers:
                say(f"{each.title} ...")
                out = Path(made) / each.name
                rows.append(_row(each, talks, recordings, durations, out, cache.resolve(), threads))
                if folder is not None:
                    _keep(rows[-1], folder / "peers.json")
        _show(rows)
    except ToolkitError as error:
        raise stop(error) from None


def _folder(results: Path | None, *, some: bool) -> Path | None:
    """Where results go; what README shows is never replaced in part without being asked."""
    if results is None and some:
        say("saved nothing, as not all was measured: give --results folder")
        return None
    folder = RESULTS if results is None else results
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _write_waves(talks: list[Conversation], folder: Path) -> tuple[list[dict[str, str]], Durations]:
    """Recordings under numbers, as names may hold what RTTM cannot; seconds by real name."""
    recordings, durations = [], {}
    for number, talk in enumerate(talks):
        samples = load_audio(talk.path).numpy()
        path = folder / f"{number:03}.wav"
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            whole = np.rint(samples * 32_768).clip(-32_768, 32_767)
            file.writeframes(whole.astype("<i2").tobytes())
        recordings.append({"name": path.stem, "path": str(path)})
        durations[talk.name] = len(samples) / RATE
    return recordings, durations


def _row(
    peer: Peer,
    talks: list[Conversation],
    recordings: list[dict[str, str]],
    durations: Durations,
    out: Path,
    cache: Path,
    threads: int,
) -> dict[str, Any]:
    """What is known of a peer: its scores and what they cost, or the reason for none."""
    row: dict[str, Any] = {
        "name": peer.name,
        "title": peer.title,
        "note": peer.note,
        "measured": {
            "cpu": _cpu(),
            "threads": threads,
            "python": platform.python_version(),
            "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        },
    }
    try:
        spent = run_peer(peer, recordings, out, cache=cache, threads=threads)
        scores = [
            _score(talk, out / f"{recording['name']}.rttm", durations[talk.name])
            for talk, recording in zip(talks, recordings, strict=True)
        ]
    except (ToolkitError, OSError, ValueError, KeyError) as error:
        say(f"left out {peer.title}: {error}", style="yellow")
        return {**row, "reason": str(error)}
    by_recording = list(spent["recordings"].values())
    errors = zip((talk.name for talk in talks), by_recording, strict=True)
    trusted = {talk.name for talk in talks if talk.trusted}
    hours = sum(durations.values()) / 3600
    return {
        **row,
        "reason": None,
        "packages": spent["packages"],
        "failed": {name: cost["error"] for name, cost in errors if cost["error"]},
        "load_s": spent["load_s"],
        "per_hour_of_sound": {
            key: sum(cost[key] for cost in by_recording) / hours for key in ("wall_s", "cpu_s")
        },
        "peak_memory_mb": spent["peak_memory_mb"],
        "all": ScoreReport(tuple(scores)).to_json(),
        "trusted": ScoreReport(tuple(s for s in scores if s.uri in trusted)).to_json()["total"],
    }


def _score(talk: Conversation, path: Path, duration_s: float) -> RecordingScore:
    found = read_rttm(path).get(printable_token(path.stem), [])
    return talk.score(found, duration_s)


def _cpu() -> str | None:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or None)


def _keep(row: dict[str, Any], path: Path) -> None:
    """Put the row in the place of the one of its name, in the order of PEERS."""
    rows = json.loads(path.read_text(encoding="utf-8"))["peers"] if path.exists() else []
    kept = {other["name"]: other for other in [*rows, row]}
    order = [*PEERS, *(name for name in kept if name not in PEERS)]
    stored = {"protocol": PROTOCOL, "peers": [kept[name] for name in order if name in kept]}
    write_atomic(path, json.dumps(stored, indent=1) + "\n")


def _show(rows: list[dict[str, Any]]) -> None:
    table = Table(title="development conversations, totals weighted by time, %")
    titles = ("", "full", "missed", "false al.", "confus.", "fair", "forgiving", "counts right")
    titles += ("wall s/h", "CPU s/h", "load s", "MB")
    for title in titles:
        table.add_column(title, justify="right" if title else "left")
    for row in rows:
        if row["reason"]:
            table.add_row(row["title"], "left out")
            continue
        total, cost = row["all"]["total"], row["per_hour_of_sound"]
        full = total["der"]["full"]
        parts = [full[f"{part}_s"] for part in ("missed", "false_alarm", "confusion")]
        rates = [full["rate"], *(part / max(full["reference_s"], 1e-9) for part in parts)]
        rates += [total["der"][name]["rate"] for name in ("fair", "forgiving")]
        cells = [f"{100 * rate:.1f}" for rate in rates]
        cells.append(f"{total['speaker_count_right']} of {total['recordings']}")
        costs = (cost["wall_s"], cost["cpu_s"], row["load_s"], row["peak_memory_mb"])
        table.add_row(
            row["title"], *cells, *("-" if value is None else f"{value:.0f}" for value in costs)
        )
    Console(width=150).print(table)
    for row in rows:
        if row["reason"]:
            print(f"{row['title']}: left out: {row['reason']}")
        elif row["failed"]:
            print(f"{row['title']}: failed on {len(row['failed'])} recordings: {row['failed']}")


if __name__ == "__main__":
    typer.run(main)
