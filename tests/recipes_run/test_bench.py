"""`make bench` on a few seconds: its numbers hold together, and its table is made of them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile

from tests.support.recipe_runs import SAMPLES, run, write_rows

pytestmark = pytest.mark.slow

STAGES = ["decode", "speech", "embed", "cluster", "write"]


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A folder with the results of 20 s of the sample meeting, and what was printed."""
    folder = tmp_path_factory.mktemp("bench")
    command = ["--data", "none", "--lengths", 20, "--runs", 1, "--results", "recipes/results"]
    command += ["--step", "as it is"]
    return folder, run("benchmark.pipeline", *command, cwd=folder)


def test_numbers_hold_together(measured):
    folder, text = measured
    stored = json.loads((folder / "recipes/results/bench.json").read_text())
    start_up, talk = stored["measured"]
    assert stored["machine"]["cores"] >= 1 and "torch" in stored["machine"]["packages"]
    assert {"commit", "changed", "protocol"} <= set(stored)
    found = talk["median"]
    assert found["seconds"] == 20 and talk["same_turns_each_time"] and found["windows"] > 20
    assert list(found["stages"]) == STAGES and all(stage in text for stage in STAGES)
    stages = found["stages"].values()
    assert sum(spent["wall_s"] for spent in stages) <= found["wall_s"]  # parts of one clock
    assert found["peak_mb"] == max(spent["peak_mb"] for spent in stages)
    for spent in stages:
        assert spent["ratio"] == pytest.approx(spent["wall_s"] / found["reference_s"])
    assert set(found["seconds_by_stage"]) == {"read", "segment", "embed", "cluster"}
    assert set(found["inside_embed"]) == {"features", "network"}
    # The whole command and the start are other processes.
    processes = [found["command"], *start_up["median"].values()]
    assert next(iter(start_up["median"])) == "python" and len(processes) == 6
    measured = [*stages, *processes, *found["inside_embed"].values(), found["floor"]]
    measured.append(found["seconds_by_stage"])
    assert all(value > 0 for numbers in measured for value in numbers.values())


def test_the_floor_is_the_operations_at_the_rate_of_the_product(measured):
    folder, _ = measured
    found = json.loads((folder / "recipes/results/bench.json").read_text())["measured"][1]["median"]
    operations, floor = found["floor"]["embed_operations"], found["floor"]
    assert operations / floor["embed_s"] == pytest.approx(1e9 * found["product_gflops"])
    decoded = 1e-9 * found["seconds"] * 16_000 * 4
    assert floor["decode_s"] == pytest.approx(decoded / found["copy_gb_per_s"])
    # The packaged network by hand, for 100 frames a second: of each stage a convolution of 5 x 5
    # and two of 3 x 3 a block. Nearly all of these 20 s is speech; a stretch is a bit longer.
    by_hand, rate, bands, inner = 0.0, 100.0, 64, 1
    for outer, blocks, stride in ((32, 1, 4), (64, 1, 2), (128, 2, 2), (256, 2, 2)):
        rate, bands = rate / stride, bands // 2
        by_hand += 2 * 20 * rate * bands * (25 * inner * outer + blocks * 2 * 9 * outer * outer)
        inner = outer
    assert 0.7 * by_hand < operations < 1.4 * by_hand


def test_a_table_is_made_of_it(measured):
    folder, _ = measured
    places = "<!-- bench -->\n<!-- /bench -->\n<!-- bench-steps -->\n<!-- /bench-steps -->"
    (folder / "README.md").write_text(f"a\n{places}\nb\n")
    run("report.tables", "--root", ".", cwd=folder)
    text = (folder / "README.md").read_text()
    found = json.loads((folder / "recipes/results/bench.json").read_text())["measured"][1]["median"]
    assert "| wall s (CPU s) | 20 s |" in text and text.endswith("b\n")
    (step,) = json.loads((folder / "recipes/results/bench_steps.json").read_text())["steps"]
    assert step["median"] == found and "| as it is |" in text
    assert f"| all stages | {found['wall_s']:.2f} ({found['cpu_s']:.2f}) |" in text
    (folder / "recipes/results/bench.json").write_text('{"measured": [{"what": "recording"}]}')
    assert "run `make bench` again" in run("report.tables", "--root", ".", cwd=folder, code=2)


def test_long_conversations_repeat_short_ones_at_other_levels(tmp_path):
    sound, rate = soundfile.read(SAMPLES / "ami_ES2004a_600_660.flac", stop=16_000 * 3)
    quiet = (0.5 * sound).astype(np.float32)  # nothing that a gain would clip
    folder = tmp_path / "corpus/conversations"
    rows = [{"file": f"{name}.flac"} for name in ("b", "a")]
    write_rows(folder / "manifest.tsv", rows)
    soundfile.write(folder / "b.flac", quiet, rate)
    soundfile.write(folder / "a.flac", -quiet[:rate], rate)
    command = ["--seconds", 9.5, "--cache", tmp_path / "cache", "--data", tmp_path / "corpus"]
    told = json.loads(run("benchmark.long_conversation", *command, cwd=tmp_path))
    assert told["recordings"] == ["b", "a"]
    (file,) = (tmp_path / "cache").iterdir()
    assert str(file) == told["file"]
    wave, rate = soundfile.read(file)
    joined = np.concatenate([quiet, -quiet[:16_000]])
    expected = np.concatenate([joined, joined * 10 ** (-3 / 20), joined * 10 ** (2 / 20)])
    assert rate == 16_000 and len(wave) == 152_000
    np.testing.assert_allclose(wave, expected[:152_000], atol=1.5 / 32_768)  # rounded twice
    before = file.stat()
    run("benchmark.long_conversation", *command, cwd=tmp_path)
    assert file.stat().st_mtime_ns == before.st_mtime_ns  # kept, not made again


def test_what_is_wrong_is_said_in_one_line(tmp_path):
    write_rows(tmp_path / "corpus/conversations/manifest.tsv", [{"file": "gone.flac"}])
    command = ["--data", "corpus", "--lengths", 20]
    text = run("benchmark.pipeline", *command, cwd=tmp_path, code=2)
    assert "gone.flac" in text and "error: " in text and "Traceback" not in text
    (tmp_path / "full").write_text("no folder")
    text = run("benchmark.pipeline", "--lengths", 5, "--cache", "full/x", cwd=tmp_path, code=2)
    assert "--cache" in text and "Traceback" not in text
