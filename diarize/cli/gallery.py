"""`diarize enroll`, `forget`, `rename` and `gallery`: the voices that are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from diarize.cli.models import check_files, models, open_gallery
from diarize.cli.options import (
    EmbedderName,
    GalleryPath,
    JsonOutput,
    MediaFiles,
    OptionalFloat,
    Quiet,
    SegmenterName,
)
from encoder.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from diarize.gallery.gallery import Gallery

__all__ = ["enroll", "forget", "gallery", "rename"]


def enroll(
    name: Annotated[str, typer.Argument(help="What the person is called.")],
    files: MediaFiles,
    gallery: GalleryPath = None,
    embedder: EmbedderName = None,
    segmenter: SegmenterName = None,
    keep_sound: Annotated[
        bool,
        typer.Option(
            "--keep-sound",
            help="Keep up to 60 s of speech of each file in the gallery, so that it can be made "
            "anew for another embedder.",
        ),
    ] = False,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Also if another name has this voice already.")
    ] = False,
    min_speech: Annotated[
        OptionalFloat,
        typer.Option(help="Seconds of speech a person needs; 5 by default."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Make a voice known: add files of one person to the gallery."""
    from diarize.cli.console import interruptible, tell
    from diarize.gallery.enrolment import EnrollmentConfig, clip_sound, sounds_mixed
    from diarize.gallery.enrolment import enroll as enroll_sounds
    from diarize.gallery.names import clean_name, shown

    name = clean_name(name)
    config = EnrollmentConfig() if min_speech is None else EnrollmentConfig(min_speech_s=min_speech)
    check_files(files)
    with (
        interruptible("nobody was enrolled"),
        open_gallery(gallery, writing=True) as known,
        models(embedder, segmenter, shown=not quiet) as (voices, calibration, used, on_stage),
    ):
        sounds, remarks = [], []
        for done, path in enumerate(files):
            on_stage("embed", done, len(files))
            voice = voices(path)
            remarks += [f"{path}: {sentence}" for sentence in voice.warnings]
            if voice.vector is None:
                remarks.append(f"no speech in {str(path)!r}, so it tells nothing of a voice")
                continue
            if sounds_mixed(voice.pieces, voices.config.piece_s, calibration):
                remarks.append(f"two voices in {str(path)!r}? A file should hold one person")
            sounds.append(clip_sound(voice, str(path), keep=keep_sound, config=config))
        with known.changing():
            added, notes = enroll_sounds(
                known,
                name,
                sounds,
                fingerprint=voices.embedder.fingerprint,
                embedder=used,
                calibration=calibration,
                anyway=anyway,
                config=config,
            )
            called = known.called(name)
            person = next(p for p in known.people() if p.name == called)
    if quiet:
        return
    for sentence in remarks + notes:
        tell(f"warning: {sentence}")
    again = f", {len(sounds) - added} known already" if len(sounds) > added else ""
    tell(
        f"enrolled {shown(person.name)} with {added} new of {len(files)} files{again}; in all "
        f"{person.speech_s:.1f} s of speech in {len(person.exemplars)} exemplars"
    )


def forget(
    names: Annotated[list[str], typer.Argument(help="Who is forgotten.")],
    gallery: GalleryPath = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    quiet: Quiet = False,
) -> None:
    """Erase people from the gallery: vectors, and sounds where they were kept."""
    import sys

    from diarize.cli.console import tell
    from diarize.gallery.names import shown

    with open_gallery(gallery) as known:
        called = [known.called(name) for name in dict.fromkeys(names)]
        who = ", ".join(map(shown, called))
        asks = sys.stdin.isatty() and not yes
        if asks and not typer.confirm(f"Forget {who}?", err=True):
            tell("nobody was forgotten")
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
        bool, typer.Option("--merge", help="Make both one, if NEW is in the gallery already.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Give a known voice another name, or make two names one."""
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
        typer.Option("--reembed", help="Make all vectors anew from kept sounds, for --embedder."),
    ] = False,
    embedder: EmbedderName = None,
    segmenter: SegmenterName = None,
    quiet: Quiet = False,
) -> None:
    """Who is known: names, exemplars, seconds of speech."""
    from diarize.core.files import check_target, write_atomic
    from diarize.formats.json_text import format_json

    if output is not None:
        check_target(output)
    if not reembed and (embedder or segmenter):
        raise ConfigError("--embedder and --segmenter go with --reembed: add it, or leave them out")
    with open_gallery(gallery) as known:
        if reembed:
            _reembed(known, embedder, segmenter, shown=not quiet)
        people = known.people()
    rows = [
        {
            "name": person.name,
            "kind": person.kind,
            "exemplars": len(person.exemplars),
            "speech_s": round(person.speech_s, 3),
            "files": person.sounds,
            "sounds_kept": person.kept,
            "created": person.created,
            "added": person.added,
            "embedder": person.embedder,
            "encoder_fingerprint": person.fingerprint,
        }
        for person in people
    ]
    if output is not None:
        write_atomic(output, format_json({"gallery": str(known.path), "people": rows}))
    if output != "-":
        from diarize.cli.gallery_tables import people_table

        people_table(rows, str(known.path))


def _reembed(known: Gallery, embedder: str | None, segmenter: str | None, *, shown: bool) -> None:
    from diarize.cli.console import interruptible, tell
    from diarize.formats.clip_table import plural
    from diarize.gallery.enrolment import reembed

    known.check_writable()
    with (
        interruptible("the gallery is as it was"),
        models(embedder, segmenter, shown=shown) as (voices, _, used, on_stage),
    ):
        found = reembed(
            known, voices, used, on_done=lambda done, total: on_stage("embed", done, total)
        )
    if found.left and not found.done:
        raise StoreError(
            f"no sound was kept in the gallery {str(known.path)!r}: forget its people and enroll "
            "them again, with --keep-sound"
        )
    if not shown:
        return
    if not found.done:
        tell(f"all vectors are of {used} already")
        return
    tell(f"made anew with {used}: {', '.join(found.done)}")
    for name, sounds in found.lost.items():
        tell(f"warning: {plural(sounds, 'file')} of {name} went, as no sound was kept of it")
    if found.left:
        tell(f"warning: no sound was kept of {', '.join(found.left)}: forget and enroll them again")
