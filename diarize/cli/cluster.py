"""`diarize cluster`: a folder of clips in, a table of who speaks in which out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diarize.cli.options import (
    DeviceName,
    EmbedderName,
    MaxSpeakers,
    MinSpeakers,
    OptionalFloat,
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
from encoder.errors import ConfigError

if TYPE_CHECKING:
    from diarize.clips.group import ClipGroups

__all__ = ["cluster"]


def cluster(
    paths: Annotated[list[Path], typer.Argument(help="Folders of clips, at any depth, or files.")],
    output: Annotated[
        OptionalStrings,
        typer.Option(
            "-o",
            "--output",
            help="Write the table here: .csv or .json by the name's ending; - is CSV on standard "
            "output, which is the default. May be given several times.",
        ),
    ] = None,
    speakers: Speakers = None,
    min_speakers: MinSpeakers = None,
    max_speakers: MaxSpeakers = None,
    min_similarity: Annotated[
        OptionalFloat,
        typer.Option(help="Clips are one speaker's from this mean cosine on, -1 to 1."),
    ] = None,
    min_probability: Annotated[
        OptionalFloat,
        typer.Option(help="Or from this probability of being one speaker on; 0.6 by default."),
    ] = None,
    clusterer: Annotated[
        OptionalStr,
        typer.Option(
            help=f"What groups the clips: {', '.join(CLUSTERERS.names())}. By default all pairs "
            "are compared, above 10000 clips only nearest neighbours."
        ),
    ] = None,
    preset: PresetName = None,
    segmenter: SegmenterName = None,
    embedder: EmbedderName = None,
    device: DeviceName = None,
    copy_to: Annotated[
        OptionalPath,
        typer.Option(help="Copy the clips into this new folder, one folder a speaker."),
    ] = None,
    link_to: Annotated[
        OptionalPath, typer.Option(help="The same with symbolic links instead of copies.")
    ] = None,
    cache: Annotated[
        OptionalPath,
        typer.Option(
            help="File that keeps the vectors of clips, if not the one in the cache folder."
        ),
    ] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Embed every clip again.")] = False,
    settings: Annotated[OptionalStrings, set_option("clip_embedding.piece_s=3")] = None,
    quiet: Quiet = False,
) -> None:
    """Group a folder of clips by speaker, one speaker a clip."""
    from diarize.cli.console import interruptible, tell
    from diarize.clips.export_folders import check_folder
    from diarize.core.output import check_target, output_format
    from diarize.core.speaker_count import SpeakerCount

    # Flags are checked before anything slow is imported or read.
    outputs = [(path, output_format(path, "csv", "json")) for path in output or ["-"]]
    for path, _ in outputs:
        check_target(path)
    for one, other, names in (
        (copy_to, link_to, "--copy-to and --link-to"),
        (min_similarity, min_probability, "--min-similarity and --min-probability"),
        (cache, no_cache or None, "--cache and --no-cache"),
    ):
        if one is not None and other is not None:
            raise ConfigError(f"{names} exclude each other: give one")
    exported_to = copy_to or link_to
    if exported_to is not None:
        written = [*(Path(path) for path, _ in outputs if path != "-"), *([cache] if cache else [])]
        check_folder(exported_to, paths, written)
    count = SpeakerCount.of(speakers, min_speakers, max_speakers)
    flags = {
        "segmenter": segmenter, "clusterer": clusterer, "embedder": embedder, "device": device,
        "min_similarity": min_similarity, "min_probability": min_probability,
    }  # fmt: skip
    chosen = {name: value for name, value in flags.items() if value is not None}
    SEGMENTERS.check(segmenter or SEGMENTERS.names()[0])
    CLUSTERERS.check(clusterer or CLUSTERERS.names()[0])

    from diarize.cli.cluster_view import clips_table, counting
    from diarize.clips.export_folders import export_clips
    from diarize.clips.group import clips_config, group_clips
    from diarize.core.text import plural
    from diarize.models.presets import USERS

    config = clips_config(settings or [], preset, otherwise=USERS, chosen=chosen)
    embedded = (0, 0)

    def what_is_left() -> str:
        done, total = embedded
        so_far = f"{done} of {plural(total, 'clip')} embedded" if total else "no clip embedded"
        return so_far + ("" if no_cache else "; run it again to go on")

    with interruptible(what_is_left):
        with counting(shown=not quiet) as report:

            def on_done(title: str, done: int, total: int) -> None:
                nonlocal embedded
                embedded = done, total
                report(title, done, total)

            groups = group_clips(
                paths, config, count, cache=False if no_cache else cache, on_done=on_done
            )
        _write(groups, outputs)
        warnings = list(groups.warnings)
        if exported_to is not None:
            with counting(shown=not quiet) as report:
                export_clips(
                    [clip.path for clip in groups.clips],
                    [row.speaker for row in groups.rows],
                    exported_to,
                    "copy" if copy_to else "link",
                    places=paths,
                    on_done=lambda done, total: report("exporting clips", done, total),
                    on_warning=warnings.append,
                )
    if not quiet:
        for sentence in warnings:
            tell(sentence)
        clips_table(groups.rows)


def _write(groups: ClipGroups, outputs: Sequence[tuple[str, str]]) -> None:
    from diarize.core.output import write_atomic
    from diarize.formats.clip_table import format_csv
    from diarize.formats.json_text import format_json

    texts = {
        kind: format_csv(groups.rows) if kind == "csv" else format_json(groups.to_mapping())
        for _, kind in outputs
    }
    for path, kind in outputs:
        write_atomic(path, texts[kind])
