"""Rules that count speakers, compared on recordings."""

from __future__ import annotations

import json

from encoder.calibration.score_calibration import Calibration, write_calibration
from tests.support.recipe_runs import committed, run


def test_rules_are_compared_from_vectors_that_are_kept(talks, tiny_weights, folders, tmp_path):
    home, _ = folders
    command = ["--data", talks, "--embedder", tiny_weights, "--cache", "vectors"]
    before = committed()
    text = run("evaluate.speaker_counting", *command, cwd=tmp_path)
    assert "saved nothing" in text and committed() == before
    (kept,) = (tmp_path / "vectors").iterdir()
    written = kept.stat().st_mtime_ns
    write_calibration(Calibration(tiny_weights.stem[-8:], 8.0, -4.0), home)
    run("evaluate.speaker_counting", *command, "--results", "results", cwd=tmp_path)
    assert [path.stat().st_mtime_ns for path in (tmp_path / "vectors").iterdir()] == [written]
    (one,) = json.loads((tmp_path / "results/counting.json").read_text())["embedders"]
    assert one["true"] == [4, 4] and one["voices"] >= 2
    by_rule = {}
    for row in one["rules"]:
        by_rule.setdefault(row["rule"], []).append(row)
        assert sum(sum(found.values()) for found in row["matrix"].values()) == 2
        assert row["found"][0] == row["found"][1]  # one recording under two names
        assert row["right"] == 2 * (row["found"][0] == 4)
    assert {"pairs", "eigengap", "silhouette", "hdbscan", "calibrated distance"} <= set(by_rule)
    assert by_rule["oracle speaker count"][0]["right"] == 2
    least = [row["found"][0] for row in by_rule["windows"]]
    assert least == sorted(least, reverse=True)
    for rows in by_rule.values():
        if "left_out" in rows[-1]:
            assert rows[-1]["left_out"] == max(row["right"] for row in rows)
