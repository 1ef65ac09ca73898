"""Options that several commands share: one name, one meaning.

typer reads these annotations at run time, and Python 3.10's typing needs Optional for that.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from diarize.segmentation import SEGMENTERS

__all__ = [
    "DeviceName",
    "EmbedderName",
    "MaxSpeakers",
    "MinSpeakers",
    "OptionalFloat",
    "OptionalInt",
    "OptionalPath",
    "OptionalStr",
    "OptionalStrings",
    "Quiet",
    "SegmenterName",
    "Speakers",
]

OptionalInt = Optional[int]  # noqa: UP045
OptionalFloat = Optional[float]  # noqa: UP045
OptionalStr = Optional[str]  # noqa: UP045
OptionalPath = Optional[Path]  # noqa: UP045
OptionalStrings = Optional[list[str]]  # noqa: UP045

Speakers = Annotated[OptionalInt, typer.Option(help="Exact number of speakers.")]
MinSpeakers = Annotated[OptionalInt, typer.Option(help="At least so many.")]
MaxSpeakers = Annotated[OptionalInt, typer.Option(help="At most so many.")]
SegmenterName = Annotated[
    OptionalStr, typer.Option(help=f"What finds the speech: {', '.join(SEGMENTERS.names())}.")
]
EmbedderName = Annotated[
    OptionalStr,
    typer.Option(
        help="Weights: a name, the path of a .safetensors file, or onnx:MODEL (see README)."
    ),
]
DeviceName = Annotated[OptionalStr, typer.Option(help="cpu, cuda or auto.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Nothing but errors on stderr.")]
