"""What the recipes show while they run; imported by recipes only."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from diarize.core.text import printable
from encoder.errors import ToolkitError

_SHOWN = {
    "loss": "loss {:.3f}",
    "accuracy": "accuracy {:.0%}",
    "violating": "hard {:.0%}",
    "crops_per_s": "{:.0f} crops/s",
}


class Terminal:
    """Sentences and bars on standard error (an `encoder.training.reporter.Reporter`)."""

    def __init__(self) -> None:
        first = os.environ.get("LOCAL_RANK", "0") == "0"  # one of several workers speaks
        self.console = Console(stderr=True, quiet=not first)

    def say(self, sentence: str) -> None:
        self.console.print(printable(sentence), highlight=False, markup=False)

    def warn(self, sentence: str) -> None:
        warning = printable(f"warning: {sentence}")
        self.console.print(warning, style="yellow", highlight=False, markup=False)

    def fail(self, error: Exception) -> None:
        fault = printable(f"error: {error}")
        self.console.print(fault, style="red", highlight=False, markup=False)

    @contextlib.contextmanager
    def bar(self, title: str, total: int) -> Iterator[Callable[[int, dict[str, float]], None]]:
        """A bar with the latest of the measurements that a user watches."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[shown]}"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self.console) as progress:
            task = progress.add_task(title, total=total, shown="")

            def moved(done: int, measured: dict[str, float]) -> None:
                shown = [text.format(measured[k]) for k, text in _SHOWN.items() if k in measured]
                progress.update(task, completed=done, shown="  ".join(shown))

            yield moved

    @contextlib.contextmanager
    def ending(self) -> Iterator[None]:
        """Errors that a user can cause, and Ctrl-C, end in their sentence and an exit code."""
        try:
            yield
        except ToolkitError as error:
            self.fail(error)
            raise typer.Exit(2) from None
        except KeyboardInterrupt as stop:
            self.say(str(stop) or "stopped")
            raise typer.Exit(130) from None
