"""How well `diarize cluster` groups the clips of speakers that nothing was trained or tuned on.

    python -m recipes.evaluate.clips --data ../shared/corpus [--embedder NAME|FILE|onnx:NAME ...]

Each data set with at least 4 speakers is grouped by itself, and then all clips of the split
together; the number of speakers is unknown. Writes recipes/results/clusters.json; with --embedder
or --set only into the folder that --results names.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Optional

import typer
from rich.progress import Progress

from diarize.cli.score_clusters import clusters_table
from diarize.clips.group import ClipGroups, ClipsConfig, group_clips
from diarize.core.output import write_atomic
from diarize.scoring.clustering_metrics import ClusterScore, score_clusters
from encoder.common.config import apply_overrides, from_mapping, to_mapping
from encoder.data.corpora import read_corpus
from encoder.data.manifest import Utterance
from encoder.errors import CorpusError, ToolkitError
from encoder.evaluation.protocol import large_sets
from recipes.shared.embedders import (
    CorpusFolder,
    EmbedderNames,
    ResultsFolder,
    Saving,
    console,
    each_embedder,
    is_corpus,
    results_folder,
    say,
    stop,
)

SPLITS = ("eval", "heldout")
ALL = "all together"


def main(
    data: CorpusFolder,
    embedder: EmbedderNames = None,
    settings: Annotated[Optional[list[str]], typer.Option("--set", help="a.b=c")] = None,  # noqa: UP045
    cache: Annotated[Path, typer.Option(help="voices are kept here")] = Path("cache/clips.sqlite"),
    results: ResultsFolder = None,
    save: Saving = True,
) -> None:
    """Print and store the scores by embedder, split and data set."""
    if not is_corpus(data):
        return
    try:
        config = from_mapping(ClipsConfig, apply_overrides({"device": "cpu"}, settings or []))
        utterances = read_corpus(data, on_warning=say)
        splits = {s: [u for u in utterances if u.split == s] for s in SPLITS}
        splits = {split: some for split, some in splits.items() if large_sets(some)}
        if not splits:
            raise CorpusError(f"{str(data)!r} has too few speakers in {' and '.join(SPLITS)}")
        cache.parent.mkdir(parents=True, exist_ok=True)
        runs = each_embedder(
            embedder, lambda name: _run(replace(config, embedder=name), splits, cache)
        )
        if save and (kept := results_folder(results, embedder or settings)) is not None:
            stored = json.dumps({"embedders": runs}, indent=1)
            write_atomic(kept / "clusters.json", stored + "\n")
    except ToolkitError as error:
        raise stop(error) from None


def _run(config: ClipsConfig, splits: dict[str, list[Utterance]], cache: Path) -> dict[str, Any]:
    scores: dict[str, dict[str, ClusterScore]] = {}
    thresholds: dict[str, dict[str, float]] = {}
    fingerprint = ""
    for split, utterances in splits.items():
        sets = {
            name: [utterances[row] for row in rows] for name, rows in large_sets(utterances).items()
        }
        for name, some in {ALL: utterances, **sets}.items():  # all first: they fill the cache
            groups = _group(f"{config.embedder}, {split}, {name}", some, config, cache)
            speaker_of = {u.path.resolve(): f"{u.dataset} {u.speaker}" for u in some}
            truth = [speaker_of[clip.path] for clip in groups.clips]
            found = [row.speaker for row in groups.rows]
            scores.setdefault(split, {})[name] = score_clusters(truth, found)
            thresholds.setdefault(split, {})[name] = groups.min_similarity
            fingerprint = groups.fingerprint
    clusters_table(
        {
            f"{Path(config.embedder).name}, {split}, {name}": score
            for split, by_set in scores.items()
            for name, score in by_set.items()
        }
    )
    stored = {
        split: {
            name: {**score.to_json(), "min_similarity": thresholds[split][name]}
            for name, score in by_set.items()
        }
        for split, by_set in scores.items()
    }
    return {
        "name": config.embedder,
        "fingerprint": fingerprint,
        "config": to_mapping(config),
        "results": stored,
    }


def _group(title: str, some: list[Utterance], config: ClipsConfig, cache: Path) -> ClipGroups:
    with Progress(console=console) as progress:
        task = progress.add_task(title, total=len(some))
        groups = group_clips(
            [u.path for u in some],
            config,
            cache=cache,
            on_done=lambda _, done, total: progress.update(task, completed=done, total=total),
        )
    for sentence in groups.warnings:
        say(sentence)
    return groups


if __name__ == "__main__":
    typer.run(main)
