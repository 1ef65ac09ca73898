"""The packaged weights still make of the sample meeting what they made when they were shipped."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

GOLDEN = Path(__file__).parents[2] / "golden"


def test_golden_numbers():
    stored_at = GOLDEN / "packaged.json"
    assert stored_at.exists(), "run python tests/golden/regenerate.py and read the diff"
    stored = json.loads(stored_at.read_text(encoding="utf-8"))
    spec = importlib.util.spec_from_file_location("regenerate", GOLDEN / "regenerate.py")
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    now = script.measure()
    assert now["fingerprint"] == stored["fingerprint"]
    assert now["samples"] == stored["samples"]
    assert now["energy"] == pytest.approx(stored["energy"], rel=1e-4)
    np.testing.assert_allclose(now["embeddings"], stored["embeddings"], atol=2e-3)
