"""`diarize run`: one recording in, turns out."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer
from typer.core import TyperCommand

from diarize.cli.loading import open_gallery
from diarize.cli.options import (
    DeviceName,
    EmbedderName,
    MaxSpeakers,
    MinSpeakers,
    OptionalFloat,
    OptionalInt,
    OptionalPath,
    OptionalStr,
    OptionalStrings,
    PresetName,
    Quiet,
    SegmenterName,
    Speakers,
    set_option,
)
from diarize.clustering import CLUSTERERS
from diarize.segmentation import SEGMENTERS
from encoder.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from diarize.gallery.gallery import Gallery
    from diarize.gallery.schema import EnrolledSpeaker

__all__ = ["RunCommand", "run"]

GALLERY_SUFFIXES = (".sqlite", ".db")


class RunCommand(TyperCommand):
    """`--gallery` alone means the user's own gallery; a name behind it must look like one, so that
    `diarize --gallery meeting.wav` does not take the recording for it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        given: list[str] = []
        behind = None  # what follows `--gallery` and was not taken for its file
        for at, arg in enumerate(args):
            if arg == "--":
                given += args[at:]
                break
            name = next(iter(args[at + 1 : at + 2]), None)
            if arg == "--gallery" and (name is None or not name.endswith(GALLERY_SUFFIXES)):
                arg = "--gallery="
                behind = name if name is None or not name.startswith("-") else None
            given.append(arg)
        if behind is None:
            return super().parse_args(ctx, given)
        ctx.allow_extra_args = True
        rest = super().parse_args(ctx, given)
        if rest:
            raise ConfigError(
                f"is {behind!r} a gallery or the recording? Let a gallery's name end in .sqlite "
                "or .db, or write --gallery=FILE"
            )
        return rest


def run(
    audio: Annotated[str, typer.Argument(help="Media file of any kind; - reads standard input.")],
    output: Annotated[
        OptionalStrings,
        typer.Option(
            "-o",
            "--output",
            help="Write turns here: .rttm or .json by the name's ending; - is RTTM on standard "
            "output, which is the default. May be given several times.",
        ),
    ] = None,
    speakers: Speakers = None,
    min_speakers: MinSpeakers = None,
    max_speakers: MaxSpeakers = None,
    channel: Annotated[
        OptionalInt, typer.Option(help="Use one channel, counted from 0, not the mix.")
    ] = None,
    track: Annotated[
        OptionalStr,
        typer.Option(
            metavar="N|mix|each",
            help="Of several audio tracks use one, counted from 0, or the mix of all, or each with "
            "speakers of its own; by default the best that is not silent.",
        ),
    ] = None,
    preset: PresetName = None,
    segmenter: SegmenterName = None,
    exclusive: Annotated[
        bool,
        typer.Option("--exclusive", help="One speaker at a time, as transcripts need it."),
    ] = False,
    clusterer: Annotated[
        OptionalStr,
        typer.Option(help=f"What groups the windows by speaker: {', '.join(CLUSTERERS.names())}."),
    ] = None,
    embedder: EmbedderName = None,
    gallery: Annotated[
        OptionalStr,
        typer.Option(
            metavar="[FILE]",
            help="Name the speakers that were enrolled; FILE (.sqlite or .db) if not your own "
            "gallery.",
        ),
    ] = None,
    link: Annotated[
        bool, typer.Option("--link", help="Remember the unknown speakers in the gallery as well.")
    ] = False,
    min_confidence: Annotated[
        OptionalFloat,
        typer.Option(help="Turns less likely right than this get no speaker (0 to 1)."),
    ] = None,
    device: DeviceName = None,
    config: Annotated[OptionalPath, typer.Option(help="TOML file of settings.")] = None,
    settings: Annotated[OptionalStrings, set_option("window.step_s=0.8")] = None,
    quiet: Quiet = False,
) -> None:
    """Who spoke when in one recording."""
    from diarize.core.output import check_target, output_format, write_atomic
    from diarize.core.speaker_count import SpeakerCount
    from diarize.models.presets import USERS, check_fetched
    from diarize.pipeline.config import load_config

    # Flags are checked before anything slow is imported or read.
    outputs = [(path, output_format(path, "rttm", "json")) for path in output or ["-"]]
    for path, _ in outputs:
        check_target(path)
    count = SpeakerCount.of(speakers, min_speakers, max_speakers)
    of_tracks = _track(track)
    named = link or gallery is not None
    flags = {
        "segmenter": segmenter, "clusterer": clusterer, "embedder": embedder, "device": device,
        "min_confidence": min_confidence,
    }  # fmt: skip
    chosen: dict[str, Any] = {name: value for name, value in flags.items() if value is not None}
    used = replace(load_config(config, settings or [], preset, otherwise=USERS), **chosen)
    if exclusive:
        used = replace(used, aggregation=replace(used.aggregation, exclusive=True))
    SEGMENTERS.check(used.segmenter)
    CLUSTERERS.check(used.clusterer)
    check_fetched(used.preset, vars(used))

    from diarize.cli.console import HowFar, interruptible, progress, speakers_table, tell
    from diarize.cli.models import tell_of_best

    unlinked: StoreError | None = None
    how_far = HowFar()
    known: Gallery | None = None

    def what_is_left() -> str:
        linked = known is not None and known.changed
        return f"{how_far}; " + (
            "unknown speakers are remembered, but no turns were written"
            if linked
            else "nothing was written"
        )

    with interruptible(what_is_left), contextlib.ExitStack() as stack:
        if named:
            known = stack.enter_context(open_gallery(gallery, writing=link, quiet=quiet))
        on_stage = how_far.noting(stack.enter_context(progress(shown=not quiet)))
        on_stage("load", 0, None)
        from diarize.pipeline.diarizer import Diarizer

        diarizer = Diarizer.from_config(used)
        enrolled: list[EnrolledSpeaker] = []
        if known:  # a rule that cannot be used is refused before the recording is read
            from diarize.gallery.identification import check_rule

            check_rule(used.naming, diarizer.calibration)
            enrolled = known.speakers(diarizer.embedder.fingerprint, embedder=used.embedder)
        result = diarizer(audio, count=count, channel=channel, track=of_tracks, on_stage=on_stage)
        if known:
            from diarize.pipeline.speaker_naming import name_result

            try:
                result = name_result(result, enrolled, link=known if link else None)
            except StoreError as error:
                unlinked = error
                result = name_result(result, enrolled)
    texts = {kind: getattr(result, f"to_{kind}")() for _, kind in outputs}
    for path, kind in outputs:
        write_atomic(path, texts[kind])
    if not quiet:
        for sentence in result.warnings:
            tell(f"warning: {sentence}")
        speakers_table(result)
        tell_of_best(used)
    if unlinked:
        tell(f"the turns were written, but no unknown speaker is remembered, for {unlinked}")
        raise typer.Exit(2)


def _track(text: str | None) -> int | Literal["mix", "each"] | None:
    if text is None or text in ("mix", "each"):
        return cast(Literal["mix", "each"] | None, text)
    try:
        return int(text)
    except ValueError:
        raise ConfigError(
            f"the track {text!r} is none: give a number, counted from 0, mix or each"
        ) from None
