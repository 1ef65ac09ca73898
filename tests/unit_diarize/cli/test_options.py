"""Every command has the same help flags and one declaration of what it shares with others."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer.main
from typer.testing import CliRunner

from diarize.cli import app

# Options whose meaning is the command's own, so that their help differs.
OWN = {"output", "settings", "min_probability", "min_similarity", "gallery", "clusterer"}


def commands(group=None, names=()):
    """(words, command) of the app, its groups and all commands."""
    group = group or typer.main.get_command(app)
    yield names, group
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, (*names, name))


ALL = dict(commands())


def test_the_commands_are_found():
    assert {("run",), ("gallery",), ("score", "clusters")} <= ALL.keys()


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_help_has_a_short_flag(words):
    short, long = (CliRunner().invoke(app, [*words, flag]) for flag in ("-h", "--help"))
    assert short.exit_code == long.exit_code == 0
    assert short.output == long.output and "Usage" in short.output
    assert "-h" in short.output


def test_an_option_has_one_declaration():
    declared: dict[str, set[tuple[object, ...]]] = {}
    for command in ALL.values():
        for option in command.params:
            if option.param_type_name == "option" and option.name not in OWN | {"help", "version"}:
                declared.setdefault(option.name, set()).add((*option.opts, option.help))
    assert {"quiet", "embedder", "speakers", "seed"} <= declared.keys()
    assert {name: found for name, found in declared.items() if len(found) > 1} == {}


def test_python_runs_the_package():
    done = subprocess.run(
        [sys.executable, "-m", "diarize", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("deepspeaker-diarize ")
