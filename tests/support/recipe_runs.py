"""Recipes run as a user runs them, and the tables that they read."""

from __future__ import annotations

import csv
import os
from pathlib import Path

from tests.support import warm_python

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "recipes" / "samples"


def write_rows(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, rows[0], delimiter="\t")
        writer.writeheader()
        writer.writerows(rows)


def run(recipe, *arguments, cwd, code=0, **variables):
    done = warm_python.run(
        ["-m", f"recipes.{recipe}", *arguments],
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **variables},
        timeout=600,
    )
    text = (done.stdout + done.stderr).decode()
    assert done.returncode == code, text
    return text


def committed():
    """The results in the repository, which no run for other weights may change."""
    return {p.name: p.read_bytes() for p in (ROOT / "recipes/results").glob("*.json")}
