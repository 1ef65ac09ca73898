"""How sure a turn's speaker is: fit the calibration of turns on the development conversations.

    python -m recipes.calibrate.turns --data ../shared/corpus [--embedder NAME|FILE|onnx:NAME ...]

Every conversation is diarized with the default settings, once with the number of speakers known and
once without. A turn counts as right for the share of its time that its own speaker speaks, and it
weighs as much as that time. All measures are of each recording with a calibration fitted on the
others. The numbers go on from the calibration of similarities that `make calibrate` made, or the
packaged one; one of them must be there. Writes the whole as the user's own, which comes first, and
recipes/results/confidence.json; with --embedder the latter only into the folder of --results.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from diarize.core.output import write_atomic
from diarize.pipeline.diarizer import Diarizer
from diarize.postprocessing.confidence import TurnCalibration, fit_turns, turn_evidence
from diarize.scoring.turn_accuracy import right_shares
from encoder.calibration.metrics import expected_calibration_error
from encoder.calibration.score_calibration import Calibration, find_calibration, write_calibration
from encoder.errors import ConfigError, ToolkitError
from encoder.hub.paths import own_weights
from recipes.shared.conversations import Conversation, conversations_in
from recipes.shared.embedders import (
    CalibrationFolder,
    CorpusFolder,
    EmbedderNames,
    ResultsFolder,
    config_with,
    each_embedder,
    results_folder,
    say,
    stop,
)

LEAST = (0.5, 0.6, 0.7, 0.8, 0.9)  # confidences at which the results show what is left
PROTOCOL = "development conversations, count known and not, each with a fit on the others"


class Seen(NamedTuple):
    """T turns: number of the recording, margin, length, share of time right, time that counts."""

    recording: NDArray[np.int64]
    margin: NDArray[np.float64]
    turn_s: NDArray[np.float64]
    right: NDArray[np.float64]
    counts_s: NDArray[np.float64]

    def some(self, rows: NDArray[np.bool_]) -> Seen:
        return Seen(*(column[rows] for column in self))


def main(
    data: CorpusFolder,
    embedder: EmbedderNames = None,
    out: CalibrationFolder = None,
    results: ResultsFolder = None,
) -> None:
    """Fit, measure by leaving one recording out, write."""
    try:
        if (recordings := conversations_in(data)) is None:
            return
        weights = own_weights() if out is None else out
        measured = each_embedder(embedder, lambda name: _calibrate(name, recordings, weights))
        _show(measured)
        if (kept := results_folder(results, embedder)) is not None:
            stored = {"protocol": PROTOCOL, "embedders": measured}
            write_atomic(kept / "confidence.json", json.dumps(stored, indent=1) + "\n")
    except ToolkitError as error:
        raise stop(error) from None


def _calibrate(name: str, recordings: list[Conversation], out: Path) -> dict[str, Any]:
    diarizer = Diarizer.from_config(config_with(name))
    fingerprint = diarizer.embedder.fingerprint
    calibration = find_calibration(fingerprint)
    if calibration is None:
        raise ConfigError(
            f"there is no calibration of {name} ({fingerprint}): run `make calibrate` first"
        )
    seen = _watch(diarizer, recordings, calibration)
    sure = np.zeros(len(seen.right))
    for number in range(len(recordings)):
        fitted = _fitted(seen.some(seen.recording != number))
        own = seen.recording == number
        sure[own] = fitted.probability(seen.margin[own], seen.turn_s[own])
    recordings_seen, turns = len(np.unique(seen.recording)), len(seen.right)
    about = f"{recordings_seen} development conversations, {turns} turns"
    fitted = _fitted(seen).stored_in(calibration)
    fitted = replace(fitted, fitted_on={**calibration.fitted_on, "turns": about})
    say(f"wrote {write_calibration(fitted, out)}")
    base = np.average(seen.right, weights=seen.counts_s)
    return {
        "name": name,
        "fingerprint": fingerprint,
        "recordings": len(recordings),
        "turns": len(seen.right),
        "right": float(base),
        "brier": _brier(sure, seen),
        "brier_without": _brier(np.full(len(sure), base), seen),
        "expected_calibration_error": expected_calibration_error(
            sure, seen.right, weights=seen.counts_s
        ),
        "at_least": {str(least): _left(sure >= least, seen) for least in LEAST},
    }


def _watch(diarizer: Diarizer, recordings: list[Conversation], calibration: Calibration) -> Seen:
    """The turns of all recordings, with known and unknown number of speakers."""
    parts = []
    for number, recording in enumerate(recordings):
        for known in (None, len({turn.speaker for turn in recording.reference})):
            result = diarizer(recording.path, speakers=known)
            margins, seconds = turn_evidence(
                result.windows,
                result.embeddings,
                result.labels,
                result.window_turns,
                calibration,
                lengths_s=np.array([turn.end_s - turn.start_s for turn in result.turns]),
            )
            right, counts = right_shares(recording.reference, result.turns, uem=recording.uem)
            spoken = counts > 0
            columns = (np.full(len(right), number), margins, seconds, right, counts)
            parts.append([column[spoken] for column in columns])
    return Seen(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _fitted(seen: Seen) -> TurnCalibration:
    return fit_turns(seen.margin, seen.turn_s, seen.right, seen.counts_s)


def _brier(sure: NDArray[np.float64], seen: Seen) -> float:
    return float(np.average((sure - seen.right) ** 2, weights=seen.counts_s))


def _left(kept: NDArray[np.bool_], seen: Seen) -> dict[str, float]:
    time = seen.counts_s[kept].sum()
    right = (seen.right * seen.counts_s)[kept].sum() / time if time else 0.0
    return {"time": float(time / seen.counts_s.sum()), "right": float(right)}


def _show(measured: list[dict[str, Any]]) -> None:
    table = Table(title="time with the right speaker, % (of % of the time)")
    table.add_column("embedder")
    for title in (
        "all",
        *(f">= {least}" for least in LEAST),
        "calibration error",
        "Brier",
        "without",
    ):
        table.add_column(title, justify="right")
    for row in measured:
        cells = [f"{100 * row['right']:.1f}"]
        cells += [
            f"{100 * part['right']:.1f} ({100 * part['time']:.0f})"
            for part in row["at_least"].values()
        ]
        cells.append(f"{100 * row['expected_calibration_error']:.1f}")
        cells += [f"{row['brier']:.3f}", f"{row['brier_without']:.3f}"]
        table.add_row(row["name"], *cells)
    Console(width=120).print(table)


if __name__ == "__main__":
    typer.run(main)
