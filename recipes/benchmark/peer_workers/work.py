"""What all workers do: recordings to RTTM, one after another, with what each one cost.

    python WORKER.py JOB.json FOLDER [ARGUMENT ...]

The job lists recordings, {"recordings": [{"name": ..., "path": ...}]}, as 16 kHz mono WAVs. FOLDER
gets NAME.rttm of each and `spent.jsonl`, lines of JSON: seconds to be ready, seconds of every
recording, peak memory. Runs inside a peer's environment, so it needs nothing but Python.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

Turns = Iterable[tuple[float, float, str]]  # start and end in seconds, speaker
STARTED = time.perf_counter()


def work(load: Callable[[], Callable[[str], Turns]], packages: Iterable[str]) -> None:
    """Diarize the job's recordings with what `load` gives, and say the versions of `packages`.

    The first recording is done twice: the first time warms up and is not counted.
    """
    recordings = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["recordings"]
    folder = Path(sys.argv[2])
    with (folder / "spent.jsonl").open("w", encoding="utf-8") as lines:
        diarize = load()
        _line(
            lines,
            load_s=time.perf_counter() - STARTED,
            packages={name: _version(name) for name in packages},
        )
        _turns(diarize, recordings[0]["path"])
        for recording in recordings:
            wall, cpu = time.perf_counter(), time.process_time()
            turns, error = _turns(diarize, recording["path"])
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            name = recording["name"]
            (folder / f"{name}.rttm").write_text(_rttm(name, turns), encoding="utf-8")
            _line(lines, recording=name, wall_s=wall, cpu_s=cpu, error=error)
        _line(lines, peak_memory_mb=_peak_mb())


def _turns(
    diarize: Callable[[str], Turns], path: str
) -> tuple[list[tuple[float, float, str]], str | None]:
    """Without turns, and why, where the peer fails on a recording: the others still count."""
    try:
        return [(start, end, who) for start, end, who in diarize(path) if end > start], None
    except Exception as error:
        return [], f"{type(error).__name__}: {error}"


def _rttm(name: str, turns: Turns) -> str:
    lines = [
        f"SPEAKER {name} 1 {start:.3f} {end - start:.3f} <NA> <NA> {who} <NA> <NA>\n"
        for start, end, who in turns
        if end - start >= 0.001
    ]
    return "".join(lines)


def _line(lines: Any, **values: Any) -> None:
    lines.write(json.dumps(values) + "\n")
    lines.flush()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _peak_mb() -> float | None:
    """Of this program alone: what rusage says begins with the memory of who started it."""
    status = Path("/proc/self/status")
    if status.exists():
        (peak,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(peak.split()[1]) / 1024
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak_size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak_size / (1 << 20 if sys.platform == "darwin" else 1 << 10)
