"""Tables about the gallery, on standard output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from diarize.cli.console import cell, wide_console
from diarize.core.text import plural

__all__ = ["gallery_table", "identified_table"]


def gallery_table(rows: Sequence[dict[str, Any]], where: str) -> None:
    """One row a speaker, as `diarize gallery` writes them into JSON."""
    console = wide_console()
    if not rows:
        console.print(f"the gallery {cell(where)} is empty", highlight=False)
        return
    table = Table(title=f"{plural(len(rows), 'speaker')} in {cell(where)}")
    table.add_column("name", overflow="fold")
    table.add_column("kind")
    for title in ("exemplars", "speech", "files", "kept"):
        table.add_column(title, justify="right")
    for title in ("added", "embedder"):
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(
            cell(row["name"]),
            row["kind"],
            str(row["exemplars"]),
            f"{row['speech_s']:.1f} s",
            str(row["files"]),
            str(row["sounds_kept"]),
            row["added"][:10],
            cell(f"{row['embedder']} ({row['encoder_fingerprint']})"),
        )
    console.print(table)


def identified_table(rows: Sequence[dict[str, Any]]) -> None:
    """The candidates of each file, and who it is or why it is unknown."""
    console = wide_console()
    table = Table()
    table.add_column("file", overflow="fold")
    table.add_column("speech", justify="right")
    table.add_column("is", overflow="fold")
    table.add_column("most like", overflow="fold")
    for title in ("similarity", "probability"):
        table.add_column(title, justify="right")
    for row in rows:
        table.add_section()
        verdict = row["name"] or f"unknown ({row['reason'] or 'not readable'})"
        first = (cell(row["path"]), f"{row['speech_s']:.1f} s", cell(verdict))
        for candidate in row["candidates"] or [None]:
            table.add_row(*first, *_cells(candidate))
            first = ("", "", "")
    console.print(table)


def _cells(candidate: dict[str, Any] | None) -> tuple[str, str, str]:
    if candidate is None:
        return "", "", ""
    probability = candidate["probability"]
    return (
        cell(candidate["name"]),
        f"{candidate['similarity']:.3f}",
        "-" if probability is None else f"{probability:.2f}",
    )
