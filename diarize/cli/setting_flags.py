"""From a setting that the library names in an error to the flag that sets it."""

from __future__ import annotations

from typing import Any

from encoder.errors import ToolkitError

__all__ = ["add_flag"]

# Settings that another command has.
ELSEWHERE = {"merge": "`diarize rename --merge`", "reembed": "`diarize gallery --reembed`"}


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
