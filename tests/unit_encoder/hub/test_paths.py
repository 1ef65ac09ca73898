"""The order in which weights are searched, and the sentence when there are none."""

from pathlib import Path

import pytest

import encoder
from encoder.errors import CheckpointError
from encoder.hub.paths import (
    DEFAULT,
    calibration_folders,
    find_onnx,
    find_weights,
    own_weights,
    user_cache,
    user_config,
    weights_named,
)

PACKAGED = Path(encoder.__file__).parent / "weights"


@pytest.fixture
def places(tmp_path, monkeypatch):
    """The two folders of the user, empty."""
    monkeypatch.setenv("DIARIZE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("sys.platform", "linux")
    home, cache = tmp_path / "home/weights", tmp_path / "cache/deepspeaker-diarize/weights"
    home.mkdir(parents=True)
    cache.mkdir(parents=True)
    return home, cache


def put(folder, name="voice", digest="0123abcd"):
    path = folder / f"{name}-{digest}.safetensors"
    path.touch()
    return path


def test_home_comes_before_the_cache(places):
    home, cache = places
    in_cache = put(cache)
    assert find_weights("voice") == in_cache
    in_home = put(home, digest="ffffffff")
    assert find_weights("voice") == in_home


def test_the_users_folders_come_before_the_package(places, monkeypatch):
    own = put(places[1], DEFAULT)
    assert find_weights() == own
    own.unlink()
    packaged = sorted(PACKAGED.glob(f"{DEFAULT}-????????.safetensors"))
    if packaged:
        assert find_weights() == packaged[0]
    else:
        with pytest.raises(CheckpointError, match=str(PACKAGED)):
            find_weights()


def test_a_path_comes_before_everything(places, tmp_path, monkeypatch):
    put(places[0])
    path = put(tmp_path)
    assert find_weights(path) == path
    assert find_weights(str(path)) == path
    monkeypatch.chdir(tmp_path)
    assert find_weights(path.name) == Path(path.name)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_weights(f"~/{path.name}") == path


def test_a_name_is_not_the_beginning_of_another(places):
    put(places[0], "voice-large")
    put(places[0], "myvoice")
    with pytest.raises(CheckpointError, match="no weights named 'voice'"):
        find_weights("voice")


def test_absent_names_list_the_folders(places):
    with pytest.raises(CheckpointError) as caught:
        find_weights("voice")
    for part in ("'voice'", *map(str, places), str(PACKAGED), repr(DEFAULT)):
        assert part in str(caught.value)


@pytest.mark.parametrize("path", ["absent.safetensors", "some/where", "/no/such/x.safetensors"])
def test_absent_paths(places, path):
    with pytest.raises(CheckpointError, match=f"no weights file '{path}'"):
        find_weights(path)


def test_without_the_variables_the_cache_is_in_the_home(monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", "/home/ann")
    assert user_cache() == Path("/home/ann/.cache/deepspeaker-diarize")


def test_two_versions_in_one_folder_are_not_guessed_between(places):
    folder, _ = places
    for digest in ("00000000", "11111111"):
        (folder / f"twice-{digest}.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match="2 versions of 'twice'"):
        find_weights("twice")


def test_onnx_models_by_path_and_name(places, tmp_path, monkeypatch):
    home, cache = (folder.parent for folder in places)
    (cache / "voice.onnx").touch()
    assert find_onnx("voice") == cache / "voice.onnx"
    (home / "voice.onnx").touch()
    assert find_onnx("voice") == home / "voice.onnx"
    monkeypatch.chdir(cache)
    assert find_onnx("voice.onnx") == Path("voice.onnx")
    monkeypatch.setenv("HOME", str(cache))
    assert find_onnx("~/voice.onnx") == cache / "voice.onnx"


def test_absent_onnx_models(places):
    with pytest.raises(CheckpointError) as caught:
        find_onnx("campplus")
    for part in (
        "'campplus'",
        *(str(folder.parent) for folder in places),
        "`diarize models fetch campplus`",
    ):
        assert part in str(caught.value)
    with pytest.raises(CheckpointError, match=r"no ONNX model named 'voice' in .*: give a path"):
        find_onnx("voice")
    with pytest.raises(CheckpointError, match=r"no ONNX model 'a/voice\.onnx'"):
        find_onnx("a/voice.onnx")


def test_the_users_own_folder_comes_before_all_others(places, monkeypatch):
    home, cache = places
    assert own_weights() == calibration_folders()[0] == home
    monkeypatch.delenv("DIARIZE_HOME")
    assert own_weights() == calibration_folders()[0] == cache


@pytest.mark.parametrize(
    ("system", "variables", "folder"),
    [
        ("linux", {"XDG_CONFIG_HOME": "/etc/ann"}, "/etc/ann/deepspeaker-diarize"),
        ("linux", {"XDG_CONFIG_HOME": ""}, "/home/ann/.config/deepspeaker-diarize"),
        ("darwin", {}, "/home/ann/Library/Application Support/deepspeaker-diarize"),
        ("win32", {"APPDATA": "/roaming"}, "/roaming/deepspeaker-diarize"),
        ("win32", {}, "/home/ann/AppData/Roaming/deepspeaker-diarize"),
        ("linux", {"DIARIZE_HOME": "/all", "XDG_CONFIG_HOME": "/etc/ann"}, "/all"),
    ],
)
def test_the_users_choices_lie_where_the_system_keeps_them(monkeypatch, system, variables, folder):
    monkeypatch.setattr("sys.platform", system)
    monkeypatch.setattr("pathlib.Path.home", lambda: Path("/home/ann"))
    for name in ("DIARIZE_HOME", "XDG_CONFIG_HOME", "APPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert user_config() == Path(folder)


def test_all_versions_of_a_name(places):
    home, cache = places
    assert weights_named("voice") == []
    later = put(cache)
    assert weights_named("voice") == [later]
    both = [put(home, digest=digest) for digest in ("11111111", "00000000")]
    assert weights_named("voice", own=True) == sorted(both)
    packaged = weights_named(DEFAULT)
    assert {path.parent for path in packaged} <= {PACKAGED}
    assert weights_named(DEFAULT, own=True) == []


def test_public_models_that_are_absent(places):
    with pytest.raises(CheckpointError, match=r"named 'campplus' in .*`diarize models fetch camp"):
        find_weights("campplus")
    for digest in ("00000000", "11111111"):
        put(places[0], "campplus", digest)
    with pytest.raises(CheckpointError, match=r"2 versions of 'campplus': fetch it with `diarize"):
        find_weights("campplus")
