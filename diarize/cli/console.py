"""What the command line draws, all of it on stderr: progress bars and the table of speakers."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from diarize.core.text import plural, printable
from diarize.core.turns import speaking_time

if TYPE_CHECKING:
    from diarize.pipeline.diarizer import OnStage
    from diarize.pipeline.result import DiarizationResult

__all__ = [
    "HowFar",
    "cell",
    "ended_by_signals",
    "interruptible",
    "progress",
    "speakers_table",
    "tell",
    "wide_console",
]

TITLES = {
    "load": "loading the models",
    "read": "reading the sound",
    "segment": "finding speech",
    "embed": "embedding speech",
    "cluster": "grouping speakers",
}


def tell(sentence: str) -> None:
    """One plain line on stderr; lost where stderr is full, which is no reason to lose the work."""
    with contextlib.suppress(OSError):
        print(f"diarize: {printable(sentence)}", file=sys.stderr)


def cell(text: str) -> str:
    """A name or path for a table or title: nothing in it does anything to the terminal."""
    return escape(printable(text))


@contextmanager
def progress(*, shown: bool) -> Iterator[OnStage]:
    """A callback that draws one bar a stage; nothing unless stderr is a terminal."""
    console = Console(stderr=True)
    if not (shown and console.is_terminal):
        yield lambda stage, done, total: None
        return
    bars = Progress(
        TextColumn("{task.description:<20}"), BarColumn(), TimeElapsedColumn(), console=console
    )
    tasks: dict[str, object] = {}

    def on_stage(stage: str, done: float, total: float | None) -> None:
        if stage not in tasks:
            for task in tasks.values():
                bars.update(task, total=1, completed=1)  # type: ignore[arg-type]
            tasks[stage] = bars.add_task(TITLES.get(stage, stage), total=total)
        bars.update(tasks[stage], completed=done, total=total)  # type: ignore[arg-type]

    with bars:
        yield on_stage
        for task in tasks.values():
            bars.update(task, total=1, completed=1)  # type: ignore[arg-type]


class HowFar:
    """Knows the latest report of the work, for whoever stops it."""

    def __init__(self) -> None:
        self._sentence = "before it began"

    def noting(self, on_stage: OnStage) -> OnStage:
        """`on_stage`, with each report noted."""

        def note(stage: str, done: float, total: float | None) -> None:
            part = f", {done / total:.0%} done" if total else ""
            self._sentence = f"while {TITLES.get(stage, stage)}{part}"
            on_stage(stage, done, total)

        return note

    def __str__(self) -> str:
        return self._sentence


def wide_console() -> Console:
    """The standard output; redirected to a file it keeps columns instead of folding them at 80."""
    return Console(width=None if sys.stdout.isatty() else 120)


@contextmanager
def interruptible(what: str | Callable[[], str] = "") -> Iterator[None]:
    """Ctrl-C becomes exit code 130 and one sentence, which says `what` is left then.

    So does another signal that asks for an end, see `ended_by_signals`, with a code of its own.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        left = what if isinstance(what, str) else what()
        with contextlib.suppress(OSError):  # the terminal may be what has gone
            tell(f"stopped, {left}" if left else "stopped")
        raise SystemExit(128 + getattr(error, "signal", signal.SIGINT)) from None


class EndedError(KeyboardInterrupt):
    """A signal that asks the process to end, which then is what Ctrl-C is."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.signal = number


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP raise what Ctrl-C does, so that nothing half-made is left behind; not
    where they are ignored, as with `nohup`."""
    asking = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    handled = [number for number in asking if signal.getsignal(number) == signal.SIG_DFL]

    def end(number: int, _: object) -> None:
        for other in handled:  # once is enough: a second one would stop the tidying up
            signal.signal(other, signal.SIG_IGN)
        raise EndedError(number)

    for number in handled:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in handled:
            signal.signal(number, signal.SIG_DFL)


def speakers_table(result: DiarizationResult, *, console: Console | None = None) -> None:
    """Speakers with their time, share of all speech and number of turns; a sentence when there
    is no speech."""
    console = console or Console(stderr=True)
    seconds = result.speakers
    if not result.turns:
        console.print(f"no speech found in {result.duration_s:.1f} s", highlight=False)
        return
    found = plural(len(seconds), "speaker")
    table = Table(title=f"{cell(result.uri)}: {found} in {_clock(result.duration_s)}")
    table.add_column("speaker")
    for title in ("speech", "share", "turns", "first at"):
        table.add_column(title, justify="right")
    everybody = speaking_time(result.turns)
    total = sum(everybody.values())
    for name, spoken in everybody.items():
        own = [t for t in result.turns if t.speaker == name]
        table.add_row(
            cell(name),
            _clock(spoken),
            f"{spoken / total:.0%}",
            str(len(own)),
            _clock(own[0].start_s),
        )
    console.print(table)
    took = sum(result.seconds_by_stage.values())
    console.print(
        f"{took:.1f} s for {result.duration_s:.1f} s of sound", style="dim", highlight=False
    )


def _clock(seconds: float) -> str:
    """1:02:03.4 or 2:03.4."""
    tenths = round(seconds * 10)
    hours, rest = divmod(tenths, 36_000)
    minutes, rest = divmod(rest, 600)
    head = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    return f"{head}:{rest // 10:02d}.{rest % 10}"
