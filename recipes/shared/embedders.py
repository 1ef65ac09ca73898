"""What recipes do that run one embedder after another; imported by recipes only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Optional, TypeVar

import typer
from rich.console import Console
from rich.progress import Progress

from diarize.core.text import printable
from diarize.models.presets import PRESETS
from diarize.pipeline.config import DiarizeConfig, load_config
from encoder.data.manifest import Utterance
from encoder.data.splits import split_validation
from encoder.errors import BackendUnavailable, CheckpointError, ToolkitError
from encoder.hub.paths import DEFAULT
from encoder.inference.extraction import LONGEST_S, CropVectors, crop_vectors
from encoder.inference.window_embedder import WindowEmbedder

REFERENCE = "campplus"  # a public model beside ours, for scale
BOTH = (DEFAULT, REFERENCE)
RESULTS = Path(__file__).parents[1] / "results"
VALIDATION_SHARE = 0.04  # as configs/embedder/small.toml
RunT = TypeVar("RunT")
console = Console(stderr=True)

# Options that several recipes have; what "default" means is `results_folder`'s to say.
CorpusFolder = Annotated[Path, typer.Option(help="corpus folder")]
EmbedderNames = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option(help=f"name or file; repeatable (default: {' and '.join(BOTH)})"),
]
PresetNames = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option(help=f"repeatable (default: {', '.join(PRESETS)})"),
]
CalibrationFolder = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(help="folder for the calibrations (default: the user's own weights)"),
]
ResultsFolder = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(help="folder (default: recipes/results, of a run with nothing but defaults)"),
]
VectorCache = Annotated[Path, typer.Option(help="vectors are kept here")]
Saving = Annotated[bool, typer.Option(help="write into the folder of results")]


def each_embedder(
    asked: Sequence[str] | None, run: Callable[[str], RunT], *, default: Sequence[str] = BOTH
) -> list[RunT]:
    """What `run` gives for every name; the reference may be absent unless it was asked for."""
    runs = []
    for name in asked or default:
        try:
            runs.append(run(name))
        except (BackendUnavailable, CheckpointError) as error:
            if asked or name != REFERENCE:
                raise
            say(f"left out {name}: {error}", style="yellow")
    return runs


def config_with(embedder: str) -> DiarizeConfig:
    """The preset that has this embedder; with any other, `fast` with it in place of its own."""
    for preset in PRESETS:
        config = load_config(preset=preset)
        if config.embedder == embedder:
            return config
    return replace(load_config(), embedder=embedder)


def embedded(
    name: str, embedder: WindowEmbedder, utterances: Sequence[Utterance], cache: Path, **more: Any
) -> tuple[CropVectors, list[Utterance]]:
    """`crop_vectors` with a bar, and the utterances that they are of; says what is left out."""
    with Progress(console=console) as progress:
        task = progress.add_task(name, total=len(utterances))
        found = crop_vectors(
            embedder,
            utterances,
            cache=cache,
            on_done=lambda done, _: progress.update(task, completed=done),
            **more,
        )
    for sentence in found.left_out:
        say(f"left out: {sentence}")
    if found.shortened:
        say(f"read only the first {LONGEST_S:g} s of {len(found.shortened)} utterances")
    return found, [utterances[row] for row in found.kept]


def validation(utterances: Sequence[Utterance]) -> list[Utterance]:
    """The validation speakers of the split `train`."""
    train = [u for u in utterances if u.split == "train"]
    return split_validation(train, share=VALIDATION_SHARE)[1]


def results_folder(results: Path | None, asked: object) -> Path | None:
    """Where results go: into recipes/results only those of the default embedders, which the
    tables show, unless a folder was given. Says so and gives None for others."""
    if results is None and asked:
        say(f"saved nothing, as {RESULTS.name}/ is of the default embedders: give --results folder")
        return None
    folder = RESULTS if results is None else results
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def say(sentence: str, *, style: str | None = None) -> None:
    """One line on standard error."""
    shown = printable(sentence)
    console.print(shown, style=style, highlight=False, markup=False, soft_wrap=True)


def stop(error: ToolkitError) -> typer.Exit:
    """Say what is wrong; raise the result."""
    console.print(printable(f"error: {error}"), style="red", highlight=False, markup=False)
    return typer.Exit(2)


def is_corpus(data: Path) -> bool:
    """Whether there is one; says that it is skipped if not."""
    if not data.is_dir():
        print(f"skipped: there is no corpus in {str(data)!r}; give DATA=folder")
    return data.is_dir()
