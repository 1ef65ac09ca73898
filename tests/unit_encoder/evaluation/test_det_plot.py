"""The error trade-off: its points against scikit-learn, and the picture as a file."""

import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from sklearn.metrics import det_curve

from encoder.errors import BackendUnavailable, CorpusError, FormatError, StoreError
from encoder.evaluation.det_plot import check_picture, det_points, draw_det


def trials(seed=0, apart=1.5):
    rng = np.random.default_rng(seed)
    truth = np.arange(300) % 3 == 0
    return rng.normal(size=300) + apart * truth, truth


@pytest.mark.parametrize("seed", range(3))
def test_points_are_those_of_scikit_learn(seed):
    scores, truth = trials(seed)
    false_alarm, miss = det_points(np.round(scores, 1), truth)
    accepted, rejected, _ = det_curve(truth, np.round(scores, 1))
    theirs = set(zip(np.round(accepted, 9), np.round(rejected, 9), strict=True))
    assert theirs <= set(zip(np.round(false_alarm, 9), np.round(miss, 9), strict=True))


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_the_picture_is_written_and_the_same_again(tmp_path, suffix):
    curves = {"near": trials(apart=1.0), "perfect": trials(apart=50.0)}
    drawn = draw_det(curves, tmp_path / f"det.{suffix}", title="all pairs")
    first = drawn.read_bytes()
    starts = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}
    assert first.startswith(starts[suffix]) and list(tmp_path.iterdir()) == [drawn]
    assert draw_det(curves, drawn, title="all pairs").read_bytes() == first


def test_what_is_in_the_picture(tmp_path):
    drawn = draw_det({"ours": trials()}, tmp_path / "det.svg", title="eval")
    text = drawn.read_text()
    ElementTree.fromstring(text)
    for word in ("ours: EER", "eval", "same speakers rejected, %"):
        assert f"<!-- {word}" in text


def test_a_failure_says_why_and_leaves_the_old_picture(tmp_path, monkeypatch):
    old = tmp_path / "det.png"
    old.write_text("old")
    with pytest.raises(CorpusError, match="0 different"):
        draw_det({"x": ([1.0], [True])}, old)
    with pytest.raises(CorpusError, match="no curve"):
        draw_det({}, old)
    with pytest.raises(FormatError, match=r"ends in \.png, \.svg or \.pdf"):
        check_picture(tmp_path / "det.jpeg2000")
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot write the picture"):
        draw_det({"x": trials()}, tmp_path / "file" / "det.png")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(BackendUnavailable, match=r"deepspeaker-diarize\[train\]"):
        draw_det({"x": trials()}, old)
    assert old.read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["det.png", "file"]
