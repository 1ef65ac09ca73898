"""What `diarize cluster` draws on stderr: a bar with a count, and the largest speakers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from diarize.core.text import plural
from diarize.formats.clip_table import ClipRow, speaker_groups

__all__ = ["clips_table", "counting"]

MOST_SHOWN = 20  # speakers in the table


@contextmanager
def counting(*, shown: bool) -> Iterator[Callable[[str, int, int], None]]:
    """A bar with a count for each title; nothing unless stderr is a terminal."""
    console = Console(stderr=True)
    if not (shown and console.is_terminal):
        yield lambda title, done, total: None
        return
    bars = Progress(
        TextColumn("{task.description:<20}"), BarColumn(), MofNCompleteColumn(),
        TimeElapsedColumn(), TimeRemainingColumn(), console=console,
    )  # fmt: skip
    tasks: dict[str, Any] = {}

    def report(title: str, done: int, total: int) -> None:
        if title not in tasks:
            tasks[title] = bars.add_task(title, total=total)
        bars.update(tasks[title], completed=done)

    with bars:
        yield report


def clips_table(rows: Sequence[ClipRow]) -> None:
    """The largest speakers, on stderr."""
    groups = speaker_groups(rows)
    silent = sum(row.speaker is None for row in rows)
    console = Console(stderr=True)
    table = Table(title=f"{plural(len(groups), 'speaker')} in {plural(len(rows) - silent, 'clip')}")
    table.add_column("speaker")
    for title in ("clips", "speech", "similarity"):
        table.add_column(title, justify="right")
    shown = sorted(groups, key=lambda group: -group[1])[:MOST_SHOWN]
    for speaker, clips, speech_s, mean in shown:
        near = "" if mean is None else f"{mean:.2f}"
        table.add_row(speaker, str(clips), f"{speech_s:.1f} s", near)
    console.print(table)
    if len(groups) > len(shown):
        console.print(f"and {len(groups) - len(shown)} more", highlight=False)
    if silent:
        console.print(
            f"{plural(silent, 'clip')} without a speaker: the table that was written says why",
            highlight=False,
        )
