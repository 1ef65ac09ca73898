"""`diarize run`: one recording in, turns out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from diarize.clustering import CLUSTERERS
from diarize.segmentation import SEGMENTERS
from encoder.errors import ConfigError

__all__ = ["run"]

# typer reads these annotations at run time, and Python 3.10's typing needs Optional for that.
OptionalInt = Optional[int]  # noqa: UP045
OptionalPath = Optional[Path]  # noqa: UP045


def run(
    audio: Annotated[str, typer.Argument(help="Media file of any kind; - reads standard input.")],
    output: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            "-o",
            "--output",
            help="Write turns here: .rttm or .json by the name's ending; - is RTTM on standard "
            "output, which is the default. May be given several times.",
        ),
    ] = None,
    speakers: Annotated[OptionalInt, typer.Option(help="Exact number of speakers.")] = None,
    min_speakers: Annotated[OptionalInt, typer.Option(help="At least so many.")] = None,
    max_speakers: Annotated[OptionalInt, typer.Option(help="At most so many.")] = None,
    channel: Annotated[
        OptionalInt, typer.Option(help="Use one channel, counted from 0, not the mix.")
    ] = None,
    segmenter: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help=f"What finds the speech: {', '.join(SEGMENTERS.names())}."),
    ] = None,
    clusterer: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help=f"What groups the voices: {', '.join(CLUSTERERS.names())}."),
    ] = None,
    embedder: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="Weights: a name, the path of a .safetensors file, or onnx:MODEL (see README)."
        ),
    ] = None,
    device: Annotated[Optional[str], typer.Option(help="cpu, cuda or auto.")] = None,  # noqa: UP045
    config: Annotated[OptionalPath, typer.Option(help="TOML file of settings.")] = None,
    settings: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--set", help="One setting, as window.step_s=0.8; may be repeated."),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("-q", "--quiet", help="Nothing but errors on stderr.")
    ] = False,
) -> None:
    """Who spoke when in one recording."""
    from diarize.clustering.door import SpeakerCount
    from diarize.config import load_config
    from diarize.files import check_target, write_atomic

    # Whatever can be wrong with the flags is said before anything slow is imported or read.
    outputs = [(path, _format_of(path)) for path in output or ["-"]]
    for path, _ in outputs:
        check_target(path)
    SpeakerCount.of(speakers, min_speakers, max_speakers)
    flags = {
        "segmenter": segmenter, "clusterer": clusterer, "embedder": embedder, "device": device,
    }  # fmt: skip
    chosen: dict[str, Any] = {name: value for name, value in flags.items() if value is not None}
    plan = replace(load_config(config, settings or []), **chosen)
    SEGMENTERS.check(plan.segmenter)
    CLUSTERERS.check(plan.clusterer)

    from diarize.cli_view import progress, speakers_table, tell
    from diarize.pipeline import Diarizer

    try:
        with progress(shown=not quiet) as on_stage:
            on_stage("load", 0, None)
            result = Diarizer.from_config(plan)(
                audio,
                speakers=speakers,
                min_speakers=min_speakers,
                max_speakers=max_speakers,
                channel=channel,
                on_stage=on_stage,
            )
    except KeyboardInterrupt:
        tell("stopped, nothing was written")
        raise typer.Exit(130) from None
    texts = {kind: getattr(result, f"to_{kind}")() for _, kind in outputs}
    for path, kind in outputs:
        write_atomic(path, texts[kind])
    if not quiet:
        for sentence in result.warnings:
            tell(f"warning: {sentence}")
        speakers_table(result)


def _format_of(path: str) -> str:
    suffix = Path(path).suffix.lower()
    if path == "-" or suffix in (".rttm", "") or path.startswith("/dev/"):
        return "rttm"
    if suffix == ".json":
        return "json"
    raise ConfigError(f"cannot tell the format of {path!r}: end the name in .rttm or .json")
