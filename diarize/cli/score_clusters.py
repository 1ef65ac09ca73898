"""`diarize score clusters`: groups of clips against their true speakers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diarize.cli.options import JsonOutput, Quiet
from diarize.core.text import and_more, plural

if TYPE_CHECKING:
    from diarize.scoring.clustering_metrics import ClusterScore

__all__ = ["clusters", "clusters_table"]


class Missing(str, Enum):
    """What becomes of clips that were not grouped."""

    leave_out = "leave-out"
    alone = "alone"


def clusters(
    labels: Annotated[
        Path,
        typer.Argument(
            help="The true speakers: a CSV, TSV or JSON with path and speaker, or a folder "
            "with a folder for each speaker."
        ),
    ],
    found: Annotated[Path, typer.Argument(help="What `diarize cluster` wrote: CSV or JSON.")],
    missing: Annotated[
        Missing,
        typer.Option(
            help="Clips with no group: leave them out, or count each as a speaker by itself."
        ),
    ] = Missing.leave_out,
    output: JsonOutput = None,
    quiet: Quiet = False,
) -> None:
    """Pairwise precision and recall, adjusted Rand index, V-measure and purity."""
    from diarize.cli.console import interruptible, tell
    from diarize.core.output import check_target, output_format, write_atomic
    from diarize.formats.clip_table import read_clip_labels
    from diarize.scoring.clustering_metrics import match_clips, score_clusters
    from encoder.errors import CorpusError

    if output is not None:
        check_target(output, inputs=[labels, found])
        output_format(output, "json")
    with interruptible("nothing was written"):
        truth = _speaker_folders(labels, tell) if labels.is_dir() else read_clip_labels(labels)
        groups_found = read_clip_labels(found)
        if not truth:
            raise CorpusError(f"{str(labels)!r} has no clip with a speaker: name the true speakers")
        if not groups_found and missing is not Missing.alone:
            raise CorpusError(
                f"{str(found)!r} has no clip with a group: `--missing alone` counts each clip as a "
                "speaker by itself"
            )
        matched = match_clips(truth, groups_found)
        if not matched.truth and groups_found:
            raise CorpusError(
                f"no clip is in both: {str(labels)!r} has {_named(matched.not_found)} and "
                f"{str(found)!r} has {_named(matched.not_known)}; clips pair by their paths, or by "
                "their ends"
            )
        true, groups = list(matched.truth), list(matched.found)
        if missing is Missing.alone:
            true += [truth[path] for path in matched.not_found]
            groups += [""] * len(matched.not_found)
        score = score_clusters(true, groups)
        notes = []
        if matched.not_found:
            done = "each counts as a speaker" if missing is Missing.alone else "left out"
            notes.append(f"{str(found)!r} has no group for {_named(matched.not_found)}: {done}")
        if matched.not_known:
            notes.append(f"{str(labels)!r} does not know {_named(matched.not_known)}: left out")
        if output is not None:
            lists = {"no_group": matched.not_found, "not_known": matched.not_known}
            write_atomic(output, json.dumps({**score.to_json(), **lists}, indent=2) + "\n")
    if not quiet:
        for note in notes:
            tell(note)
    if not quiet and output != "-":
        clusters_table({str(found): score})


def clusters_table(scores: Mapping[str, ClusterScore]) -> None:
    """Draw named scores on stdout."""
    from rich.table import Table

    from diarize.cli.console import cell, wide_console

    table = Table(title="groups of clips, %")
    table.add_column("", overflow="fold")
    for title in ("precision", "recall", "F", "ARI", "V", "purity", "speakers", "clips"):
        table.add_column(title, justify="right")
    for name, score in scores.items():
        shares = (score.precision, score.recall, score.f, score.ari, score.v_measure, score.purity)
        table.add_row(
            cell(name),
            *(f"{100 * share:.1f}" for share in shares),
            f"{score.speakers_found}/{score.speakers_true}",
            str(score.clips),
        )
    console = wide_console()
    console.print(table)
    console.print("precision, recall, F: of pairs of clips; speakers: found/true", style="dim")


def _speaker_folders(folder: Path, warn: Callable[[str], None]) -> dict[str, str]:
    """Speaker by path for a folder of speaker folders, with any media below them."""
    from encoder.audio.media_files import folders_in, media_below
    from encoder.data.corpora.split_folders import refuse_parts_as_speakers
    from encoder.errors import CorpusError

    found = {
        path.relative_to(folder).as_posix(): speaker.name
        for speaker in folders_in(folder)
        for path in media_below(speaker)
    }
    if not found:
        raise CorpusError(
            f"{str(folder)!r} has no folder with sound files: give a folder of speaker folders, "
            "or a table with path and speaker"
        )
    refuse_parts_as_speakers(folder, set(found.values()), warn)
    return found


def _named(paths: list[str]) -> str:
    """The first few, and how many more there are."""
    return f"{plural(len(paths), 'clip')}, {and_more(map(repr, paths))}"
