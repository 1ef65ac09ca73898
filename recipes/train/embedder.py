"""Train a Deep Speaker embedder: softmax pre-training, then triplets with mined negatives.

    python -m recipes.train.embedder --config recipes/configs/embedder/small.toml
        --data CORPUS --out runs/small

The same command goes on after a stop, with the losses of an undisturbed run. Speakers of the splits
`heldout` and `eval` are never read; validation uses a fixed share of the `train` speakers that
training leaves out. On several GPUs or machines: `--set engine.devices=4` (see
`encoder.training.distributed`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from encoder.common.config import apply_overrides, from_mapping, read_toml
from encoder.speaker_training.config import TrainConfig
from encoder.speaker_training.training_run import train
from recipes.shared.progress import Terminal


def main(
    config: Annotated[Path, typer.Option(help="TOML file")],
    data: Annotated[Path, typer.Option(help="corpus folder")],
    out: Annotated[Path, typer.Option(help="checkpoints, metrics and weights go here")],
    cache: Annotated[Path, typer.Option(help="feature banks are kept here")] = Path("cache/banks"),
    settings: Annotated[Optional[list[str]], typer.Option("--set", help="a.b=c")] = None,  # noqa: UP045
) -> None:
    """Train, validate and write weights."""
    report = Terminal()
    with report.ending():
        resolved = from_mapping(TrainConfig, apply_overrides(read_toml(config), settings or []))
        name = f"deepspeaker-{config.stem}"
        path = train(resolved, data, out, cache=cache, name=name, report=report)
    report.say(f"wrote {path}")


if __name__ == "__main__":
    typer.run(main)
