"""What the command line and the Python API call the same thing is the same thing."""

from __future__ import annotations

import dataclasses
import inspect

import typer

from diarize.cli import app
from diarize.clips.group import ClipsConfig, clips_config, group_clips
from diarize.core.speaker_count import SpeakerCount
from diarize.models import fetch, remove
from diarize.pipeline.config import DiarizeConfig, load_config
from diarize.pipeline.diarizer import Diarizer

# Options of the command line only: where results go, and what is drawn.
OUTPUT = {"output", "quiet"}
# Options that build a config, which the API takes as one argument.
SETTINGS = {"config", "settings"}
# Arguments of the API only: callbacks, and names that a file gives.
CALLBACKS = {"on_stage", "on_done", "on_progress", "uri"}


def options(command):
    """The options and arguments of a subcommand by name; `--set` is `settings`."""
    found = {}
    for parameter in typer.main.get_command(app).commands[command].params:
        long = [o[2:].replace("-", "_") for o in parameter.opts if o.startswith("--")]
        found |= dict.fromkeys(long or [parameter.name], parameter)
    found.pop("help", None)
    found["settings"] = found.pop("set")
    return found


def spelled(command):
    return set(options(command))


def fields(config):
    return {field.name for field in dataclasses.fields(config)}


def parameters(function):
    return set(inspect.signature(function).parameters) - {"self"}


def test_every_option_of_run_is_an_argument_or_a_setting():
    known = parameters(Diarizer.__call__) | fields(DiarizeConfig)
    # exclusive: aggregation.exclusive. gallery and link: diarize.pipeline.speaker_naming.
    more = {"exclusive", "gallery", "link"}
    assert spelled("run") - OUTPUT - SETTINGS - known == more


def test_every_argument_of_a_diarizer_is_an_option_of_run():
    # count: speakers, min_speakers and max_speakers as one value.
    assert parameters(Diarizer.__call__) - CALLBACKS - spelled("run") == {"count"}


def test_every_option_of_cluster_is_an_argument_or_a_setting():
    bounds = parameters(Diarizer.__call__) & {"speakers", "min_speakers", "max_speakers"}
    known = parameters(group_clips) | fields(ClipsConfig) | bounds
    missing = spelled("cluster") - OUTPUT - SETTINGS - known
    # paths: places. no_cache: cache=False. The others copy the clips into folders of groups.
    assert missing == {"paths", "no_cache", "copy_to", "link_to"}


def test_every_argument_of_group_clips_is_an_option_of_cluster():
    # count: speakers, min_speakers and max_speakers as one value.
    assert parameters(group_clips) - CALLBACKS - SETTINGS - spelled("cluster") == {
        "places",
        "count",
    }


def test_the_bounds_are_called_alike_everywhere():
    written = set(SpeakerCount().to_mapping())
    assert written <= parameters(Diarizer.__call__)
    assert written <= spelled("run") and written <= spelled("cluster")


def test_the_settings_that_both_commands_have_are_called_alike():
    both = fields(DiarizeConfig) & fields(ClipsConfig)
    assert {"segmenter", "embedder", "clusterer", "device"} <= both
    assert both & spelled("run") == both & spelled("cluster")


def test_presets_are_chosen_alike_everywhere():
    for config in (DiarizeConfig, ClipsConfig):
        assert "preset" in fields(config)
    for function in (Diarizer.from_config, load_config, clips_config):
        assert "preset" in parameters(function)
    assert "preset" in spelled("run") & spelled("cluster")


def test_the_commands_of_models_are_functions():
    commands = typer.main.get_command(app).commands["models"].commands
    for name, function in (("fetch", fetch), ("remove", remove)):
        given = {parameter.name for parameter in commands[name].params} - {"help"} - OUTPUT
        assert given == parameters(function) - CALLBACKS
