"""What a recording of a day takes, beside one of two hours."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

WAVE_MB = 3600 * 16_000 * 4 / 1e6  # of an hour, were it held as a whole
MOST_MB = 8  # for each hour more: vectors, windows, turns


def measured(hours):
    script = Path(__file__).with_name("a_day.py")
    done = subprocess.run([sys.executable, script, str(hours)], capture_output=True, check=True)
    return json.loads(done.stdout)


def test_a_day_takes_little_more_memory_than_two_hours():
    short, day = measured(2), measured(24)
    assert day["windows"] == 12 * short["windows"] > 100_000
    assert short["speakers"] == day["speakers"] == 12
    assert day["turns"] == 12 * short["turns"]
    assert day["peak_mb"] - short["peak_mb"] < 22 * MOST_MB < 22 * WAVE_MB / 20
