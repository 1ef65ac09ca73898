"""Options that several commands share: one name, one meaning.

typer reads these annotations at run time, and Python 3.10's typing needs Optional for that.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer
from typer.models import OptionInfo

from diarize.models.presets import PRESETS
from diarize.segmentation import SEGMENTERS

__all__ = [
    "DeviceName",
    "EmbedderName",
    "GalleryPath",
    "JsonOutput",
    "MaxSpeakers",
    "MediaFiles",
    "MinSpeakers",
    "OptionalFloat",
    "OptionalInt",
    "OptionalPath",
    "OptionalStr",
    "OptionalStrings",
    "PresetName",
    "Quiet",
    "Replicates",
    "Root",
    "Seed",
    "SegmenterName",
    "Speakers",
    "set_option",
]

OptionalInt = Optional[int]  # noqa: UP045
OptionalFloat = Optional[float]  # noqa: UP045
OptionalStr = Optional[str]  # noqa: UP045
OptionalPath = Optional[Path]  # noqa: UP045
OptionalStrings = Optional[list[str]]  # noqa: UP045

MediaFiles = Annotated[list[Path], typer.Argument(help="Media files with one speaker each.")]

# How many speakers there are.
Speakers = Annotated[OptionalInt, typer.Option(help="Exact number of speakers.")]
MinSpeakers = Annotated[OptionalInt, typer.Option(help="Lowest number of speakers.")]
MaxSpeakers = Annotated[OptionalInt, typer.Option(help="Highest number of speakers.")]

# Models and settings.
PresetName = Annotated[
    OptionalStr,
    typer.Option(
        "--preset",
        help="Models with their settings: "
        + ", ".join(f"{preset.name} ({preset.help})" for preset in PRESETS.values())
        + "; by default the one of `diarize models default`.",
    ),
]
SegmenterName = Annotated[
    OptionalStr, typer.Option(help=f"What finds the speech: {', '.join(SEGMENTERS.names())}.")
]
EmbedderName = Annotated[
    OptionalStr,
    typer.Option(
        help="Weights: a name, the path of a .safetensors file, or onnx:MODEL (see README); by "
        "default the preset's."
    ),
]
DeviceName = Annotated[OptionalStr, typer.Option(help="cpu, cuda or auto.")]
GalleryPath = Annotated[
    OptionalPath,
    typer.Option("--gallery", help="File of the gallery; by default the user's own."),
]

# Scores.
Root = Annotated[
    OptionalPath,
    typer.Option(help="Folder that the paths of the list start from; by default the list's own."),
]
Replicates = Annotated[
    int, typer.Option(min=10, max=100_000, help="Bootstrap samples behind the intervals.")
]
Seed = Annotated[int, typer.Option(min=0, help="Of what is drawn at random.")]

# What is printed and written.
JsonOutput = Annotated[
    OptionalStr,
    typer.Option("-o", "--output", help="Write the result here as JSON; - is standard output."),
]
Quiet = Annotated[
    bool, typer.Option("-q", "--quiet", help="No progress, remarks or summary; only errors.")
]


def set_option(example: str) -> OptionInfo:
    """The option `--set` of a command for which `example` is a setting."""
    return typer.Option("--set", help=f"One setting, as {example}; may be repeated.")
