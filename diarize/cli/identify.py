"""`diarize identify`: which enrolled speaker is it?"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
from encoder.errors import AudioError, ConfigError, StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from diarize.embedding.clip_embedding import ClipEmbedding
    from diarize.gallery.config import NamingConfig
    from diarize.gallery.schema import EnrolledSpeaker
    from encoder.calibration.score_calibration import Calibration

__all__ = ["identify"]

# Less than in recordings: a file is usually not of the room and the line of all others.
MIN_PROBABILITY = 0.9


def identify(
    files: MediaFiles,
    gallery: GalleryPath = None,
    top: Annotated[int, typer.Option(help="How many enrolled speakers to list a file.")] = 3,
    preset: PresetName = None,
    embedder: EmbedderName = None,
    segmenter: SegmenterName = None,
    min_probability: Annotated[
        OptionalFloat,
        typer.Option(help="Of being that speaker, to be named; 0.9 by default."),
    ] = None,
    min_similarity: Annotated[
        OptionalFloat,
        typer.Option(help="Cosine, instead of a probability."),
    ] = None,
    output: JsonOutput = None,
    quiet: Quiet = False,
) -> None:
    """Who speaks? The enrolled speakers who are most like the speaker of each file."""
    from diarize.cli.console import interruptible, tell
    from diarize.core.output import check_target, output_format, write_atomic
    from diarize.formats.json_text import format_json
    from diarize.gallery.config import NamingConfig
    from diarize.gallery.identification import check_rule

    if top < 1:
        raise ConfigError(f"--top is {top}: give 1 or more")
    if min_probability is not None and min_similarity is not None:
        raise ConfigError("--min-probability and --min-similarity exclude each other: give one")
    asked = MIN_PROBABILITY if min_probability is None else min_probability
    rule = NamingConfig(min_probability=asked, min_similarity=min_similarity)
    if output is not None:
        check_target(output)
        output_format(output, "json")
    check_files(files)
    with (
        interruptible("nothing was written"),
        open_gallery(gallery, quiet=quiet) as known,
    ):
        if not known.fingerprints():
            raise StoreError(
                f"the gallery {str(known.path)!r} is empty: "
                "enroll a speaker first with `diarize enroll NAME FILE`"
            )
        with models(preset, embedder, segmenter, shown=not quiet) as (
            clip_embedder,
            calibration,
            used,
            on_stage,
        ):
            enrolled = known.speakers(clip_embedder.embedder.fingerprint, embedder=used)
            if min_probability is not None:
                check_rule(rule, calibration)
            rows = []
            for done, path in enumerate(files):
                on_stage("embed", done, len(files))
                try:
                    clip = clip_embedder(path)
                except AudioError as error:
                    if len(files) == 1:
                        raise
                    rows.append(_row(path, error=str(error)))
                    continue
                rows.append(_compared(path, clip, enrolled, calibration, rule, top))
    if calibration is None and rule.min_similarity is None and not quiet:
        tell(
            f"the embedder {used!r} has no calibration, so no speaker is named: give "
            "--min-similarity"
        )
    for row in rows:
        if row["error"]:
            tell(row["error"])
    if output is not None:
        stored = {
            "gallery": str(known.path),
            "embedder": used,
            "encoder_fingerprint": clip_embedder.embedder.fingerprint,
            "files": rows,
        }
        write_atomic(output, format_json(stored))
    if output != "-":
        from diarize.cli.gallery_tables import identified_table

        identified_table(rows)
    if all(row["error"] for row in rows):
        raise typer.Exit(2)


def _compared(
    path: Path,
    clip: ClipEmbedding,
    enrolled: Sequence[EnrolledSpeaker],
    calibration: Calibration | None,
    rule: NamingConfig,
    top: int,
) -> dict[str, Any]:
    """The row of a file."""
    import numpy as np

    from diarize.gallery.identification import match_speakers, rank_speakers

    if clip.vector is None:
        return _row(path, speech_s=clip.speech_s, reason="no speech")
    ranked = rank_speakers(clip.vector, clip.speech_s, enrolled, calibration)
    name: str | None = None
    reason: str | None = "no calibration"
    if calibration is not None or rule.min_similarity is not None:
        ((match, why),) = match_speakers(
            clip.vector[None], np.array([clip.speech_s]), enrolled, calibration, rule=rule
        )
        name, reason = (match.name, None) if match and why is None else (None, why)
    candidates = [
        {
            key: round(value, 4) if isinstance(value, float) else value
            for key, value in asdict(match).items()
            if key in ("name", "kind", "similarity", "probability")
        }
        for match in ranked[:top]
    ]
    return _row(path, speech_s=clip.speech_s, name=name, reason=reason, candidates=candidates)


def _row(
    path: Path,
    *,
    speech_s: float = 0.0,
    name: str | None = None,
    reason: str | None = None,
    candidates: list[dict[str, Any]] | None = None,
    error: str | None = None,
) -> dict[str, Any]:
    return {
        "path": str(path),
        "speech_s": round(speech_s, 3),
        "name": name,
        "reason": reason,
        "candidates": candidates or [],
        "error": error,
    }
