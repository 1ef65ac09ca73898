"""How well embedders tell speakers apart that ours was never trained or tuned on.

    python recipes/evaluate.py --data ../shared/corpus [--embedder NAME|FILE|onnx:NAME ...]

Every embedder goes through the same protocol (`encoder.evaluation`, `encoder.identification`) on
the splits `eval` and `heldout`: whole utterances, centred 3 s and centred 1.6 s, cut from the wave;
shorter utterances are repeated up to the crop's length. Trials stay within one data set. Writes
recipes/results/evaluate.json.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Optional

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from diarize.embedding import load_embedder
from diarize.files import write_atomic
from encoder.config import to_mapping
from encoder.crops import CROPS_S, crop_vectors
from encoder.errors import BackendUnavailable, CheckpointError, ToolkitError
from encoder.evaluation import MINIMUM_SPEAKERS, Measures, ProtocolConfig, measure_by_dataset
from encoder.hub import DEFAULT
from encoder.manifest import Utterance, read_manifest

REFERENCE = "onnx:campplus"  # a public model beside ours, for scale
SPLITS = ("eval", "heldout")
PROTOCOL = ProtocolConfig()
console = Console(stderr=True)

Results = dict[str, dict[str, dict[str, Measures]]]  # split -> crop -> data set


def main(
    data: Annotated[Path, typer.Option(help="corpus folder")],
    embedder: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help=f"name or file; repeatable (default: {DEFAULT}, and {REFERENCE})"),
    ] = None,
    limit_per_dataset: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(min=1, help="first utterances of each data set, for a try; saves nothing"),
    ] = None,
    cache: Annotated[Path, typer.Option(help="vectors are kept here")] = Path("cache/vectors"),
    results: Annotated[Path, typer.Option(help="folder")] = Path(__file__).parent / "results",
    save: Annotated[bool, typer.Option(help="write into the folder of results")] = True,
) -> None:
    """Print and store error rates and identification accuracy by split, crop and data set."""
    manifest = data / "voices/manifest.tsv"
    if not manifest.exists():
        print(f"skipped: there is no corpus in {str(data)!r}; give DATA=folder")
        return
    try:
        lists = {
            split: _first(
                [u for u in read_manifest(manifest) if u.split == split], limit_per_dataset
            )
            for split in SPLITS
        }
        runs = []
        for name in embedder or (DEFAULT, REFERENCE):
            try:
                runs.append(_run(name, lists, cache))
            except (BackendUnavailable, CheckpointError) as error:
                if embedder or name != REFERENCE:
                    raise
                console.print(
                    f"left out {name}: {error}",
                    style="yellow", highlight=False, markup=False, soft_wrap=True,
                )  # fmt: skip
        _show(runs)
        if save and limit_per_dataset is None:
            stored = {"protocol": _protocol(), "embedders": [_to_json(*run) for run in runs]}
            results.mkdir(parents=True, exist_ok=True)
            write_atomic(results / "evaluate.json", json.dumps(stored, indent=1) + "\n")
    except ToolkitError as error:
        console.print(f"error: {error}", style="red", highlight=False, markup=False)
        raise typer.Exit(2) from None


def _first(utterances: list[Utterance], limit: int | None) -> list[Utterance]:
    seen: Counter[str] = Counter()
    chosen = []
    for utterance in utterances:
        seen[utterance.dataset] += 1
        if limit is None or seen[utterance.dataset] <= limit:
            chosen.append(utterance)
    return chosen


def _run(name: str, lists: dict[str, list[Utterance]], cache: Path) -> tuple[str, str, Results]:
    """The embedder's name, its fingerprint and what was measured."""
    embedder = load_embedder(name, device="cpu")
    results: Results = {}
    left_out: list[str] = []
    for split, utterances in lists.items():
        with Progress(console=console) as progress:
            task = progress.add_task(f"{name}, {split}", total=len(utterances))
            vectors = crop_vectors(
                embedder,
                utterances,
                cache=cache,
                on_done=lambda done, _, p=progress, t=task: p.update(t, completed=done),
            )
        kept = [utterances[row] for row in vectors.kept]
        left_out += vectors.left_out
        results[split] = {
            crop: measure_by_dataset(some, kept, config=PROTOCOL)
            for crop, some in vectors.by_crop.items()
        }
    for sentence in left_out:
        console.print(f"left out: {sentence}", highlight=False, markup=False)
    return name, embedder.fingerprint, results


def _protocol() -> dict[str, Any]:
    return {
        **to_mapping(PROTOCOL),
        "crops_s": dict(CROPS_S),
        "minimum_speakers": MINIMUM_SPEAKERS,
        "trials": "all pairs, and identifications, within one data set; mean over data sets",
    }


def _to_json(name: str, fingerprint: str, results: Results) -> dict[str, Any]:
    measures = {
        split: {
            crop: {dataset: asdict(part) for dataset, part in by_dataset.items()}
            for crop, by_dataset in by_crop.items()
        }
        for split, by_crop in results.items()
    }
    return {"name": name, "fingerprint": fingerprint, "results": measures}


def _show(runs: list[tuple[str, str, Results]]) -> None:
    out = Console(width=120)
    for name, fingerprint, results in runs:
        table = Table(title=f"{name} ({fingerprint}), %")
        table.add_column("split")
        table.add_column("data set", no_wrap=True)
        first, *others = CROPS_S
        for column in (f"EER {first}", *others, "minDCF", *(f"K={k}" for k in PROTOCOL.enrolments)):
            table.add_column(column, justify="right")
        for split, by_crop in results.items():
            for dataset, short in by_crop["3 s"].items():
                cells = [f"{100 * parts[dataset].eer:.1f}" for parts in by_crop.values()]
                cells.append(f"{100 * short.min_dcf:.0f}")
                cells += [
                    f"{100 * short.accuracy[k]:.1f}" if k in short.accuracy else "-"
                    for k in PROTOCOL.enrolments
                ]
                table.add_row(split, dataset, *cells, style="bold" if dataset == "mean" else None)
        out.print(table)
    out.print(
        f"minDCF and K: of 3 s; K=n: share of anchors recognised among {1 + PROTOCOL.negatives} "
        "candidates of n utterances each; - where the data set is too small for that",
        style="dim",
    )


if __name__ == "__main__":
    typer.run(main)
