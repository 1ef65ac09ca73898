"""Diarize one recording in this process and say what each stage cost; run by `pipeline.py`.

    python -m recipes.benchmark.stages meeting.flac

Prints one line of JSON. The pipeline reports each stage when it begins; what is spent until another
begins is that stage's. It is the process's first recording: what is only imported or built when
needed counts where it is needed.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import resource
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch.utils.flop_counter import FlopCounterMode

from diarize.embedding.extraction import embed_recording
from diarize.embedding.windows import Windows
from diarize.pipeline.config import DiarizeConfig
from diarize.pipeline.diarizer import Diarizer
from diarize.pipeline.result import DiarizationResult
from encoder.audio.load import load_audio
from encoder.errors import ToolkitError
from encoder.models.rescnn import ResCNN

SIZE = 1024  # of the matrices in the reference product
COPIED = 1 << 26  # bytes of the reference copy
TIMES = 20  # each is timed before the run and after it
COUNTED = 1000  # windows in which operations are counted; more are scaled up by their time
# Stages of the pipeline -> of the tables: reading is decoding and hearing the level, segmenting is
# voice activity and cutting windows.
STAGES = {"read": "decode", "segment": "speech"}
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class Clock:
    """Wall seconds, CPU seconds of all threads and peak memory by stage."""

    def __init__(self, stage: str) -> None:
        self.stages: dict[str, dict[str, float]] = {}
        self._begin(stage)

    def enter(self, stage: str) -> None:
        """What was spent since the last stage was entered was spent on that one."""
        if stage == self._stage:
            return
        wall, cpu, peak = time.perf_counter(), time.process_time(), peak_mb()
        self.stages[self._stage] = {
            "wall_s": wall - self._wall,
            "cpu_s": cpu - self._cpu,
            "peak_mb": peak,
        }
        self._begin(stage)

    def _begin(self, stage: str) -> None:
        forget_peak()
        self._stage = stage
        self._wall, self._cpu = time.perf_counter(), time.process_time()


def main(audio: Annotated[Path, typer.Argument(help="recording")]) -> None:
    """Measure once."""
    try:
        diarizer = Diarizer.from_config(DiarizeConfig(device="cpu"))
        loaded_mb, threads = now_mb(), torch.get_num_threads()
        before, load = reference(), os.getloadavg()[0]
        measured, result = _measure(diarizer, audio)
        after = reference()
        floor = _floor(diarizer, audio, result, [*before["products_s"], *after["products_s"]])
    except ToolkitError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None
    copies_s = [*before["copies_s"], *after["copies_s"]]
    floor["decode_s"] = result.duration_s * 16_000 * 4 * min(copies_s) / COPIED
    # A hundred products: a number of the size of the stages' seconds.
    reference_s = 50 * sum(statistics.median(part["products_s"]) for part in (before, after))
    measured |= {
        "ratio": measured["wall_s"] / reference_s,
        "reference_s": reference_s,
        "busy": reference_s / (100 * min([*before["products_s"], *after["products_s"]])),
        "product_gflops": 2e-9 * SIZE**3 / min([*before["products_s"], *after["products_s"]]),
        "copy_gb_per_s": 1e-9 * COPIED / min(copies_s),
        "floor": floor,
        "loaded_mb": loaded_mb,
        "threads": threads,
        "load_average": load,
    }
    for spent in measured["stages"].values():
        spent["ratio"] = spent["wall_s"] / reference_s
    print(json.dumps(measured))


def _measure(diarizer: Diarizer, audio: Path) -> tuple[dict[str, Any], DiarizationResult]:
    inside = _watch(diarizer.embedder)
    with tempfile.TemporaryDirectory() as folder:
        wall, cpu = time.perf_counter(), time.process_time()
        clock = Clock("decode")
        result = diarizer(audio, on_stage=lambda stage, *_: clock.enter(STAGES.get(stage, stage)))
        clock.enter("write")
        result.write_rttm(Path(folder) / "turns.rttm")
        result.write_json(Path(folder) / "turns.json")
        clock.enter("")
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {
        "seconds": result.duration_s,
        "windows": len(result.windows),
        "speakers": len(result.speakers),
        "turns_sha256": hashlib.sha256(result.to_rttm().encode()).hexdigest(),
        "fingerprint": result.fingerprint,
        "wall_s": wall,
        "cpu_s": cpu,
        "peak_mb": max(spent["peak_mb"] for spent in clock.stages.values()),
        "stages": clock.stages,
        "inside_embed": {name: dict(spent) for name, spent in inside.items()},
        "seconds_by_stage": result.seconds_by_stage,  # as the library tells them
    }, result


def _watch(embedder: Any) -> dict[str, dict[str, float]]:
    """CPU seconds of features and network within `embed`, filled in as the run goes on. Several
    threads embed, each computing alone."""
    if not isinstance(getattr(embedder, "model", None), ResCNN):
        return {}
    inside = {"features": {"cpu_s": 0.0}, "network": {"cpu_s": 0.0}}
    lock = threading.Lock()

    def watched(work: Callable[..., Any], spent: dict[str, float]) -> Callable[..., Any]:
        def run(*given: Any) -> Any:
            begin = time.thread_time()
            done = work(*given)
            with lock:
                spent["cpu_s"] += time.thread_time() - begin
            return done

        return run

    embedder.mel.forward = watched(embedder.mel.forward, inside["features"])
    embedder.model.frames = watched(embedder.model.frames, inside["network"])
    return inside


def _floor(
    diarizer: Diarizer, audio: Path, result: DiarizationResult, products_s: list[float]
) -> dict[str, Any]:
    """Seconds that the operations of embedding take at the best rate of the matrix product."""
    windows = result.windows
    if not len(windows):
        return {"embed_operations": 0.0, "embed_s": 0.0}
    some = Windows(*(None if rows is None else rows[:COUNTED] for rows in vars(windows).values()))
    wave = load_audio(
        audio, duration_s=some.bounds.max() / 16_000, on_warning=lambda sentence: None
    )
    torch.set_num_threads(1)  # operations are counted in the calling thread
    with FlopCounterMode(display=False) as counter:
        embed_recording([wave], some, diarizer.embedder)
    spoken, spoken_of_some = (
        float((w.territory[:, 1] - w.territory[:, 0]).sum()) for w in (windows, some)
    )
    operations = counter.get_total_flops() * spoken / spoken_of_some
    rate = 2 * SIZE**3 / min(products_s)
    return {"embed_operations": operations, "embed_s": operations / rate}


def reference() -> dict[str, list[float]]:
    """Seconds of products of float32 matrices and of copies, both with torch's own threads."""
    a = torch.linspace(-1, 1, SIZE * SIZE).reshape(SIZE, SIZE)
    b, c = a.T.contiguous(), torch.empty_like(a)
    source = torch.ones(COPIED // 4)
    target = torch.empty_like(source)
    return {
        "products_s": _seconds(lambda: torch.mm(a, b, out=c)),
        "copies_s": _seconds(lambda: target.copy_(source)),
    }


def _seconds(work: Callable[[], object]) -> list[float]:
    """Of each of TIMES calls, after one that warms up."""
    work()
    taken = []
    for _ in range(TIMES):
        begin = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begin)
    return taken


def peak_mb() -> float:
    """Most memory since `forget_peak`; where the system keeps no such mark, since the start."""
    if STATUS.exists():
        return _status_mb("VmHWM")
    unit = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def now_mb() -> float:
    """Memory in use, packages and weights."""
    return _status_mb("VmRSS") if STATUS.exists() else peak_mb()


def forget_peak() -> None:
    """Linux only: the peak begins anew."""
    if RESET.exists():
        RESET.write_text("5")


def _status_mb(key: str) -> float:
    line = next(row for row in STATUS.read_text().splitlines() if row.startswith(f"{key}:"))
    return int(line.split()[1]) * 1024 / 1e6


if __name__ == "__main__":
    typer.run(main)
