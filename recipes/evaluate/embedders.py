"""How well embedders tell speakers apart that ours was never trained or tuned on.

    python -m recipes.evaluate.embedders --data ../shared/corpus
        [--embedder NAME|FILE|onnx:NAME ...]

Every embedder goes through the same protocol (`encoder.evaluation.protocol`) on
the splits `eval` and `heldout`: whole utterances, centred 3 s and centred 1.6 s, cut from the wave;
shorter utterances are repeated up to the crop's length. Trials stay within one data set. Writes
recipes/results/evaluate.json, and the error trade-off on `eval` as det.svg; with --embedder only
into the folder that --results names.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Optional

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from diarize.core.output import write_atomic
from diarize.embedding.embedders import load_embedder
from encoder.common.config import to_mapping
from encoder.data.corpora import read_corpus
from encoder.data.manifest import Utterance
from encoder.errors import CorpusError, ToolkitError
from encoder.evaluation.det_plot import draw_det
from encoder.evaluation.protocol import (
    MINIMUM_SPEAKERS,
    Measures,
    ProtocolConfig,
    large_sets,
    measure_by_dataset,
)
from encoder.evaluation.trials import verification_trials
from encoder.inference.extraction import CROPS_S
from recipes.shared.embedders import (
    CorpusFolder,
    EmbedderNames,
    ResultsFolder,
    Saving,
    VectorCache,
    each_embedder,
    embedded,
    is_corpus,
    results_folder,
    say,
    stop,
)

SPLITS = ("eval", "heldout")
DRAWN = ("full", "1.6 s")  # crops in the picture
PROTOCOL = ProtocolConfig()

Results = dict[str, dict[str, dict[str, Measures]]]  # split -> crop -> data set


@dataclass
class Run:
    """One embedder: what was measured, and scores and truth of all pairs of `eval` by curve."""

    name: str
    fingerprint: str
    results: Results
    trials: dict[str, tuple[np.ndarray, np.ndarray]]


def main(
    data: CorpusFolder,
    embedder: EmbedderNames = None,
    limit_per_dataset: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(min=1, help="first utterances of each data set, for a try; saves nothing"),
    ] = None,
    cache: VectorCache = Path("cache/vectors"),
    results: ResultsFolder = None,
    save: Saving = True,
) -> None:
    """Print and store error rates and identification accuracy by split, crop and data set."""
    if not is_corpus(data):
        return
    try:
        everyone = read_corpus(data, on_warning=say)
        lists = {
            split: _first([u for u in everyone if u.split == split], limit_per_dataset)
            for split in SPLITS
        }
        lists = {split: some for split, some in lists.items() if large_sets(some)}
        if not lists:
            raise CorpusError(
                f"no data set of {str(data)!r} has {MINIMUM_SPEAKERS} speakers in "
                f"{' or '.join(SPLITS)}: measuring an embedder needs more data"
            )
        runs = each_embedder(embedder, lambda name: _run(name, lists, cache))
        _show(runs)
        save = save and limit_per_dataset is None
        if save and (folder := results_folder(results, embedder)) is not None:
            stored = {"protocol": _protocol(), "embedders": [_to_json(run) for run in runs]}
            write_atomic(folder / "evaluate.json", json.dumps(stored, indent=1) + "\n")
            curves = {name: trials for run in runs for name, trials in run.trials.items()}
            if curves:
                draw_det(curves, folder / "det.svg", title="all pairs of eval")
    except ToolkitError as error:
        raise stop(error) from None


def _first(utterances: list[Utterance], limit: int | None) -> list[Utterance]:
    seen: Counter[str] = Counter()
    chosen = []
    for utterance in utterances:
        seen[utterance.dataset] += 1
        if limit is None or seen[utterance.dataset] <= limit:
            chosen.append(utterance)
    return chosen


def _run(name: str, lists: dict[str, list[Utterance]], cache: Path) -> Run:
    embedder = load_embedder(name, device="cpu")
    run = Run(name, embedder.fingerprint, {}, {})
    for split, utterances in lists.items():
        vectors, kept = embedded(f"{name}, {split}", embedder, utterances, cache)
        run.results[split] = {
            crop: measure_by_dataset(some, kept, config=PROTOCOL)
            for crop, some in vectors.by_crop.items()
        }
        if split == "eval":
            for crop in DRAWN:
                run.trials[f"{Path(name).name}, {crop}"] = _pairs(vectors.by_crop[crop], kept)
    return run


def _pairs(vectors: np.ndarray, utterances: list[Utterance]) -> tuple[np.ndarray, np.ndarray]:
    """Scores and truth of all pairs within the data sets."""
    parts = []
    for rows in large_sets(utterances).values():
        speakers = np.unique([utterances[row].speaker for row in rows], return_inverse=True)[1]
        parts.append(verification_trials(vectors[rows], speakers))
    scores, truth = (np.concatenate(some) for some in zip(*parts, strict=True))
    return scores, truth


def _protocol() -> dict[str, Any]:
    return {
        **to_mapping(PROTOCOL),
        "crops_s": dict(CROPS_S),
        "minimum_speakers": MINIMUM_SPEAKERS,
        "trials": "all pairs, and identifications, within one data set; mean over data sets",
    }


def _to_json(run: Run) -> dict[str, Any]:
    measures = {
        split: {
            crop: {dataset: asdict(part) for dataset, part in by_dataset.items()}
            for crop, by_dataset in by_crop.items()
        }
        for split, by_crop in run.results.items()
    }
    return {"name": run.name, "fingerprint": run.fingerprint, "results": measures}


def _show(runs: list[Run]) -> None:
    out = Console(width=120)
    enrollments = PROTOCOL.enrollments
    priors = PROTOCOL.p_targets
    for run in runs:
        table = Table(title=f"{run.name} ({run.fingerprint}), %")
        table.add_column("split")
        table.add_column("data set", no_wrap=True)
        first, *others = CROPS_S
        costs = (f"DCF {prior:g}" for prior in priors)
        for column in (f"EER {first}", *others, *costs, *(f"K={k}" for k in enrollments), "all"):
            table.add_column(column, justify="right")
        for split, by_crop in run.results.items():
            for dataset, short in by_crop["3 s"].items():
                cells = [f"{100 * parts[dataset].eer:.1f}" for parts in by_crop.values()]
                cells += [f"{100 * short.min_dcf[prior]:.0f}" for prior in priors]
                cells += [
                    f"{100 * short.accuracy[k]:.1f}" if k in short.accuracy else "-"
                    for k in enrollments
                ]
                ranks = short.closed_set
                cells.append("-" if ranks is None else f"{100 * ranks.top1:.1f}")
                table.add_row(split, dataset, *cells, style="bold" if dataset == "mean" else None)
        out.print(table)
    out.print(
        f"DCF, K and all: of 3 s; K=n: share of anchors recognised among {1 + PROTOCOL.negatives} "
        "candidates of n utterances each; all: recognised among all speakers of the data set, "
        f"enrolled with {PROTOCOL.closed_enrollment}; - where the data set is too small for that",
        style="dim",
    )


if __name__ == "__main__":
    typer.run(main)
