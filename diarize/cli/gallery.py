"""`diarize enroll`, `forget`, `rename` and `gallery`: the enrolled speakers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diarize.cli.loading import check_files, gallery_to_change, models
from diarize.cli.options import (
    EmbedderName,
    GalleryPath,
    JsonOutput,
    MediaFiles,
    OptionalFloat,
    OptionalStr,
    PresetName,
    Quiet,
    SegmenterName,
)
from diarize.core.turns import LONGEST
from encoder.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from diarize.embedding.clip_embedding import ClipEmbedder, ClipEmbedding
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
    speaker: Annotated[
        OptionalStr,
        typer.Option(
            help="Enroll this speaker of a recording with several: SPEAKER_01, as `diarize FILE` "
            f"calls them, or {LONGEST}: who speaks longest in each file."
        ),
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Also files that seem to hold several speakers, all of them."),
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Enroll a speaker: add files of one speaker to the gallery."""
    from diarize.cli.console import tell
    from diarize.gallery.enrollment import EnrollmentConfig, clip_enrollment, is_mixed
    from diarize.gallery.enrollment import enroll as add_enrollments
    from diarize.gallery.names import clean_name, shown

    name = clean_name(name)
    config = EnrollmentConfig() if min_speech is None else EnrollmentConfig(min_speech_s=min_speech)
    if speaker is not None and force:
        raise ConfigError("--speaker and --force exclude each other: give one")
    if speaker not in (None, LONGEST) and len(files) > 1:
        raise ConfigError(
            f"--speaker is {speaker!r}, which is another speaker in each of {len(files)} files: "
            f"give one file, or --speaker {LONGEST}"
        )
    check_files(files)
    with (
        gallery_to_change(
            *(gallery, f"but {shown(name)} is enrolled", "no speaker was enrolled"),
            writing=True,
            quiet=quiet,
        ) as known,
        models(preset, embedder, segmenter, shown=not quiet) as (
            clip_embedder,
            calibration,
            used,
            on_stage,
        ),
    ):
        embed: Callable[[Path], ClipEmbedding] = clip_embedder
        if speaker is not None:
            embed = _embedder_of(speaker, clip_embedder, preset, used, segmenter)
        enrollments, remarks = [], []
        for done, path in enumerate(files):
            on_stage("embed", done, len(files))
            clip = embed(path)
            remarks += [f"{path}: {sentence}" for sentence in clip.warnings]
            if clip.vector is None:
                remarks.append(f"no speech in {str(path)!r}, so it is left out")
                continue
            if is_mixed(clip.pieces, clip_embedder.config.piece_s, calibration):
                if not force and speaker is None:
                    raise ConfigError(
                        f"{str(path)!r} seems to hold several speakers: give files of one, name "
                        "the one that is meant (--speaker SPEAKER_01, as `diarize FILE` calls "
                        f"them, or {LONGEST}), or enroll all of them (--force)"
                    )
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
            enrolled = next(p for p in known.speakers() if p.name == called)
    if quiet:
        return
    for sentence in remarks + notes:
        tell(f"warning: {sentence}")
    again = f", {len(enrollments) - added} known already" if len(enrollments) > added else ""
    tell(
        f"enrolled {shown(enrolled.name)} with {added} new of {len(files)} files{again}; in all "
        f"{enrolled.speech_s:.1f} s of speech in {len(enrolled.exemplars)} exemplars"
    )


def _embedder_of(
    speaker: str,
    clip_embedder: ClipEmbedder,
    preset: str | None,
    embedder: str,
    segmenter: str | None,
) -> Callable[[Path], ClipEmbedding]:
    """Embeds what `speaker` says alone in a recording; they are called as by `diarize FILE`."""
    from dataclasses import replace

    from diarize.models.presets import USERS, check_fetched
    from diarize.pipeline.config import load_config
    from diarize.pipeline.diarizer import Diarizer
    from diarize.pipeline.speaker_speech import alone, chosen_speaker, speech_at

    config = replace(load_config(preset=preset, otherwise=USERS), embedder=embedder)
    if segmenter is not None:
        config = replace(config, segmenter=segmenter)
    check_fetched(config.preset, vars(config))
    diarizer = Diarizer.from_config(config)

    def embed(path: Path) -> ClipEmbedding:
        result = diarizer(path)
        spans = alone(result.turns, chosen_speaker(result.turns, speaker, str(path)))
        clip = clip_embedder.of_wave(speech_at(path, spans, clip_embedder.config.longest_s))
        return replace(clip, warnings=[*result.warnings])

    return embed


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

    all_of_them = ", ".join(map(shown, names))
    with gallery_to_change(
        gallery, f"but {all_of_them} went", "no speaker was forgotten", quiet=quiet
    ) as known:
        called = [known.called(name) for name in dict.fromkeys(names)]
        who = ", ".join(map(shown, called))
        if not yes:
            if not sys.stdin.isatty():
                raise ConfigError(
                    f"nobody can be asked whether to forget {who}, for standard input is no "
                    "terminal: add --yes"
                )
            if not typer.confirm(f"Forget {who}?", err=True):
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
    """Give a speaker in the gallery another name, or merge two."""
    from diarize.cli.console import tell
    from diarize.gallery.names import shown

    missing = (
        "rename is for the speakers of a gallery, who are remembered by `diarize FILE --link` as "
        "VOICE_0001 and on, or by `diarize enroll NAME FILE`"
    )
    done = f"but {shown(old)} was renamed"
    with gallery_to_change(
        gallery, done, "no name was changed", quiet=quiet, missing=missing
    ) as known:
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
    with gallery_to_change(
        gallery, "but all vectors are new", "the gallery is as it was", quiet=quiet
    ) as known:
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
    from diarize.cli.console import tell
    from diarize.core.text import plural
    from diarize.gallery.enrollment import reembed

    known.check_writable()
    loading = models(preset, embedder, segmenter, shown=shown)
    with loading as (clip_embedder, _, used, on_stage):
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
