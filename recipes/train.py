"""Train a Deep Speaker embedder: softmax pre-training, then triplets with mined negatives.

    python recipes/train.py --config recipes/configs/small.toml --data CORPUS --out runs/small

The same command goes on after a stop. Speakers of the splits `heldout` and `eval` are never read;
validation uses a fixed share of the `train` speakers that training leaves out.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Optional

import numpy as np
import torch
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from encoder.augment import AugmentConfig
from encoder.checkpoint import save_weights
from encoder.config import apply_overrides, from_mapping, read_toml
from encoder.dataset import FeatureBank, bank_of
from encoder.errors import CorpusError, ToolkitError
from encoder.evaluation import eer_by_dataset
from encoder.features import FeatureConfig
from encoder.losses import SoftmaxObjective, TripletObjective
from encoder.manifest import Utterance, read_manifest, split_validation
from encoder.mining import Strategy
from encoder.models.rescnn import ResCNN, ResCNNConfig
from encoder.sampler import CropBatches, SamplerConfig
from encoder.training import FitConfig, fit

console = Console(stderr=True)


@dataclass(frozen=True)
class SoftmaxPhase:
    """Pre-training as a classifier."""

    scale: float = field(default=30.0, metadata={"help": "multiplies cosines before the softmax"})
    margin: float = field(default=0.2, metadata={"help": "taken from the true speaker's cosine"})
    teacher_weight: float = field(default=0.0, metadata={"help": "of the teacher's loss"})
    sampler: SamplerConfig = field(default_factory=lambda: SamplerConfig(speakers=64, utterances=1))
    fit: FitConfig = field(default_factory=FitConfig)


@dataclass(frozen=True)
class TripletPhase:
    """Triplet training from the pre-trained weights."""

    margin: float = field(default=0.1, metadata={"help": "of the triplet loss; the paper's 0.1"})
    strategy: Strategy = field(default="hard", metadata={"help": "which negatives"})
    softmax_weight: float = field(default=0.0, metadata={"help": "keeps the classifier on"})
    teacher_weight: float = field(default=0.0, metadata={"help": "of the teacher's loss"})
    sampler: SamplerConfig = field(default_factory=lambda: SamplerConfig(speakers=48, utterances=2))
    fit: FitConfig = field(default_factory=FitConfig)


@dataclass(frozen=True)
class TrainConfig:
    """Everything a training run depends on."""

    seed: int = 1
    threads: int = field(default=2, metadata={"help": "CPU threads of the training"})
    validation_share: float = field(default=0.04, metadata={"help": "of the train speakers"})
    speeds: tuple[float, ...] = field(default=(1.0, 0.9, 1.1), metadata={"help": "copies cached"})
    model: ResCNNConfig = field(default_factory=ResCNNConfig)
    augmentation: AugmentConfig = field(default_factory=AugmentConfig)
    teacher: str = field(default="", metadata={"help": "npz of prepare_teacher.py; empty: none"})
    softmax: SoftmaxPhase = field(default_factory=SoftmaxPhase)
    triplet: TripletPhase = field(default_factory=TripletPhase)


def main(
    config: Annotated[Path, typer.Option(help="TOML file")],
    data: Annotated[Path, typer.Option(help="corpus folder")],
    out: Annotated[Path, typer.Option(help="checkpoints, metrics and weights go here")],
    cache: Annotated[Path, typer.Option(help="feature banks are kept here")] = Path("cache/banks"),
    settings: Annotated[Optional[list[str]], typer.Option("--set", help="a.b=c")] = None,  # noqa: UP045
) -> None:
    """Train, validate and write weights."""
    try:
        _train(config, data, out, cache, settings or [])
    except ToolkitError as error:
        console.print(f"error: {error}", style="red", highlight=False, markup=False)
        raise typer.Exit(2) from None


def _train(config: Path, data: Path, out: Path, cache: Path, settings: list[str]) -> None:
    plan = from_mapping(TrainConfig, apply_overrides(read_toml(config), settings))
    torch.set_num_threads(plan.threads)
    torch.manual_seed(plan.seed)
    utterances = [u for u in read_manifest(data / "voices/manifest.tsv") if u.split == "train"]
    train, validation = split_validation(utterances, share=plan.validation_share)
    teacher = _teacher_vectors(Path(plan.teacher)) if plan.teacher else None
    bank = _bank("train", utterances, cache, plan.speeds)
    noises = _noises(data)
    noise = _bank("noise", noises, cache) if noises else None
    held_back = {u.speaker for u in validation}
    kept = {u.speaker for u in train}
    training_bank = replace(
        bank, items=[i for i in bank.items if i.speaker.partition("@")[0] in kept]
    )

    def validate(model: torch.nn.Module) -> dict[str, float]:
        rates = eer_by_dataset(model, bank, crop_frames=160, speakers=held_back)
        return {"validation_eer_1.6s": rates["mean"]}

    def batches(sampler: SamplerConfig, seed: int) -> CropBatches:
        return CropBatches(
            training_bank,
            noise,
            sampler=sampler,
            augmentation=plan.augmentation,
            seed=seed,
            teacher=teacher,
        )

    model = ResCNN(plan.model).to(memory_format=torch.channels_last)
    softmax = batches(plan.softmax.sampler, plan.seed)
    classifier = SoftmaxObjective(
        plan.model.embedding_size,
        len(softmax.speakers),
        scale=plan.softmax.scale,
        margin=plan.softmax.margin,
        teacher_weight=plan.softmax.teacher_weight,
    )
    console.print(f"{len(softmax.speakers)} classes, {len(held_back)} validation speakers")
    with _bar("softmax", plan.softmax.fit.steps) as show:
        done = fit(
            model,
            classifier,
            softmax,
            config=plan.softmax.fit,
            out=out / "softmax",
            validate=validate,
            on_step=show,
        )
    console.print(f"softmax: {done.validation}")
    model.load_state_dict(done.averaged.state_dict())
    objective = TripletObjective(
        margin=plan.triplet.margin,
        strategy=plan.triplet.strategy,
        classifier=classifier,
        softmax_weight=plan.triplet.softmax_weight,
        teacher_weight=plan.triplet.teacher_weight,
    )
    with _bar("triplet", plan.triplet.fit.steps) as show:
        done = fit(
            model,
            objective,
            batches(plan.triplet.sampler, plan.seed + 1),
            config=plan.triplet.fit,
            out=out / "triplet",
            validate=validate,
            on_step=show,
        )
    console.print(f"triplet: {done.validation}")
    path = save_weights(done.averaged, FeatureConfig(), out, name=f"deepspeaker-{config.stem}")
    console.print(f"wrote {path}")


def _bank(
    name: str, utterances: list[Utterance], cache: Path, speeds: tuple[float, ...] = (1.0,)
) -> FeatureBank:
    with _bar(f"features {name}", len(utterances)) as show:
        return bank_of(
            utterances,
            cache,
            name,
            speeds=speeds,
            on_done=lambda done, _: show(done, {}),
            on_left_out=lambda sentence: console.print(f"left out: {sentence}", markup=False),
        )


def _teacher_vectors(path: Path) -> dict[str, torch.Tensor]:
    """Unit vectors by utterance name, with what all voices share (their mean) taken away."""
    try:
        with np.load(path) as stored:
            names, vectors = stored["names"], torch.from_numpy(stored["vectors"])
    except (OSError, KeyError, ValueError) as error:
        raise CorpusError(
            f"cannot read the teacher's vectors {str(path)!r}: make them with `make teacher`, "
            'or train without (teacher = "")'
        ) from error
    centred = torch.nn.functional.normalize(vectors - vectors.mean(dim=0))
    return dict(zip(names.tolist(), centred, strict=True))


def _noises(data: Path) -> list[Utterance]:
    """Background for augmentation; none without an acoustics.tsv."""
    path = data / "acoustics.tsv"
    if not path.exists():
        console.print(f"no {path}: training without added noise", markup=False)
        return []
    with path.open(newline="", encoding="utf-8") as handle:
        return [
            Utterance(
                data / r["path"], r["kind"], r["set"], "noise", r["path"], float(r["seconds"])
            )
            for r in csv.DictReader(handle, delimiter="\t")
            if r["kind"] in ("noise", "music")
        ]


class _bar:  # noqa: N801 - used like a function
    """Progress bar over steps; calling it moves the bar."""

    def __init__(self, title: str, total: int) -> None:
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total}"),
            TextColumn("{task.fields[shown]}"),
            TimeRemainingColumn(),
            console=console,
        )
        self.task = self.progress.add_task(title, total=total, shown="")

    def __enter__(self) -> _bar:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def __call__(self, step: int, measured: dict[str, float]) -> None:
        shown = "  ".join(f"{k} {v:.3f}" for k, v in measured.items())
        self.progress.update(self.task, completed=step, shown=shown)


if __name__ == "__main__":
    typer.run(main)
