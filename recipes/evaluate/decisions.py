"""Do the settings of the pipeline's decisions hold? On real and simulated conversations together.

    python -m recipes.prepare.simulated_conversations --data ../shared/corpus --split train
        --seed 10 --out cache/simulated-train
    python -m recipes.evaluate.decisions --data ../shared/corpus --simulated cache/simulated-train
        [--preset fast --preset best] [--set a.b=c]

Real ones are the corpus's development conversations. For each preset every recording is embedded
once; then each setting is tried at 0.7 and at 1.4 times its value. Cross-validated: two settings
that count speakers are chosen anew on four fifths of the recordings (least mean of the error on
real and on simulated ones), and the fifth that had no say is scored. With the oracle speaker count
the error should not grow. Writes results/decisions.json.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Optional

import numpy as np
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from diarize.clustering.agglomerative import AgglomerativeConfig
from diarize.core.output import write_atomic
from diarize.core.speaker_count import SpeakerCount
from diarize.models.presets import PRESETS
from diarize.pipeline.config import load_config
from diarize.pipeline.diarizer import Diarizer, Prepared
from diarize.scoring.report import RecordingScore, ScoreReport
from encoder.common.config import to_mapping
from encoder.common.units import samples_to_seconds
from encoder.errors import ToolkitError
from recipes.shared.conversations import Conversation, conversations_in, read_conversations
from recipes.shared.embedders import (
    CorpusFolder,
    PresetNames,
    ResultsFolder,
    Saving,
    results_folder,
    stop,
)

# The first two are chosen anew in each fold.
MODELLED = ("resegmentation.evidence", "resegmentation.prior")
PLAIN = (
    "clustering.agglomerative.merge_ratio",
    "resegmentation.concentration",
    "resegmentation.prior_s",
    "clustering.agglomerative.enough_share",
)
BOTH = (
    "resegmentation.turn_s",
    "aggregation.embedding_weight",
    "aggregation.softmax_scale",
    "aggregation.overlap_threshold",
    "aggregation.min_gap_s",
    "window.min_clustering_window_s",
)
FACTORS = (0.7, 1.4)
FOLDS = 5
ORACLE = "oracle speaker count"
MINUTE_S = 60.0


@dataclass(frozen=True)
class Item:
    """A recording, ready to be decided on."""

    conversation: Conversation
    prepared: Prepared
    real: bool

    @property
    def speakers(self) -> int:
        return len({turn.speaker for turn in self.conversation.reference})


def main(
    data: CorpusFolder,
    simulated: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Option(help="folder that `make simulate` wrote; repeatable"),
    ] = None,
    preset: PresetNames = None,
    settings: Annotated[Optional[list[str]], typer.Option("--set", help="a.b=c")] = None,  # noqa: UP045
    seed: Annotated[int, typer.Option(help="of the folds")] = 0,
    results: ResultsFolder = None,
    save: Saving = True,
) -> None:
    """Embed once, decide many times, print, write."""
    try:
        if (real := conversations_in(data)) is None:
            return
        made = [
            c for folder in simulated or () for c in read_conversations(folder / "conversations")
        ]
        runs = {
            name: _run(name, settings or [], real, made, seed) for name in preset or list(PRESETS)
        }
        asked = preset or settings
        if save and (kept := results_folder(results, asked)) is not None:
            text = json.dumps({"folds": FOLDS, "seed": seed, "presets": runs}, indent=1)
            write_atomic(kept / "decisions.json", text + "\n")
    except ToolkitError as error:
        raise stop(error) from None


def _run(
    preset: str,
    settings: Sequence[str],
    real: Sequence[Conversation],
    made: Sequence[Conversation],
    seed: int,
) -> dict[str, Any]:
    diarizer = Diarizer.from_config(load_config(None, settings, preset))
    items = _prepared(diarizer, real, made)

    def scored(*changes: str, oracle: bool = False) -> list[RecordingScore]:
        other = diarizer.with_settings(load_config(None, [*settings, *changes], preset))
        return [_score(other, item, oracle) for item in items]

    knobs = _knobs(diarizer)
    plain = scored()
    found = {
        "settings": {knob: _value(diarizer, knob) for knob in knobs},
        "as they are": _totals(items, plain),
        ORACLE: _totals(items, scored(oracle=True)),
        "cross-validated": _totals(items, _cross_validated(diarizer, items, plain, scored, seed)),
        "flat": {
            knob: {
                str(factor): _totals(items, scored(_times(diarizer, knob, factor)))
                for factor in FACTORS
            }
            for knob in knobs
        },
    }
    _show(preset, found)
    return found


def _prepared(
    diarizer: Diarizer, real: Sequence[Conversation], made: Sequence[Conversation]
) -> list[Item]:
    items = []
    with Progress(console=Console(stderr=True)) as progress:
        for some, is_real in ((real, True), (made, False)):
            for conversation in progress.track(some, description="embedded"):
                items.append(Item(conversation, diarizer.prepare(conversation.path), is_real))
    return items


def _score(diarizer: Diarizer, item: Item, oracle: bool) -> RecordingScore:
    count = SpeakerCount.of(item.speakers) if oracle else None
    result = diarizer.decide(item.prepared, count)
    return item.conversation.score(result.turns, result.duration_s)


def _cross_validated(
    diarizer: Diarizer,
    items: Sequence[Item],
    plain: list[RecordingScore],
    scored: Any,
    seed: int,
) -> list[RecordingScore]:
    """The score of each recording with the settings that the other folds would choose."""
    chosen = _knobs(diarizer)[:2]
    grid = [
        scored(*(_times(diarizer, k, f) for k, f in zip(chosen, factors, strict=True)))
        for factors in product((1.0, *FACTORS), repeat=len(chosen))
        if factors != (1.0,) * len(chosen)
    ]
    candidates = [plain, *grid]
    fold = np.random.default_rng(seed).permutation(len(items)) % FOLDS
    out = list(plain)
    for number in range(FOLDS):
        others = [n for n in range(len(items)) if fold[n] != number]
        errors = [_objective(items, scores, others) for scores in candidates]
        best = candidates[int(np.argmin(errors))]  # of equals the first, the settings as they are
        for n in np.flatnonzero(fold == number):
            out[n] = best[n]
    return out


def _objective(
    items: Sequence[Item], scores: Sequence[RecordingScore], rows: Sequence[int]
) -> float:
    """Mean of the error on real and on simulated recordings, each weighted by time."""
    kinds = [[scores[n] for n in rows if items[n].real is real] for real in (True, False)]
    return float(np.mean([ScoreReport(tuple(some)).der["full"].rate for some in kinds if some]))


def _totals(items: Sequence[Item], scores: Sequence[RecordingScore]) -> dict[str, Any]:
    """Percentages and counts of both kinds of recordings."""
    found = {}
    for name, real in (("real", True), ("simulated", False)):
        some = [(i, s) for i, s in zip(items, scores, strict=True) if i.real is real]
        if not some:
            continue
        full = ScoreReport(tuple(s for _, s in some)).der["full"]
        each = [s.der["full"].error_s / max(s.der["full"].reference_s, 1e-9) for _, s in some]
        long = [s for i, s in some if samples_to_seconds(i.prepared.length) >= MINUTE_S]
        found[name] = {
            "recordings": len(some),
            "der": round(100 * full.rate, 2),
            "confusion": round(100 * full.confusion_s / max(full.reference_s, 1e-9), 2),
            "mean_der": round(100 * float(np.mean(each)), 2),
            "counts_right": sum(_right(s) for _, s in some),
            "of_a_minute_and_more": len(long),
            "counts_right_of_these": sum(map(_right, long)),
        }
    return found


def _right(score: RecordingScore) -> bool:
    return score.speakers_hypothesis == score.speakers_reference


def _knobs(diarizer: Diarizer) -> tuple[str, ...]:
    """The settings that matter: with a model of the vectors others do than without."""
    return (*(PLAIN if diarizer.plda is None else MODELLED), *BOTH)


def _value(diarizer: Diarizer, knob: str) -> float:
    value: Any = to_mapping(diarizer.config)
    value["clustering"] = {
        "agglomerative": to_mapping(AgglomerativeConfig()),
        **value["clustering"],
    }
    for name in knob.split("."):
        value = value[name]
    return float(value)


def _times(diarizer: Diarizer, knob: str, factor: float) -> str:
    return f"{knob}={min(_value(diarizer, knob) * factor, _most(knob)):.6g}"


def _most(knob: str) -> float:
    return 1.0 if knob.startswith("aggregation.") and knob.endswith(("weight", "old")) else np.inf


def _show(preset: str, found: Mapping[str, Any]) -> None:
    table = Table(title=f"preset {preset}: DER / confusion / mean DER a recording %, counts right")
    for title in ("", "real", "simulated"):
        table.add_column(title, justify="left" if not title else "right")
    rows = {name: found[name] for name in ("as they are", "cross-validated", ORACLE)}
    for knob, tried in found["flat"].items():
        value = found["settings"][knob]
        rows |= {f"{knob} {value:g} x {factor}": totals for factor, totals in tried.items()}
    for name, totals in rows.items():
        cells = [
            f"{t['der']:.1f} / {t['confusion']:.1f} / {t['mean_der']:.1f}, "
            f"{t['counts_right']} of {t['recordings']}"
            if (t := totals.get(kind))
            else ""
            for kind in ("real", "simulated")
        ]
        table.add_row(name, *cells)
    Console(width=110).print(table)


if __name__ == "__main__":
    typer.run(main)
