"""Write the tables of README, results and model cards, so that none is typed by hand.

    python -m recipes.report.tables

Replaces what stands between `<!-- NAME -->` and `<!-- /NAME -->` for NAME in TABLES. The README and
the page of results show every embedder of the results, a model card only its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from diarize.core.output import write_atomic
from encoder.errors import CorpusError, FormatError, ToolkitError
from recipes.report import ablation_tables, bench_tables, decision_tables, peer_tables
from recipes.report import conversation_tables as talks
from recipes.report import voice_tables as voices

Stored = dict[str, Any]
# Results file -> the key of its list of embedders, and what makes the file.
SHAPES = {
    "evaluate": ("embedders", "make evaluate"),
    "conversations": ("runs", "make score-conversations"),
    "calibration": ("embedders", "make score"),
    "clusters": ("embedders", "make score"),
    "cluster_benchmark": ("runs", "make bench-clusters"),
    "confidence": ("embedders", "make calibrate-turns"),
    "bench": ("measured", "make bench"),
    "bench_steps": ("steps", "make bench ARGS=--step=..."),
    "naming": ("rows", "make score-naming"),
    "ablation": ("runs", "make ablation"),
    "decisions": ("presets", "make decisions"),
    "peers": ("peers", "make bench-peers"),
    "short_joins": ("runs", "make score-joins"),
    "fuzz": ("rows", "make fuzz"),
}
# Name -> what makes it, and from which results.
TABLES: dict[str, tuple[Callable[[Any], str], str]] = {
    "voices": (voices.voices, "evaluate"),
    "evaluate": (voices.evaluate, "evaluate"),
    "calibration": (voices.calibration, "calibration"),
    "clusters": (voices.clusters, "clusters"),
    "clusters-by-set": (voices.clusters_by_set, "clusters"),
    "clusters-benchmark": (voices.clusters_benchmark, "cluster_benchmark"),
    "conversations": (talks.conversations, "conversations"),
    "recordings": (talks.recordings, "conversations"),
    "totals": (talks.totals, "conversations"),
    "fuzz": (bench_tables.fuzz, "fuzz"),
    "short-joins": (talks.short_joins, "short_joins"),
    "confidence": (talks.confidence, "confidence"),
    "naming": (talks.naming, "naming"),
    "ablation": (ablation_tables.ablation, "ablation"),
    "ablation-by-set": (ablation_tables.ablation_by_set, "ablation"),
    "ablation-counts": (ablation_tables.ablation_counts, "ablation"),
    "decisions": (decision_tables.decisions, "decisions"),
    "flatness": (decision_tables.flatness, "decisions"),
    "bench": (bench_tables.bench, "bench"),
    "bench-steps": (bench_tables.steps, "bench_steps"),
    "peers": (peer_tables.peers, "peers"),
}


def main(
    root: Annotated[Path, typer.Option(help="folder of the project")] = Path(__file__).parents[2],
) -> None:
    """Rewrite the README, the page of results and the card of the packaged weights in place."""
    try:
        results = root / "recipes" / "results"
        texts = {
            page: _filled(page, lambda n: _load(results, n))
            for page in (root / "README.md", results / "README.md")
            if page.exists()
        }
        for card in sorted((root / "encoder" / "weights").glob("*.md")):
            own = card.stem.rpartition("-")[2]
            texts[card] = _filled(card, lambda n, f=own: _only(_load(results, n), f, n))
        for path, text in texts.items():
            write_atomic(path, text)
    except ToolkitError as error:
        _say(f"error: {error}", style="red")
        raise typer.Exit(2) from None


def _say(sentence: str, *, style: str | None = None) -> None:
    console = Console(stderr=True)
    console.print(sentence, style=style, highlight=False, markup=False, soft_wrap=True)


def _filled(path: Path, stored: Callable[[str], list[Stored]]) -> str:
    """The file's text with every table that it has a place for, from `stored(results)`.

    A place that is empty stays so, with a sentence, as long as its results are not made.
    """
    text = path.read_text(encoding="utf-8")
    for name, (make, source) in TABLES.items():
        if f"<!-- {name} -->" not in text:
            continue
        try:
            found = stored(source)
        except CorpusError as error:
            if f"<!-- {name} -->\n<!-- /{name} -->" not in text:
                raise  # a table that is there would be of other results
            _say(f"{path.name}: left {name} empty, {error}")
            continue
        try:
            table = make(found)
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            raise FormatError(
                f"the results of {source} are not of this version ({error!r}): "
                f"run `{SHAPES[source][1]}` again"
            ) from error
        marked = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.S)
        text = marked.sub(lambda m, t=table: f"{m[1]}\n{t}\n\n{m[2]}", text)
    return text


def _load(folder: Path, name: str) -> list[Stored]:
    """The embedders of one results file; FormatError for the shape of an older version."""
    key, command = SHAPES[name]
    path = folder / f"{name}.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))[key]
    except OSError as error:
        raise CorpusError(f"there are no results {str(path)!r}: run `{command}`") from error
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(
            f"the results {str(path)!r} are not of this version (they hold no {key!r}): "
            f"run `{command}` again"
        ) from error


def _only(stored: list[Stored], fingerprint: str, name: str) -> list[Stored]:
    own = [part for part in stored if part["fingerprint"] == fingerprint]
    if not own:
        raise CorpusError(
            f"the results of {name} hold nothing of the packaged weights {fingerprint!r}: "
            f"run `{SHAPES[name][1]}` again"
        )
    return own


if __name__ == "__main__":
    typer.run(main)
