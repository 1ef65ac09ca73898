"""Presets: what beats what, where the user's default counts, and what is said of one that is not
there."""

from __future__ import annotations

import pytest

from diarize.clips.group import ClipsConfig, clips_config, group_clips
from diarize.models.catalog import PUBLIC_MODELS
from diarize.models.presets import (
    PRESETS,
    Preset,
    check_fetched,
    not_fetched,
    set_default_preset,
    user_preset,
    with_preset,
)
from diarize.models.store import fetch
from diarize.models.user_config import UserConfig, config_file, read_user_config, write_user_config
from diarize.pipeline.config import DiarizeConfig, load_config
from diarize.pipeline.diarizer import Diarizer
from encoder.common.config import from_mapping, to_mapping
from encoder.errors import CheckpointError, ConfigError, StoreError
from tests.support.public_models import both_in

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def fetched(tmp_path, monkeypatch):
    fetch(["best"], from_file=both_in(tmp_path / "index", monkeypatch))


def choose(name):
    """A default without its models, as a user's file may say."""
    write_user_config(UserConfig(default_preset=name))


def toml(tmp_path, text):
    path = tmp_path / "some.toml"
    path.write_text(text)
    return path


def test_every_preset_is_settings_of_a_diarizer():
    assert list(PRESETS) == ["fast", "best"] and load_config() == DiarizeConfig()
    for name, preset in PRESETS.items():
        config = load_config(preset=name)
        assert config.preset == name and config.segmenter and config.embedder
        assert {PUBLIC_MODELS[need].setting[0] for need in preset.needs} <= set(preset.settings)
        for need in preset.needs:
            setting, value = PUBLIC_MODELS[need].setting
            assert getattr(config, setting) == value
        assert from_mapping(DiarizeConfig, to_mapping(config)) == config
    assert dict(PRESETS["fast"].settings) == {}


def test_what_beats_what(tmp_path):
    path = toml(tmp_path, 'preset = "best"\nsegmenter = "energy"\n')
    config = load_config(path)
    assert (config.preset, config.segmenter, config.embedder) == ("best", "energy", "campplus")
    config = load_config(path, ["segmenter=neural", "embedder=mine.safetensors"])
    assert (config.preset, config.segmenter) == ("best", "neural")
    assert config.embedder == "mine.safetensors"
    assert load_config(path, preset="fast").preset == "fast"
    assert load_config(path, preset="fast").segmenter == "energy"
    assert load_config(path, ["preset=fast"]).preset == "fast"
    assert load_config(path, ["preset=fast"], "best").preset == "best"


def test_groups_of_a_preset_keep_what_is_not_said(monkeypatch, tmp_path):
    settings = {
        "clustering": {"agglomerative": {"merge_ratio": 0.9, "count_by": "eigengap"}},
        "window": {"step_s": 0.5},
    }
    monkeypatch.setitem(PRESETS, "best", Preset("best", "", settings=settings))
    path = toml(tmp_path, "[clustering.agglomerative]\nmerge_ratio = 0.7\n")
    config = load_config(path, ["window.min_window_s=0.5"], "best")
    assert config.clustering == {"agglomerative": {"merge_ratio": 0.7, "count_by": "eigengap"}}
    assert (config.window.step_s, config.window.min_window_s) == (0.5, 0.5)
    assert settings["clustering"]["agglomerative"]["merge_ratio"] == 0.9
    assert clips_config(preset="best").clustering == {}  # fitted on windows


def test_the_users_default_counts_where_it_is_asked_for(tmp_path):
    choose("best")
    assert load_config().preset == "fast"
    assert load_config(preset="default").preset == "best"
    assert load_config(toml(tmp_path, 'preset = "default"')).embedder == "campplus"
    assert load_config(otherwise="default").preset == "best"
    assert load_config(preset="fast", otherwise="default").preset == "fast"
    path = toml(tmp_path, 'preset = "fast"')
    assert load_config(path, otherwise="default").preset == "fast"
    assert clips_config().preset == "fast"
    assert clips_config(otherwise="default").embedder == "campplus"


