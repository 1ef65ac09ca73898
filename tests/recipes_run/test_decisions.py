"""Settings tried and chosen anew, and a model of vectors refused where there are too few."""

from __future__ import annotations

import json

import pytest

from tests.support.recipe_runs import run

pytestmark = pytest.mark.slow


def test_settings_are_tried_on_real_and_simulated_recordings(corpus, tmp_path):
    command = ["--data", corpus, "--preset", "fast", "--results", "out"]
    # The same recording stands for a simulated one, so that both columns must be equal.
    text = run("evaluate.decisions", *command, "--simulated", corpus, cwd=tmp_path)
    assert "cross-validated" in text and "oracle speaker count" in text
    stored = json.loads((tmp_path / "out/decisions.json").read_text())
    found = stored["presets"]["fast"]
    rows = [found["as they are"], found["oracle speaker count"]]
    rows += [totals for tried in found["flat"].values() for totals in tried.values()]
    assert all(row["real"] == row["simulated"] for row in rows)
    assert found["oracle speaker count"]["real"]["counts_right"] == 1
    assert found["settings"].keys() == found["flat"].keys()
    assert found["settings"]["clustering.agglomerative.merge_ratio"] == 0.7


def test_too_few_speakers_for_a_model_of_vectors(corpus, tmp_path):
    command = ["--data", corpus, "--embedder", "deepspeaker-small", "--out", "out"]
    text = run("calibrate.plda", *command, cwd=tmp_path, code=2)
    assert "are too few for 128" in " ".join(text.split()) and not (tmp_path / "out").exists()
