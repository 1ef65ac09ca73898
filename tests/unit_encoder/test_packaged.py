"""The weights that ship: one set, with its card, of the size and cost that was promised."""

from __future__ import annotations

from pathlib import Path

import pytest

import encoder
from encoder.checkpoint import load_weights
from encoder.hub import DEFAULT

FOLDER = Path(encoder.__file__).parent / "weights"
FILES = sorted(FOLDER.glob("*.safetensors"))


def test_there_is_one_default():
    assert [f.stem.rpartition("-")[0] for f in FILES].count(DEFAULT) == 1


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_weights_load_and_have_a_card(path):
    loaded = load_weights(path)
    assert loaded.fingerprint in path.name
    assert path.stat().st_size < 13e6
    card = path.with_suffix(".md").read_text(encoding="utf-8")
    for word in (loaded.fingerprint, "Data", "Licence", "Recipe", "Limits", "EER"):
        assert word in card, word
