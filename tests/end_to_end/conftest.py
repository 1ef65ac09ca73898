"""The real meeting, and the installed command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SAMPLES = Path(__file__).parents[2] / "recipes" / "samples"


@pytest.fixture(scope="session")
def meeting() -> Path:
    """One minute of a real meeting with four speakers."""
    return SAMPLES / "ami_ES2004a_600_660.flac"


@pytest.fixture(scope="session")
def uncalibrated(tmp_path_factory) -> Path:
    """Weights whose similarities nobody has measured."""
    import torch

    from encoder.checkpoint import save_weights
    from encoder.features import FeatureConfig
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
        return subprocess.run(
            [str(program), *map(str, arguments)],
            input=stdin,
            capture_output=True,
            cwd=cwd or tmp_path_factory.mktemp("empty"),
            env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "120"},
            timeout=300,
        )

    return call
