"""The `diarize` command: `diarize FILE` and its sub-commands.

Expected errors become one line on stderr and exit code 2; anything else is a bug and keeps its
traceback.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys

import typer

from diarize.cli import cluster as cli_cluster
from diarize.cli import gallery as cli_gallery
from diarize.cli import identify as cli_identify
from diarize.cli import models as cli_models
from diarize.cli import run as cli_diarize
from diarize.cli import score as cli_score
from diarize.cli.command_groups import default_command
from diarize.core.standard_streams import drop_remarks, standard_streams
from diarize.core.text import printable
from encoder.errors import ToolkitError

__all__ = ["app", "main"]

DEFAULT_COMMAND = "run"


app = typer.Typer(
    cls=default_command(DEFAULT_COMMAND),
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},  # commands inherit them
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Who spoke when, offline. "
    "`diarize meeting.wav -o out.rttm` is short for `diarize run meeting.wav -o out.rttm`; a file "
    "that is named like a command needs its folder, as in ./score.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from encoder.common.version import package_version

        typer.echo(f"deepspeaker-diarize {package_version()}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """What may stand before a command."""


app.command(DEFAULT_COMMAND, cls=cli_diarize.RunCommand)(cli_diarize.run)
app.command("enroll")(cli_gallery.enroll)
app.command("identify")(cli_identify.identify)
app.command("forget")(cli_gallery.forget)
app.command("rename")(cli_gallery.rename)
app.command("gallery")(cli_gallery.gallery)
app.command("cluster")(cli_cluster.cluster)
app.add_typer(cli_score.app, name="score")
app.add_typer(cli_models.app, name="models")


def main() -> None:
    """Entry point of the console command."""
    # Threads that spin while they wait make a busy machine several times slower. OpenMP reads this
    # when torch is first imported, so it must be said here; a user's own choice stands, but an
    # empty one is complained of.
    os.environ["OMP_WAIT_POLICY"] = os.environ.get("OMP_WAIT_POLICY") or "PASSIVE"
    from diarize.cli.console import ended_by_signals

    # A name that the terminal's encoding lacks, or that is no text at all, is shown by escapes.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        with standard_streams(), ended_by_signals():
            app()
    except ToolkitError as error:
        with contextlib.suppress(OSError):  # stderr is gone, but the exit code says the same
            print(f"diarize: {printable(str(error))}", file=sys.stderr)
        sys.exit(2)
    finally:
        drop_remarks()


if __name__ == "__main__":
    main()
