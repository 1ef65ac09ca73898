"""The `diarize` command called in this process, where starting another would take seconds."""

from __future__ import annotations

import sys

from diarize import cli

__all__ = ["run_command"]


def run_command(monkeypatch, capsys, *arguments):
    """`diarize ARGUMENTS`: (exit code, standard output, standard error)."""
    monkeypatch.setattr(sys, "argv", ["diarize", *map(str, arguments)])
    code = 0
    try:
        cli.main()
    except SystemExit as stopped:
        code = stopped.code or 0
    return code, *capsys.readouterr()
