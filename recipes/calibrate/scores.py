"""What a similarity of an embedder means: fit its calibration, and check it on other speakers.

    python -m recipes.calibrate.scores --data ../shared/corpus [--embedder NAME|FILE|onnx:NAME ...]

Fitted on all pairs of utterances within each data set of `heldout`: whole against whole, 3 s
against 3 s, 1.6 s against 1.6 s and whole against 1.6 s, so that the calibration knows short sounds
as well as long ones. Checked on `eval` and on the training's validation speakers, of whom the fit
knows nothing. Writes `calibration-FINGERPRINT.json` into the user's own folder of weights, which
comes before the packaged ones, and keeps what an earlier one says of turns. With --check nothing is
fitted: what is installed is measured and written to recipes/results/calibration.json; with
--embedder only into the folder that --results names.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from diarize.core.output import write_atomic
from diarize.embedding.embedders import load_embedder
from encoder.calibration.metrics import (
    balanced_weights,
    cllr,
    expected_calibration_error,
    min_cllr,
)
from encoder.calibration.score_calibration import (
    Calibration,
    file_name,
    find_calibration,
    fit_calibration,
    read_calibration,
    write_calibration,
)
from encoder.data.corpora import read_corpus
from encoder.data.manifest import Utterance
from encoder.errors import CheckpointError, CorpusError, ToolkitError
from encoder.evaluation.metrics import eer
from encoder.evaluation.protocol import large_sets
from encoder.hub.paths import calibration_folders, own_weights
from encoder.inference.extraction import CROPS_S, CropVectors
from recipes.shared.embedders import (
    CalibrationFolder,
    CorpusFolder,
    EmbedderNames,
    ResultsFolder,
    VectorCache,
    each_embedder,
    embedded,
    is_corpus,
    results_folder,
    say,
    stop,
    validation,
)

FITTED_ON = "heldout"
PAIRS = (("full", "full"), ("3 s", "3 s"), ("1.6 s", "1.6 s"), ("full", "1.6 s"))
Checked = dict[str, dict[str, dict[str, float]]]  # split -> pair of crops -> measure


class Trials(NamedTuple):
    """Arrays (P,): similarity, truth, seconds of both sounds, number of the data set."""

    scores: np.ndarray
    is_target: np.ndarray
    a_s: np.ndarray
    b_s: np.ndarray
    dataset: np.ndarray


def main(
    data: CorpusFolder,
    embedder: EmbedderNames = None,
    out: CalibrationFolder = None,
    check: Annotated[bool, typer.Option(help="fit nothing, measure what is installed")] = False,
    cache: VectorCache = Path("cache/vectors"),
    results: ResultsFolder = None,
    save: Annotated[bool, typer.Option(help="with --check: write the results")] = True,
) -> None:
    """Fit, check and write the calibration of each embedder."""
    if not is_corpus(data):
        return
    try:
        folder = own_weights() if out is None else out
        splits = _splits(data)
        runs = each_embedder(
            embedder, lambda name: _run(name, splits, cache, None if check else folder, data)
        )
        _show(runs)
        if check and save and (kept := results_folder(results, embedder)) is not None:
            stored = {"pairs": [" and ".join(pair) for pair in PAIRS], "embedders": runs}
            write_atomic(kept / "calibration.json", json.dumps(stored, indent=1) + "\n")
    except ToolkitError as error:
        raise stop(error) from None


def calibrate_beside(weights: Path, data: Path, *, cache: Path) -> None:
    """Fit the calibration of a weights file into its folder, and check nothing. ToolkitError where
    that cannot be."""
    fitted_on = [u for u in read_corpus(data, on_warning=say) if u.split == FITTED_ON]
    _check_enough(fitted_on, data)
    _run(str(weights), {FITTED_ON: fitted_on}, cache, weights.parent, data)


def _splits(data: Path) -> dict[str, list[Utterance]]:
    utterances = read_corpus(data, on_warning=say)
    splits = {name: [u for u in utterances if u.split == name] for name in (FITTED_ON, "eval")}
    splits["validation"] = validation(utterances)
    _check_enough(splits[FITTED_ON], data)
    return {name: some for name, some in splits.items() if large_sets(some)}


def _check_enough(utterances: list[Utterance], data: Path) -> None:
    if not large_sets(utterances):
        raise CorpusError(
            f"no data set of {str(data)!r} has 4 speakers of the split {FITTED_ON!r} and two "
            "utterances of one of them: a calibration needs more data"
        )


def _run(
    name: str, splits: dict[str, list[Utterance]], cache: Path, folder: Path | None, data: Path
) -> dict[str, Any]:
    embedder = load_embedder(name, device="cpu")
    trials = {
        split: _all_trials(*embedded(f"{name}, {split}", embedder, utterances, cache))
        for split, utterances in splits.items()
        if folder is not None or split != FITTED_ON
    }
    if folder is None:
        calibration = find_calibration(embedder.fingerprint)
        if calibration is None:
            raise CheckpointError(
                f"there is no calibration of {name!r} ({embedder.fingerprint}): make one with "
                f"`make calibrate WEIGHTS={name}`"
            )
    else:
        about = _about(splits[FITTED_ON], data)
        calibration = _fit(trials[FITTED_ON], embedder.fingerprint, about, folder)
    checked = {
        split: {" and ".join(pair): _measures(calibration, some) for pair, some in by_pair.items()}
        for split, by_pair in trials.items()
        if split != FITTED_ON
    }
    numbers = {k: getattr(calibration, k) for k in ("slope", "offset", "shortness", "fitted_on")}
    return {"name": name, "fingerprint": embedder.fingerprint, **numbers, "checked": checked}


def _all_trials(
    vectors: CropVectors, utterances: Sequence[Utterance]
) -> dict[tuple[str, str], Trials]:
    return {pair: _trials(vectors, utterances, pair) for pair in PAIRS}


def _trials(vectors: CropVectors, utterances: Sequence[Utterance], pair: tuple[str, str]) -> Trials:
    """All pairs of utterances within the data sets, the first as one crop, the second as other."""
    (first, second), (first_s, second_s) = (
        [of[crop] for crop in pair] for of in (vectors.by_crop, _seconds(vectors))
    )
    parts = []
    for number, rows in enumerate(large_sets(utterances).values()):
        speakers = np.array([utterances[row].speaker for row in rows])
        a, b = np.triu_indices(len(rows), k=1)
        scores = (first[rows] @ second[rows].T)[a, b]
        same = speakers[a] == speakers[b]
        parts.append((scores, same, first_s[rows][a], second_s[rows][b], np.full(len(a), number)))
    return Trials(*(np.concatenate(some) for some in zip(*parts, strict=True)))


def _seconds(vectors: CropVectors) -> dict[str, np.ndarray]:
    return {crop: vectors.seconds_of(seconds) for crop, seconds in CROPS_S.items()}


def _fit(
    by_pair: dict[tuple[str, str], Trials], fingerprint: str, about: dict[str, Any], folder: Path
) -> Calibration:
    together = Trials(*(np.concatenate(some) for some in zip(*by_pair.values(), strict=True)))
    weights = [balanced_weights(t.is_target, t.dataset) for t in by_pair.values()]
    about |= {"trials": len(together.scores), "of_one_speaker": int(together.is_target.sum())}
    fitted = fit_calibration(
        *together[:4], weights=np.concatenate(weights), fingerprint=fingerprint, fitted_on=about
    )
    fitted = _with_turns(fitted, [folder, *calibration_folders()])
    say(f"wrote {write_calibration(fitted, folder)}")
    return fitted


def _with_turns(fitted: Calibration, folders: list[Path]) -> Calibration:
    """As `recipes.calibrate.turns` fitted them into the first calibration that has some."""
    for path in (folder / file_name(fitted.fingerprint) for folder in folders):
        try:
            earlier = read_calibration(path) if path.is_file() else None
        except CheckpointError as error:
            say(f"read nothing from a damaged calibration: {error}", style="yellow")
            continue
        if earlier and earlier.fingerprint == fitted.fingerprint and earlier.further:
            about = {k: v for k, v in earlier.fitted_on.items() if k == "turns"}
            return replace(fitted, further=earlier.further, fitted_on=fitted.fitted_on | about)
    return fitted


def _about(utterances: list[Utterance], data: Path) -> dict[str, Any]:
    sets = large_sets(utterances)
    used = [utterances[row] for rows in sets.values() for row in rows]
    return {
        "data": data.resolve().name,
        "split": FITTED_ON,
        "data_sets": list(sets),
        "speakers": len({u.speaker for u in used}),
        "utterances": len(used),
        "pairs": [" and ".join(pair) for pair in PAIRS],
    }


def _measures(calibration: Calibration, trials: Trials) -> dict[str, float]:
    """Every data set weighs the same."""
    chance = calibration.probability(trials.scores, trials.a_s, trials.b_s)
    weights = balanced_weights(trials.is_target, trials.dataset)
    rates = [
        eer(chance[own], trials.is_target[own]).rate
        for own in (trials.dataset == number for number in np.unique(trials.dataset))
    ]
    return {
        "eer": float(np.mean(rates)),
        "cllr": cllr(chance, trials.is_target, weights=weights),
        "min_cllr": min_cllr(chance, trials.is_target, weights=weights),
        "ece": expected_calibration_error(chance, trials.is_target, weights=weights),
        "trials": len(trials.scores),
        "of_one_speaker": int(trials.is_target.sum()),
    }


def _show(runs: list[dict[str, Any]]) -> None:
    table = Table(title="calibration, on speakers that it was not fitted on")
    for column in ("embedder", "split", "sounds"):
        table.add_column(column, no_wrap=True)
    for column in ("EER %", "Cllr", "least", "ECE %", "trials"):
        table.add_column(column, justify="right")
    for run in runs:
        for split, by_pair in run["checked"].items():
            for pair, m in by_pair.items():
                cells = [f"{100 * m['eer']:.1f}", f"{m['cllr']:.3f}", f"{m['min_cllr']:.3f}"]
                cells += [f"{100 * m['ece']:.1f}", str(m["trials"])]
                table.add_row(Path(run["name"]).name, split, pair, *cells)
    Console(width=120).print(table)


if __name__ == "__main__":
    typer.run(main)
