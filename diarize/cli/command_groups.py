"""Groups of commands: one may go without its name, and errors say how their setting is given.

Loads nothing heavy.
"""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from diarize.core.text import printable
from encoder.errors import ToolkitError

__all__ = ["CommandGroup", "add_flag", "default_command"]

# click's; typer has click inside or beside it, by its version.
_UsageError: Any = typer.BadParameter.__base__
# Settings that another command has.
ELSEWHERE = {"merge": "`diarize rename --merge`", "reembed": "`diarize gallery --reembed`"}


class CommandGroup(TyperGroup):
    """A group whose commands' errors get the flag of their setting, for `typer.Typer(cls=...)`."""

    def invoke(self, ctx: Any) -> Any:
        from diarize.cli.console import interruptible

        try:
            with interruptible():  # for commands that have no more to say
                return super().invoke(ctx)
        except ToolkitError as error:
            add_flag(error, self.commands.get(ctx.invoked_subcommand, self))
            raise
        except _UsageError as error:
            error.message = printable(error.message)  # it quotes arguments, such as names of files
            raise


def default_command(name: str) -> type[CommandGroup]:
    """A group in which `GROUP ARGUMENT` means `GROUP NAME ARGUMENT`, for `typer.Typer(cls=...)`.

    A word that is a command's name is that command; a file of that name needs its folder.
    """

    class Group(CommandGroup):
        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            own = {*ctx.help_option_names, "--version"}
            if args and args[0] not in self.commands and args[0] not in own:
                args = [name, *args]
            return super().parse_args(ctx, args)

    return Group


def add_flag(error: ToolkitError, command: Any) -> None:
    """Append to the sentence of `error` how `command` (click's) is given its setting, if at all."""
    setting, error.setting = error.setting, ""
    flag = _flag(setting, command) if setting else None
    if flag:
        error.args = (f"{error} ({flag})",)


def _flag(setting: str, command: Any) -> str | None:
    name = setting.rpartition(".")[2].removesuffix("_s")  # seconds go without their unit
    options = {p.name: max(p.opts, key=len) for p in command.params if p.opts[0].startswith("-")}
    if name in options:
        return options[name]
    if setting in ELSEWHERE:
        return ELSEWHERE[setting]
    return f"--set {setting}=VALUE" if "settings" in options else None
