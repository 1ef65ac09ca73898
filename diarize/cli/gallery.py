"""`diarize enroll`, `forget`, `rename` and `gallery`: the enrolled speakers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from diarize.cli.loading import check_files, models, open_gallery
from diarize.cli.options import (
    EmbedderName,
    GalleryPath,
    JsonOutput,
    MediaFiles,
    OptionalFloat,
    PresetName,
    Quiet,
    SegmenterName,
)
from encoder.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from diarize.gallery.gallery import Gallery

__all__ = ["enroll", "forget", "gallery", "rename"]


def enroll(
    name: Annotated[str, typer.Argument(help="What the speaker is called.")],
    files: MediaFiles,
    gallery: GalleryPath = None,
    preset: PresetName = None,
    embedder: EmbedderName = None,
    segmenter: SegmenterName = None,
    keep_sound: Annotated[
        bool,
        typer.Option(
            "--keep-sound",
            help="Keep up to 60 s of speech of each file in the gallery, so that it can be "
            "embedded again with another embedder.",
        ),
    ] = False,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Also if another name has this speaker already.")
    ] = False,
    min_speech: Annotated[
        OptionalFloat,
        typer.Option(help="Seconds of speech a speaker needs; 5 by default."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Enroll a speaker: add files of one speaker to the gallery."""
    from diarize.cli.console import interruptible, tell
    from diarize.gallery.enrollment import EnrollmentConfig, clip_enrollment, is_mixed
    from diarize.gallery.enrollment import enroll as add_enrollments
    from diarize.gallery.names import clean_name, shown

    name = clean_name(name)
    config = EnrollmentConfig() if min_speech is None else EnrollmentConfig(min_speech_s=min_speech)
    check_files(files)
    with (
        interruptible("no speaker was enrolled"),
        open_gallery(gallery, writing=True) as known,
        models(preset, embedder, segmenter, shown=not quiet) as (
            clip_embedder,
            calibration,
            used,
            on_stage,
        ),
    ):
        enrollments, remarks = [], []
        for done, path in enumerate(files):
            on_stage("embed", done, len(files))
            clip = clip_embedder(path)
            remarks += [f"{path}: {sentence}" for sentence in clip.warnings]
            if clip.vector is None:
                remarks.append(f"no speech in {str(path)!r}, so it is left out")
                continue
            if is_mixed(clip.pieces, clip_embedder.config.piece_s, calibration):
                remarks.append(f"two speakers in {str(path)!r}? A file should hold one")
            enrollments.append(clip_enrollment(clip, str(path), keep=keep_sound, config=config))
        with known.changing():
            added, notes = add_enrollments(
                known,
                name,
                enrollments,
                fingerprint=clip_embedder.embedder.fingerprint,
                embedder=used,
                calibration=calibration,
                anyway=anyway,
                config=config,
            )
            called = known.called(name)
            speaker = next(p for p in known.speakers() if p.name == called)
    if quiet:
        return
    for sentence in remarks + notes:
        tell(f"warning: {sentence}")
    again = f", {len(enrollments) - added} known already" if len(enrollments) > added else ""
    tell(
        f"enrolled {shown(speaker.name)} with {added} new of {len(files)} files{again}; in all "
        f"{speaker.speech_s:.1f} s of speech in {len(speaker.exemplars)} exemplars"
    )


def forget(
    names: Annotated[list[str], typer.Argument(help="Who is forgotten.")],
    gallery: GalleryPath = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    quiet: Quiet = False,
) -> None:
    """Erase speakers from the gallery: vectors, and sounds where they were kept."""
    import sys

    from diarize.cli.console import tell
    from diarize.gallery.names import shown

    with open_gallery(gallery) as known:
        called = [known.called(name) for name in dict.fromkeys(names)]
        who = ", ".join(map(shown, called))
        asks = sys.stdin.isatty() and not yes
        if asks and not typer.confirm(f"Forget {who}?", err=True):
            tell("no speaker was forgotten")
            raise typer.Exit(1)
        with known.changing():
            for name in dict.fromkeys(called):
                known.forget(name)
    if not quiet:
        tell(f"forgot {who}")


def rename(
    old: Annotated[str, typer.Argument(help="The name so far, as VOICE_0001.")],
    new: Annotated[str, typer.Argument(help="The name from now on.")],
    gallery: GalleryPath = None,
    merge: Annotated[
        bool, typer.Option("--merge", help="Merge both, if NEW is in the gallery already.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Give an enrolled speaker another name, or merge two."""
    from diarize.cli.console import tell
    from diarize.gallery.names import shown

    with open_gallery(gallery) as known:
        before = known.called(old)
        name = known.rename(old, new, merge=merge)
    if not quiet:
        tell(f"{shown(before)} is {shown(name)} now")


def gallery(
    gallery: GalleryPath = None,
    output: JsonOutput = None,
    reembed: Annotated[
        bool,
        typer.Option("--reembed", help="Embed the kept sounds again, with --preset or --embedder."),
    ] = False,
    preset: PresetName = None,
    embedder: EmbedderName = None,
    segmenter: SegmenterName = None,
    quiet: Quiet = False,
) -> None:
    """The enrolled speakers: names, exemplars, seconds of speech."""
    from diarize.core.output import check_target, output_format, write_atomic
    from diarize.formats.json_text import format_json

    if output is not None:
        check_target(output)
        output_format(output, "json")
    if not reembed and (preset or embedder or segmenter):
        raise ConfigError(
            "--preset, --embedder and --segmenter go with --reembed: add it, or leave them out"
        )
    with open_gallery(gallery) as known:
        if reembed:
            _reembed(known, preset, embedder, segmenter, shown=not quiet)
        enrolled = known.speakers()
    rows = [
        {
            "name": speaker.name,
            "kind": speaker.kind,
            "exemplars": len(speaker.exemplars),
            "speech_s": round(speaker.speech_s, 3),
            "files": speaker.enrollments,
            "sounds_kept": speaker.kept,
            "created": speaker.created,
            "added": speaker.added,
            "embedder": speaker.embedder,
            "encoder_fingerprint": speaker.fingerprint,
        }
        for speaker in enrolled
    ]
    if output is not None:
        write_atomic(output, format_json({"gallery": str(known.path), "speakers": rows}))
    if output != "-":
        from diarize.cli.gallery_tables import gallery_table

        gallery_table(rows, str(known.path))


def _reembed(
    known: Gallery, preset: str | None, embedder: str | None, segmenter: str | None, *, shown: bool
) -> None:
    from diarize.cli.console import interruptible, tell
    from diarize.core.text import plural
    from diarize.gallery.enrollment import reembed

    known.check_writable()
    with (
        interruptible("the gallery is as it was"),
        models(preset, embedder, segmenter, shown=shown) as (clip_embedder, _, used, on_stage),
    ):
        found = reembed(
            known, clip_embedder, used, on_done=lambda done, total: on_stage("embed", done, total)
        )
    if found.left and not found.done:
        raise StoreError(
            f"no sound was kept in the gallery {str(known.path)!r}: forget its speakers and enroll "
            "them again, with --keep-sound"
        )
    if not shown:
        return
    if not found.done:
        tell(f"all vectors are of {used} already")
        return
    tell(f"embedded again with {used}: {', '.join(found.done)}")
    for name, enrollments in found.lost.items():
        tell(f"warning: {plural(enrollments, 'file')} of {name} went, as no sound was kept of it")
    if found.left:
        tell(f"warning: no sound was kept of {', '.join(found.left)}: forget and enroll them again")
