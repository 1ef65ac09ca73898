"""What several tests of the encoder start from."""

import pytest

from tests.support.tiny_training import run


@pytest.fixture(scope="session")
def straight(tmp_path_factory):
    """Losses and averaged weights of an undisturbed run."""
    return run(tmp_path_factory.mktemp("straight"))