@pytest.mark.parametrize("make", [DiarizeConfig, ClipsConfig, lambda **how: load_config(**how)])
def test_a_preset_that_does_not_exist(make):
    with pytest.raises(ConfigError, match=r"unknown preset 'nope': choose one of fast, best"):
        make(preset="nope")


def test_a_preset_that_is_no_name(tmp_path):
    with pytest.raises(ConfigError, match="unknown preset 3"):
        load_config(toml(tmp_path, "preset = 3"))


def test_a_preset_whose_models_are_not_here():
    assert not_fetched("fast") == [] and not_fetched("best") == [*PRESETS["best"].needs]
    both, step = "campplus and pyannote-segmentation", ", .*`diarize models fetch best`"
    for attempt, needed in (
        (lambda: Diarizer.from_config(preset="best"), both),
        (lambda: Diarizer.from_config(load_config(preset="best")), both),
        (lambda: group_clips(["."], clips_config(preset="best")), "campplus"),
        (lambda: set_default_preset("best"), both),
    ):
        with pytest.raises(CheckpointError, match=f"needs {needed}{step}"):
            attempt()
    assert not config_file().exists()
    others = load_config(None, ["embedder=deepspeaker-small", "segmenter=energy"], "best")
    assert Diarizer.from_config(others).config.preset == "best"
    check_fetched("fast", {"embedder": "campplus"})  # its loader says what to do


def test_a_preset_whose_models_are_here(fetched):
    assert not_fetched("best") == []
    set_default_preset("best")
    assert user_preset() is PRESETS["best"]
    config = load_config(None, ["segmenter=energy"], "best")
    diarizer = Diarizer.from_config(config)
    assert diarizer.config.preset == "best" and len(diarizer.embedder.fingerprint) == 8
    assert to_mapping(diarizer.config)["preset"] == "best"  # as results have it


def test_a_preset_for_settings_that_are_complete():
    with pytest.raises(ConfigError, match="'best' comes too late"):
        Diarizer.from_config(DiarizeConfig(), preset="best")


def test_values_stay_as_they_are():
    values = {"clustering": {"graph": {"neighbours": 8}}}
    assert with_preset(values) == {**values, "preset": "fast"} and "preset" not in values


def test_the_users_choices_are_a_file(home):
    assert read_user_config() == UserConfig() == UserConfig("fast")
    assert write_user_config(UserConfig("best")) == home / "config.toml" == config_file()
    assert (home / "config.toml").read_text() == 'default_preset = "best"\n'
    assert read_user_config() == UserConfig("best")
    set_default_preset("fast")
    assert read_user_config() == UserConfig()
    assert [path.name for path in home.iterdir()] == ["config.toml"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("default_preset = ", "not valid TOML"),
        ("default_preset = 3", "give a value of type str"),
        ("colour = 'red'", "unknown setting 'colour': allowed here are default_preset"),
    ],
)
def test_choices_that_cannot_be_read(home, text, words):
    home.mkdir()
    (home / "config.toml").write_text(text)
    with pytest.raises(ConfigError, match=words) as caught:
        load_config(otherwise="default")
    assert "config.toml" in str(caught.value) and "\n" not in str(caught.value)
    load_config(), load_config(preset="fast", otherwise="default")  # nobody asks for it


def test_a_default_that_does_not_exist(home):
    choose("nope")
    with pytest.raises(ConfigError, match=r"is 'nope': choose one of fast, best with `diarize mod"):
        load_config(otherwise="default")
    set_default_preset("fast")
    assert load_config(otherwise="default").preset == "fast"


def test_choices_that_cannot_be_written(home):
    home.write_text("a file")
    with pytest.raises(StoreError, match="cannot write your choices"):
        set_default_preset("fast")
    with pytest.raises(ConfigError, match="unknown preset 'default'"):
        set_default_preset("default")


def test_a_user_without_a_home(monkeypatch):
    for name in ("DIARIZE_HOME", "XDG_CONFIG_HOME", "APPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("pathlib.Path.home", _no_home)
    assert user_preset().name == "fast"
    with pytest.raises(ConfigError, match="no home folder for your choices"):
        write_user_config(UserConfig())


def _no_home():
    raise RuntimeError("no home")
