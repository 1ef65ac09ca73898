"""The real meeting, and the installed command."""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import warm_python

SAMPLES = Path(__file__).parents[2] / "recipes" / "samples"


@pytest.fixture(scope="session")
def meeting() -> Path:
    """One minute of a real meeting with four speakers."""
    return SAMPLES / "ami_ES2004a_600_660.flac"


@pytest.fixture(scope="session")
def uncalibrated(tmp_path_factory) -> Path:
    """Weights without a calibration."""
    import torch

    from encoder.features.log_mel import FeatureConfig
    from encoder.hub.weights_file import save_weights
    from encoder.models.rescnn import ResCNN, ResCNNConfig

    model = ResCNN(ResCNNConfig(channels=(4,), blocks=1, embedding_size=8))
    with torch.random.fork_rng():
        return save_weights(model, FeatureConfig(), tmp_path_factory.mktemp("w"), name="tiny")


@pytest.fixture(scope="session")
def command(tmp_path_factory):
    """Run the `diarize` command of this environment from an empty folder."""
    program = Path(sys.executable).parent / "diarize"
    if not program.exists():
        pytest.fail("the command `diarize` is not installed: run `make test`")

    def call(*arguments, stdin=None, cwd=None):
        return warm_python.run(
            [program, *arguments],
            stdin=stdin,
            cwd=cwd or tmp_path_factory.mktemp("empty"),
            env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "120"},
        )

    return call


def _obey():
    # A shell's background jobs ignore Ctrl-C, and what runs on without a terminal SIGHUP; so would
    # what they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


class Begun:
    """A command that runs, and what it has drawn so far on what it takes for a terminal."""

    patience_s = 120  # a busy machine is slow; only a failure waits as long

    def __init__(self, *arguments, cwd):
        self.text = b""
        self.process = subprocess.Popen(
            [str(arguments[0]), *map(str, arguments[1:])],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env={**os.environ, "OMP_NUM_THREADS": "1", "FORCE_COLOR": "1", "TERM": "xterm"},
            preexec_fn=_obey,
        )

    def wait_for(self, drawn):
        """Read until this pattern was drawn."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stderr, selectors.EVENT_READ)
            while not re.search(drawn, self.text):
                assert selector.select(self.patience_s), f"nothing new after {self.text!r}"
                piece = os.read(self.process.stderr.fileno(), 65_536)
                assert piece, f"ended without {drawn!r}: {self.text!r}"
                self.text += piece

    def interrupt(self, number=signal.SIGINT):
        """Ctrl-C, or another signal; the exit code and the sentence after the bars."""
        self.process.send_signal(number)
        return self.end()

    def end(self):
        """The exit code and the last line, when it is done."""
        self.text += self.process.communicate(timeout=self.patience_s)[1]
        assert b"Traceback" not in self.text, self.text
        line = self.text.decode().rstrip("\n").rpartition("\n")[2]
        return self.process.returncode, re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", line)


@pytest.fixture
def begin(tmp_path_factory):
    """Start the `diarize` command as `command` does, and go on."""
    program = Path(sys.executable).parent / "diarize"
    begun = []

    def start(*arguments):
        begun.append(Begun(program, *arguments, cwd=tmp_path_factory.mktemp("empty")))
        return begun[-1]

    yield start
    for one in begun:
        with one.process:  # closes the pipe
            one.process.kill()
