"""Errors of the library name settings; a command adds the flag that sets it."""

from __future__ import annotations

import pickle

import pytest
import typer.main

from diarize.cli import app
from diarize.cli.command_groups import ELSEWHERE, add_flag
from encoder.errors import ConfigError

COMMANDS = typer.main.get_command(app).commands


@pytest.mark.parametrize(
    ("command", "setting", "flag"),
    [
        ("run", "speakers", "--speakers"),
        ("run", "naming.min_similarity", "--set naming.min_similarity=VALUE"),
        ("identify", "naming.min_similarity", "--min-similarity"),
        ("cluster", "min_similarity", "--min-similarity"),
        ("enroll", "min_speech_s", "--min-speech"),
        ("run", "reembed", "`diarize gallery --reembed`"),
        ("gallery", "reembed", "--reembed"),
        ("rename", "merge", "--merge"),
    ],
)
def test_the_flag_of_a_setting(command, setting, flag):
    error = ConfigError("too few: give more", setting=setting)
    for _ in range(2):  # by the group of the command, and by the group around it
        add_flag(error, COMMANDS[command])
        assert str(error) == f"too few: give more ({flag})"


@pytest.mark.parametrize("setting", ["", "nonesuch"])
def test_a_setting_without_a_flag_adds_nothing(setting):
    error = ConfigError("too few", setting=setting)
    add_flag(error, COMMANDS["forget"])
    assert str(error) == "too few"


def test_settings_of_other_commands_are_theirs():
    for setting, elsewhere in ELSEWHERE.items():
        command, flag = elsewhere.strip("`").split()[1:]
        assert flag in {opt for p in COMMANDS[command].params for opt in p.opts}, setting


def test_an_error_keeps_its_setting_between_processes():
    error = pickle.loads(pickle.dumps(ConfigError("too few", setting="speakers")))
    assert (str(error), error.setting) == ("too few", "speakers")
