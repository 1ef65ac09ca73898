"""Fine-tune the packaged weights on a folder of your own speakers.

    python -m recipes.train.finetune --data my_voices/ --out runs/mine

`my_voices/` holds a folder for each speaker with any media in it (or any corpus layout). A quarter
of each speaker's utterances is held back; the equal error rate on them is shown before and after,
and on the `heldout` speakers of a general corpus if there is one, which shows what was forgotten.
Weights are written only if they are better than those before, and beside them a calibration, fitted
on those speakers of the general corpus. The same command goes on after a stop.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.console import Console
from rich.table import Table

from encoder.common.config import apply_overrides, from_mapping, read_toml
from encoder.errors import CorpusError, ToolkitError
from encoder.speaker_training.config import TrainConfig
from encoder.speaker_training.finetuning import CROPS, Candidate, Finetuned, finetune
from recipes.calibrate.scores import calibrate_beside
from recipes.shared.progress import Terminal

CONFIG = Path(__file__).parents[1] / "configs" / "embedder" / "finetune.toml"


def main(
    data: Annotated[Path, typer.Option(help="folder of speaker folders, or a corpus")],
    out: Annotated[Path, typer.Option(help="checkpoints, metrics and weights go here")],
    config: Annotated[Path, typer.Option(help="TOML file")] = CONFIG,
    general: Annotated[Optional[Path], typer.Option(help="corpus with heldout speakers")] = None,  # noqa: UP045
    cache: Annotated[Path, typer.Option(help="feature banks are kept here")] = Path("cache/banks"),
    settings: Annotated[Optional[list[str]], typer.Option("--set", help="a.b=c")] = None,  # noqa: UP045
) -> None:
    """Train on, compare, keep the better."""
    report = Terminal()
    if general is not None and not general.is_dir():
        report.say(f"there is no general corpus in {str(general)!r}: forgetting is not measured")
        general = None
    with report.ending():
        resolved = from_mapping(TrainConfig, apply_overrides(read_toml(config), settings or []))
        done = finetune(
            resolved,
            data,
            out,
            general=general,
            cache=cache,
            name="deepspeaker-mine",
            report=report,
        )
        _show(done)
        if done.weights is not None:
            _calibrate(done.weights, general, cache / "vectors", report)


def _calibrate(weights: Path, general: Path | None, cache: Path, report: Terminal) -> None:
    """Beside the weights, where `diarize` finds it: what was fitted before is of other vectors."""
    try:
        if general is None:
            raise CorpusError("there is no general corpus with heldout speakers")
        calibrate_beside(weights, general, cache=cache)
    except ToolkitError as error:
        report.warn(f"no calibration, so these weights give no probabilities: {error}")


def _show(done: Finetuned) -> None:
    table = Table(title="EER in %: your held-back utterances, and speakers never trained on")
    table.add_column("weights")
    for whose in ("yours", "heldout"):
        for crop in CROPS:
            table.add_column(f"{whose} {crop}", justify="right")
    for candidate in done.candidates:
        style = "bold" if candidate is done.kept else None
        table.add_row(candidate.name, *_cells(candidate), style=style)
    Console(width=100).print(table)
    if done.weights is None:
        print("the weights before are the better ones on your speakers: nothing was written")
    else:
        print(f"kept {done.kept.name}: {done.weights}")


def _cells(candidate: Candidate) -> list[str]:
    rates = [group.get(crop) for group in (candidate.own, candidate.general) for crop in CROPS]
    return ["-" if rate is None else f"{100 * rate:.1f}" for rate in rates]


if __name__ == "__main__":
    typer.run(main)
