"""Recipes that score and calibrate: where they write, and what they go on from."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from encoder.calibration.score_calibration import Calibration, write_calibration
from tests.support.recipe_runs import ROOT, committed, run

pytestmark = pytest.mark.slow


def test_a_calibration_keeps_the_turns_of_the_one_that_it_hides(
    corpus, tiny_weights, folders, tmp_path
):
    home, cache = folders
    fingerprint = tiny_weights.stem[-8:]
    about = {"turns": "by hand"}
    write_calibration(
        Calibration(fingerprint, 1.0, 0.0, 0.0, {"turns": [1.0, 2.0, 3.0]}, about), cache
    )
    own = ["--data", corpus, "--embedder", tiny_weights, "--cache", "vectors"]
    run("calibrate.scores", *own, cwd=tmp_path)
    path = home / f"calibration-{fingerprint}.json"
    first = json.loads(path.read_text())
    assert first["turns"] == [1, 2, 3] and first["fitted_on"]["turns"] == "by hand"
    assert first["slope"] != 1
    path.write_text("{")
    text = run("calibrate.scores", *own, cwd=tmp_path)
    assert "damaged" in text and json.loads(path.read_text()) == first
    path.write_text(json.dumps({**first, "turns": None}))  # as this recipe once left it
    run("calibrate.scores", *own, cwd=tmp_path)
    assert json.loads(path.read_text()) == first


def test_turns_are_fitted_into_the_users_own_calibration(talks, tiny_weights, folders, tmp_path):
    home, cache = folders
    fingerprint = tiny_weights.stem[-8:]
    name = f"calibration-{fingerprint}.json"
    command = ["--data", talks, "--embedder", tiny_weights]
    text = run("calibrate.turns", *command, cwd=tmp_path, code=2)
    assert "run `make calibrate` first" in " ".join(text.split())
    write_calibration(Calibration(fingerprint, 8.0, -4.0, 0.1, {}, {"data": "x"}), cache)
    before, found = committed(), (cache / name).read_bytes()
    text = run("calibrate.turns", *command, cwd=tmp_path)
    assert "saved nothing" in text and committed() == before
    assert (cache / name).read_bytes() == found
    written = json.loads((home / name).read_text())
    assert len(written["turns"]) == 3 and written["slope"] == 8
    assert written["fitted_on"]["data"] == "x"
    assert written["fitted_on"]["turns"].startswith("2 development conversations")
    run("calibrate.turns", *command, "--results", "results", "--out", "w", cwd=tmp_path)
    (row,) = json.loads((tmp_path / "results/confidence.json").read_text())["embedders"]
    assert row["fingerprint"] == fingerprint and row["recordings"] == 2
    assert 0 < row["right"] < 1 and 0 <= row["expected_calibration_error"] <= 1
    assert row["at_least"]["0.5"]["time"] <= 1
    assert json.loads((tmp_path / "w" / name).read_text())["turns"] == written["turns"]


def test_names_are_counted(talks, tiny_weights, folders, tmp_path):
    home, _ = folders
    command = ["--data", talks, "--embedder", tiny_weights]
    text = run("evaluate.naming", *command, cwd=tmp_path, code=2)
    assert f"make calibrate WEIGHTS={tiny_weights}" in " ".join(text.split())
    write_calibration(Calibration(tiny_weights.stem[-8:], 8.0, -4.0), home)
    before = committed()
    text = run("evaluate.naming", *command, cwd=tmp_path)
    assert "saved nothing" in text and committed() == before
    run("evaluate.naming", *command, "--results", "results", cwd=tmp_path)
    stored = json.loads((tmp_path / "results/naming.json").read_text())
    assert stored["embedder"] == str(tiny_weights) and stored["clip_speakers"] == 3
    assert [row["min_probability"] for row in stored["rows"]] == [0.8, 0.9, 0.93, 0.95, 0.97]
    asked = [
        {kind: sum(n.values()) for kind, n in row.items() if kind != "min_probability"}
        for row in stored["rows"]
    ]
    assert asked[0] == asked[-1] and "recordings, known from another" in asked[0]
    assert all(count > 0 for count in asked[0].values())


def test_other_weights_do_not_replace_the_results_of_the_tables(
    corpus, tiny_weights, folders, tmp_path
):
    before = committed()
    own = ["--data", corpus, "--embedder", tiny_weights, "--cache", "vectors"]
    assert (
        "saved nothing" in run("evaluate.embedders", *own, cwd=tmp_path) and committed() == before
    )
    home, _ = folders
    write_calibration(Calibration(tiny_weights.stem[-8:], 8.0, -4.0), home)
    text = run("calibrate.scores", *own, "--check", cwd=tmp_path)
    assert "saved nothing" in text and committed() == before


def test_clustering_is_timed(tmp_path):
    command = ["--data", "none", "--vectors", 200, "--vectors", 400, "--exact-up-to", 200]
    text = run("benchmark.clustering", *command, "--results", "results", cwd=tmp_path)
    stored = json.loads((tmp_path / "results/cluster_benchmark.json").read_text())
    assert "left out real voices" in text and stored["failed"] == []
    runs = {(r["vectors"], r["name"]): r for r in stored["runs"]}
    assert {name for size, name in runs if size == 400} == {"graph"} and len(runs) > 2
    for measured in runs.values():
        assert measured["clips"] == measured["vectors"] and 0 <= measured["f"] <= 1
        assert measured["seconds"] > 0
        assert measured["peak_memory_mb"] >= measured["memory_before_mb"] > 10
    assert set(stored["machine"]["packages"]) >= {"numpy", "faiss-cpu"}


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_killed_measurement_is_one_sentence(tmp_path):
    # Python imports this module at its start: measuring processes kill themselves, as a system
    # without memory would.
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text(
        "import os, signal, sys\n"
        "if any('spawn_main' in word for word in sys.orig_argv):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    recipe = ("-m", "recipes.benchmark.clustering")
    done = subprocess.run(
        [sys.executable, *recipe, "--data", "none", "--vectors", "200", "--results", "results"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{tmp_path / 'site'}{os.pathsep}{ROOT}"},
        timeout=300,
    )
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    stored = json.loads((tmp_path / "results/cluster_benchmark.json").read_text())
    assert stored["runs"] == [] and {row["vectors"] for row in stored["failed"]} == {200}
    assert "graph" in {row["name"] for row in stored["failed"]}
    assert "graph was killed" in done.stderr
