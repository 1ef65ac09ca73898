"""Curves hold the logged numbers, phase after phase, and are written whole or not at all."""

import json
import resource
import sys

import pytest

from encoder.errors import BackendUnavailable, FormatError, StoreError
from encoder.training.plot_curves import draw_curves, read_phases


@pytest.fixture
def logs(tmp_path):
    """A softmax phase of 100 steps and a triplet phase of 60, the first with a torn last line."""
    rows = {
        "softmax": [
            {"step": 50, "loss": 3.0, "accuracy": 0.1},
            {"step": 100, "loss": 2.0, "validation_eer": 0.2, "validation_eer_full": 0.1},
        ],
        "triplet": [{"step": 30, "loss": 0.3, "validation_eer": 0.15}, {"step": 60, "loss": 0.2}],
    }
    paths = []
    for name, lines in rows.items():
        (tmp_path / name).mkdir()
        paths.append(tmp_path / name / "metrics.jsonl")
        paths[-1].write_text("".join(json.dumps(line) + "\n" for line in lines))
    with paths[0].open("a") as handle:
        handle.write('{"step": 150, "lo')
    return paths


def test_the_second_phase_goes_on_where_the_first_ended(logs):
    softmax, triplet = read_phases(logs)
    assert (softmax.name, triplet.name) == ("softmax", "triplet")
    assert softmax.loss == [(50, 3.0), (100, 2.0)] and softmax.ends == 100
    assert triplet.loss == [(130, 0.3), (160, 0.2)] and triplet.ends == 160
    assert softmax.errors == {"validation_eer": [(100, 0.2)], "validation_eer_full": [(100, 0.1)]}
    assert triplet.errors == {"validation_eer": [(130, 0.15)]}


def test_the_picture_has_a_panel_for_each_and_a_line_for_each_phase(logs, tmp_path):
    first = draw_curves(logs, tmp_path / "made" / "curves.svg").read_text()
    assert first.lstrip().startswith("<?xml")
    both = first.count('<g id="line2d')
    alone = draw_curves(logs[:1], tmp_path / "alone.svg").read_text().count('<g id="line2d')
    assert both > alone
    assert first.count('<g id="axes_') == 2 and first.count('<g id="legend_') == 2


def test_png_is_written_whole(logs, tmp_path):
    path = draw_curves(logs, tmp_path / "curves.png")
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n" and path.stat().st_size > 5000
    assert not list(tmp_path.glob("*.partial"))


def test_no_global_state_of_matplotlib_is_touched(logs, tmp_path):
    before = "matplotlib.pyplot" in sys.modules  # other tests may have loaded it
    draw_curves(logs, tmp_path / "curves.png")
    assert ("matplotlib.pyplot" in sys.modules) == before


def test_without_matplotlib(logs, tmp_path, monkeypatch):
    for module in [m for m in sys.modules if m.startswith("matplotlib")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(BackendUnavailable, match=r"needs matplotlib .* go without the picture"):
        draw_curves(logs, tmp_path / "curves.png")
    assert not (tmp_path / "curves.png").exists()


@pytest.mark.parametrize("content", [None, "", "no json\n", '{"loss": 3}\n'])
def test_a_log_that_cannot_be_read(tmp_path, content):
    path = tmp_path / "metrics.jsonl"
    if content is not None:
        path.write_text(content)
    error, sentence = (
        (StoreError, "cannot read") if content is None else (FormatError, "holds no measurements")
    )
    with pytest.raises(error, match=f"{sentence}.*metrics.jsonl|metrics.jsonl.*{sentence}"):
        draw_curves([path], tmp_path / "curves.png")


def test_a_suffix_that_cannot_be_drawn_and_a_place_that_cannot_be_written(logs, tmp_path):
    with pytest.raises(FormatError, match=r"ends in \.png, \.svg or \.pdf"):
        draw_curves(logs, tmp_path / "curves.docx")
    good = draw_curves(logs, tmp_path / "curves.png").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(good) // 2, hard))  # as on a full disk
    try:
        with pytest.raises(StoreError, match=r"cannot write the picture .*curves\.png"):
            draw_curves(logs, tmp_path / "curves.png")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / "curves.png").read_bytes() == good
