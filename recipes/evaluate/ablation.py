"""What each part of the pipeline is worth: one thing at a time is taken away or replaced.

    python -m recipes.evaluate.ablation --data ../shared/corpus [--simulated cache/simulated]
        [--segmenter silero ...] [--embedder NAME|FILE|onnx:NAME ...] [--set a.b=c ...]

A run for every segmenter and embedder that is there: its defaults, and rows that differ from them
in one thing; rows about aggregation only where the segmenter tells speakers apart. Sets: the
development conversations, those of them with trusted references, and, by style, the conversations
of heldout speakers that `make simulate` writes. Decoding, segmentation and embedding are done
once for all rows of a run. Writes results/ablation.json.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Optional

import torch
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from diarize.core.output import write_atomic
from diarize.embedding.embedders import load_embedder
from diarize.pipeline.config import DiarizeConfig, load_config
from diarize.segmentation import SEGMENTERS
from diarize.segmentation.base import Segmenter
from diarize.simulation.conversation_style import STYLES
from encoder.errors import BackendUnavailable, CheckpointError, ToolkitError
from recipes.evaluate.ablation_rows import (
    DEFAULT,
    ROWS,
    EmbedderSettings,
    Outcome,
    outcome,
    prepare,
    total,
)
from recipes.shared.conversations import (
    Conversation,
    conversations_in,
    read_conversations,
)
from recipes.shared.embedders import (
    BOTH,
    CorpusFolder,
    EmbedderNames,
    ResultsFolder,
    Saving,
    console,
    each_embedder,
    results_folder,
    say,
    stop,
)

DEVELOPMENT, TRUSTED = "development", "trusted"
BASELINE = "energy"  # only when asked for: loudness alone is no choice for real recordings
PROTOCOL = {
    "tuned_on_development": [
        "thresholds of the segmenters",
        "weights of our segmentation network, among those that its training tried",
        "aggregation.embedding_weight, aggregation.softmax_scale and aggregation.overlap_threshold",
        "resegmentation",
        "counting, of each embedder",
    ],
    "tuned_on_simulated": [
        "resegmentation, looked at on other conversations of the same kind and speakers",
    ],
    "scored": "within each recording's UEM, else over its whole length",
    "oracle_count": "the number of speakers that the reference names; the other rows count by "
    "themselves",
    "counts": "true number of speakers -> number found -> recordings",
    "overlap": "seconds of turns beyond one at a time, as a share of the seconds with speech",
    "per_hour_of_sound": "wall seconds on so many cores, of a machine that other work may have "
    "shared (load_average: runnable processes over the minute before the run)",
}
Sets = dict[str, list[Conversation]]


def main(
    data: CorpusFolder,
    simulated: Annotated[Path, typer.Option(help="folder that `make simulate` wrote")] = Path(
        "cache/simulated"
    ),
    segmenter: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help=f"repeatable (default: all that are there but {BASELINE})"),
    ] = None,
    embedder: EmbedderNames = None,
    settings: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--set", help="a.b=c, for every row"),
    ] = None,
    results: ResultsFolder = None,
    save: Saving = True,
) -> None:
    """Score every row on every set, print, write."""
    try:
        if (recordings := conversations_in(data)) is None:
            return
        sets, without = _sets(recordings, simulated)
        config = load_config(None, settings or [])
        embedders = each_embedder(embedder, lambda name: _embedder(name, config, settings or []))
        without += [
            name for name in BOTH if not embedder and name not in {e.name for e in embedders}
        ]
        runs = []
        for name, finder in _segmenters(segmenter, config, without):
            for run in _runs(name, finder, embedders, sets):
                _show(run)
                runs.append(run)
        asked = segmenter or embedder or settings
        if save and (folder := results_folder(results, asked)) is not None:
            stored = {"protocol": PROTOCOL, "left_out": without, "runs": runs}
            write_atomic(folder / "ablation.json", json.dumps(stored, indent=1) + "\n")
    except ToolkitError as error:
        raise stop(error) from None


def _sets(recordings: list[Conversation], simulated: Path) -> tuple[Sets, list[str]]:
    """Recordings by set, and the names of the sets that are not there; says so."""
    trusted = [talk for talk in recordings if talk.trusted]
    sets = {DEVELOPMENT: recordings, TRUSTED: trusted, **{style: [] for style in STYLES}}
    folder = simulated / "conversations"
    made = read_conversations(folder) if (folder / "manifest.tsv").exists() else []
    for style in STYLES:
        # Speakers of `train` would be known to the networks.
        sets[style] = [talk for talk in made if talk.name.startswith(f"{style}_heldout_")]
    without = [name for name, talks in sets.items() if not talks]
    for name in without:
        other = "mark some as trusted" if name == TRUSTED else f"run `make simulate` for {folder}"
        say(f"left out the set {name!r}: it has no recordings; {other}", style="yellow")
    return {name: talks for name, talks in sets.items() if talks}, without


def _embedder(name: str, config: DiarizeConfig, settings: Sequence[str]) -> EmbedderSettings:
    embedder = load_embedder(name, device=config.device)
    return EmbedderSettings(name, embedder, tuple(settings))


def _segmenters(
    asked: Sequence[str] | None, config: DiarizeConfig, without: list[str]
) -> Iterator[tuple[str, Segmenter]]:
    """One after another; what is not there may be absent, if it was not asked for."""
    for name in asked or [name for name in SEGMENTERS.names() if name != BASELINE]:
        try:
            built = SEGMENTERS.build(name, config.segmentation, where="segmentation")
        except (BackendUnavailable, CheckpointError) as error:
            if asked:
                raise
            say(f"left out {name}: {error}", style="yellow")
            without.append(name)
        else:
            yield name, built


def _runs(
    name: str, segmenter: Segmenter, embedders: Sequence[EmbedderSettings], sets: Sets
) -> Iterator[dict[str, Any]]:
    """A segmenter with each embedder."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    talks = list({talk.path: talk for some in sets.values() for talk in some}.values())
    for embedder in embedders:  # first calls warm caches up, and are not timed
        embedder.diarizer(segmenter)(talks[0].path)
    with Progress(console=console) as progress:
        task = progress.add_task(name, total=len(talks))
        prepared = []
        for talk in talks:
            prepared.append(prepare(talk, segmenter, embedders))
            progress.advance(task)
    apart = any(one.segmentation.chunks is not None for some in prepared for one in some)
    for embedder, own in zip(embedders, zip(*prepared, strict=True), strict=True):
        rows = []
        for row in ROWS:
            if row.aggregation and not apart:
                continue
            diarizer = embedder.diarizer(segmenter, [f"segmenter={name}", *row.settings])
            outcomes = {
                talk.path: outcome(row, diarizer, prepared, talk)
                for talk, prepared in zip(talks, own, strict=True)
            }
            rows.append(
                {
                    "row": row.name,
                    "settings": list(row.settings),
                    "oracle_count": row.oracle_count,
                    "aggregation": row.aggregation,
                    "regions_only": row.regions,
                    "sets": {key: _total(some, outcomes) for key, some in sets.items()},
                }
            )
        yield {
            "segmenter": name,
            "segmenter_fingerprint": getattr(segmenter, "fingerprint", None),  # of a network
            "name": embedder.name,
            "fingerprint": embedder.embedder.fingerprint,
            "settings": list(embedder.settings),
            "local_speakers": apart,
            "cores": len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count(),
            "threads": torch.get_num_threads(),
            "load_average": load,
            "rows": rows,
        }


def _total(talks: Sequence[Conversation], outcomes: dict[Path, Outcome]) -> dict[str, Any]:
    return total([outcomes[talk.path] for talk in talks])


def _show(run: dict[str, Any]) -> None:
    """DER, confusion and counts of every row and set."""
    table = Table(title=f"{run['segmenter']}, {run['name']}: DER full % (confusion), counts right")
    table.add_column("")
    for name in run["rows"][0]["sets"]:
        table.add_column(name, justify="right")
    for row in run["rows"]:
        cells = []
        for found in row["sets"].values():
            full = found["der"]["full"]
            confusion = 100 * full["confusion_s"] / max(full["reference_s"], 1e-9)
            right = f"{found['speaker_count_right']} of {found['recordings']}"
            cells.append(f"{100 * full['rate']:.1f} ({confusion:.1f}), {right}")
        table.add_row(row["row"], *cells)
    Console(width=150).print(table)
    stages = run["rows"][0]["sets"][DEVELOPMENT]["per_hour_of_sound"]["stages"]
    by_stage = ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in stages.items())
    print(f"seconds an hour of sound, {DEFAULT}: {by_stage}; {run['cores']} cores")


if __name__ == "__main__":
    typer.run(main)
