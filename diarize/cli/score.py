"""`diarize score`: diarizations, and by their names trials, identifications and groups of clips.

The first never imports torch.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from diarize.cli.command_groups import default_command
from diarize.cli.options import OptionalPath, OptionalStr, Quiet
from diarize.cli.score_clusters import clusters
from diarize.cli.score_embedder import identification, verification

if TYPE_CHECKING:
    from diarize.scoring.report import RecordingScore, ScoreReport

__all__ = ["app", "diarization", "score_table"]

app = typer.Typer(
    cls=default_command("diarization"),
    no_args_is_help=True,
    help="How good a result is. `diarize score REFERENCE HYPOTHESIS` is short for `diarize score "
    "diarization REFERENCE HYPOTHESIS`; a file that is named like a command needs its folder.",
)


@app.command("diarization")
def diarization(
    reference: Annotated[str, typer.Argument(help="RTTM file, or a folder of them.")],
    hypothesis: Annotated[str, typer.Argument(help="RTTM file, or a folder of them.")],
    uem: Annotated[
        OptionalPath, typer.Option(help="What is scored: UEM file, or a folder of them.")
    ] = None,
    common: Annotated[
        bool, typer.Option("--common", help="Score only recordings that both sides have.")
    ] = False,
    output: Annotated[
        OptionalStr,
        typer.Option(
            "-o",
            "--output",
            help="Write the scores here: .json, or .csv with a row a recording; - is JSON on "
            "standard output.",
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Diarization error rate (full, fair, forgiving), Jaccard error rate and speaker counts."""
    from diarize.cli.console import tell
    from diarize.core.output import check_target, output_format, write_atomic
    from diarize.scoring import score_files

    kind = ""
    if output is not None:
        check_target(output, inputs=[reference, hypothesis, *([] if uem is None else [uem])])
        kind = output_format(output, "json", "csv")
    report = score_files(reference, hypothesis, uem=uem, common=common)
    if output is not None and kind == "csv":
        write_atomic(output, report.to_csv())
    elif output is not None:
        write_atomic(output, json.dumps(report.to_json(), indent=2) + "\n")
    if not quiet:
        for note in report.notes:
            tell(note)
    if not quiet and output != "-":
        score_table(report)


app.command("verification")(verification)
app.command("identification")(identification)
app.command("clusters")(clusters)


def score_table(report: ScoreReport) -> None:
    """Draw the report on stdout: a row a recording, one for all (if there are several) that have
    no hypothesis, and the total weighted by time."""
    from rich.table import Table

    from diarize.cli.console import cell, wide_console

    console = wide_console()
    table = Table(title="DER in %, full = missed + false alarm + confusion")
    table.add_column("recording", overflow="fold")
    for title in ("full", "missed", "false al.", "confus.", "fair", "forgiving", "JER", "speakers"):
        table.add_column(title, justify="right")
    lost = report.missed_entirely
    grouped = {row.uri for row in lost.recordings} if len(lost.recordings) > 1 else set()
    for row in report.recordings:
        if row.uri not in grouped:
            found = f"{row.speakers_hypothesis}/{row.speakers_reference}"
            table.add_row(cell(row.uri), *_cells(row), found)
    if grouped:
        count = f"0/{lost.jer.reference_speakers}"
        table.add_row(f"{len(grouped)} without a hypothesis", *_cells(lost), count, style="dim")
    if len(report.recordings) > 1:
        right = f"{report.speaker_count_right} of {len(report.recordings)}"
        table.add_section()
        table.add_row("all", *_cells(report), right, style="bold")
    console.print(table)
    console.print(
        "speakers: found/true; fair: collar 0.25 s; forgiving: and overlap skipped", style="dim"
    )


def _cells(scored: RecordingScore | ScoreReport) -> list[str]:
    full = scored.der["full"]
    rates = [full.rate, full.missed_rate, full.false_alarm_rate, full.confusion_rate]
    rates += [scored.der["fair"].rate, scored.der["forgiving"].rate, scored.jer.rate]
    return [f"{100 * rate:.1f}" for rate in rates]
