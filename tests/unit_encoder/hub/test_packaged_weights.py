"""The weights that ship: one set, with its card, of the size and cost that was promised."""

from __future__ import annotations

from pathlib import Path

import pytest

import encoder
from diarize.segmentation.network.network import SegmentationNetworkConfig
from diarize.segmentation.network.weights import DEFAULT as SEGMENTATION
from diarize.segmentation.network.weights import load_network
from encoder.hub.paths import DEFAULT
from encoder.hub.weights_file import load_weights

FOLDER = Path(encoder.__file__).parent / "weights"
FILES = sorted(f for f in FOLDER.glob("*.safetensors") if not f.name.startswith("plda-"))


def test_there_is_one_default():
    assert [f.stem.rpartition("-")[0] for f in FILES].count(DEFAULT) == 1


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_weights_load_and_have_a_card(path):
    network = path.name.startswith(SEGMENTATION)
    loaded = load_network(path) if network else load_weights(path)
    assert loaded.fingerprint in path.name
    assert path.stat().st_size < (3e6 if network else 13e6)
    card = path.with_suffix(".md").read_text(encoding="utf-8")
    measure = "Local error" if network else "EER"
    for word in (loaded.fingerprint, "Data", "Licence", "Recipe", "Limits", measure):
        assert word in card, word


def test_there_is_one_segmentation_network():
    assert [f.name.startswith(SEGMENTATION) for f in FILES].count(True) == 1
    assert load_network().network.config == SegmentationNetworkConfig()
