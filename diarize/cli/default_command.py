"""A group of commands of which one may go without its name. Loads nothing heavy."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

from diarize.cli.setting_flags import add_flag
from encoder.errors import ToolkitError

__all__ = ["default_command"]


def default_command(name: str) -> type[TyperGroup]:
    """A group in which `GROUP ARGUMENT` means `GROUP NAME ARGUMENT`, for `typer.Typer(cls=...)`.

    A word that is a command's name is that command; a file of that name needs its folder. Errors of
    commands get the flag of their setting.
    """

    class Group(TyperGroup):
        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            own = {*ctx.help_option_names, "--version"}
            if args and args[0] not in self.commands and args[0] not in own:
                args = [name, *args]
            return super().parse_args(ctx, args)

        def invoke(self, ctx: Any) -> Any:
            try:
                return super().invoke(ctx)
            except ToolkitError as error:
                add_flag(error, self.commands.get(ctx.invoked_subcommand, self))
                raise

    return Group
