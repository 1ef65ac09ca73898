"""The tree in the docstring is the tree in the code."""

import re

import pytest

from encoder import errors

DRAWN = re.findall(r"[├└]── (\w+)", errors.__doc__)


def test_drawn_tree_is_the_public_one():
    assert sorted([*DRAWN, "ToolkitError"]) == errors.__all__


@pytest.mark.parametrize("name", DRAWN)
def test_every_error_is_a_toolkit_error_with_a_sentence_of_its_own(name):
    error = getattr(errors, name)
    assert error.__bases__ == (errors.ToolkitError,)
    assert error.__doc__.endswith(".")
