"""The `diarize` command: `diarize FILE` and its sub-commands.

Expected errors become one line on stderr and exit code 2; anything else is a bug and keeps its
traceback.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from diarize import cli_diarize, cli_score
from encoder.errors import ToolkitError

__all__ = ["app", "main"]

DEFAULT_COMMAND = "run"


class _DefaultCommand(TyperGroup):
    """`diarize meeting.wav` means `diarize run meeting.wav`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        own = {"--help", "--version"}
        if args and args[0] not in self.commands and args[0] not in own:
            args = [DEFAULT_COMMAND, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_DefaultCommand,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Who spoke when, offline. "
    "`diarize meeting.wav -o out.rttm` is short for `diarize run meeting.wav -o out.rttm`; a file "
    "that is named like a command needs its folder, as in ./score.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from diarize.result import package_version

        typer.echo(f"deepspeaker-diarize {package_version()}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version."
    ),
) -> None:
    pass


app.command(DEFAULT_COMMAND)(cli_diarize.run)
app.command("score")(cli_score.score)


def main() -> None:
    """Entry point of the console command."""
    # Threads that spin while they wait make a busy machine several times slower. OpenMP reads this
    # when torch is first imported, so it must be said here; a user's own choice stands.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        app()
    except ToolkitError as error:
        print(f"diarize: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
