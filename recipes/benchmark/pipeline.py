"""What a conversation of a minute to ten hours costs, stage by stage, and what it could cost.

    python -m recipes.benchmark.pipeline [--data ../shared/corpus] [--lengths 60 --lengths 3600]
        [--runs 3]

Every measurement has a process of its own: `recipes/benchmark/stages.py` diarizes a recording
through the library, between two timings of a fixed matrix product; the command `diarize` is
measured from outside; start-up is taken apart. Seconds of a machine with other work say little,
their ratio to the product timed beside them says more. The floor is what the operations of
embedding take at the best rate of that product, and decoding at the rate of a copy. Lengths take
turns, so that a noisy minute spoils one run of each and not all of one; what was measured before a
stop is in `unfinished.json` of the cache. Writes recipes/results/bench.json.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Optional

import typer
from rich.console import Console
from rich.table import Table

from diarize.core.output import write_atomic
from encoder.errors import ConfigError, ToolkitError
from recipes.report.bench_tables import HOUR_S, length_title
from recipes.shared.progress import Terminal

ROOT = Path(__file__).parents[2]
PARTS = "recipes.benchmark"
RESULTS = Path(__file__).parents[1] / "results"
LENGTHS_S = (60.0, 600.0, 3600.0, 36_000.0)
RUNS = 3
ONCE_FROM_S = 7200.0  # longer recordings are measured once unless --runs says more
BUSY = 1.3  # times its best that the reference takes when other work shares the machine
PACKAGES = ("torch", "numpy", "av", "silero-vad", "scikit-learn")
COMMAND = "from diarize.cli import main; main()"  # what the installed command runs
START_UP = {
    "python": ["-c", "pass"],
    "import torch": ["-c", "import torch"],
    "import diarize.pipeline.diarizer": ["-c", "import diarize.pipeline.diarizer"],
    "ready": ["-c", "from diarize.pipeline.diarizer import Diarizer; Diarizer.from_config()"],
    "diarize --help": ["-c", COMMAND, "--help"],
}
PROTOCOL = {
    "stages": "decode: file to blocks of the wave, and their level; speech: voice activity, "
    "cutting windows; embed: features and network; cluster; write: turns, RTTM and JSON. First "
    "recording of its process",
    "wall_s, cpu_s": "of a stage; CPU of all threads; of features and network CPU only, as several "
    "threads embed",
    "peak_mb": "resident memory of the process; loaded_mb: before the recording, packages and "
    "weights; 1 MB is 10^6 bytes",
    "ratio": "wall seconds over reference_s, the time of 100 products of float32 1024 x 1024 "
    "matrices (median of 20 before and 20 after)",
    "busy": "median over best time of that product: 1 on an idle machine, 2 where other work took "
    "half of it",
    "floor": "operations of embedding, counted, at the best rate of that product; "
    "bytes of the decoded wave at the best rate of a 64 MiB copy",
    "command": "`diarize FILE -o turns.rttm` from outside, Python's start included",
    "start_up": "from outside, likewise; each holds the ones before it, but for --help",
    "median": f"of {RUNS} runs, of recordings of {ONCE_FROM_S / 3600:g} h and more one",
}
terminal = Terminal()


def main(
    data: Annotated[Path, typer.Option(help="corpus folder")] = Path("../shared/corpus"),
    lengths: Annotated[
        Optional[list[float]],  # noqa: UP045
        typer.Option(min=5, help="seconds of a recording; repeatable (default: 1 min to 10 h)"),
    ] = None,
    runs: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(min=1, help=f"of each measurement (default: {RUNS}, long recordings once)"),
    ] = None,
    cache: Annotated[Path, typer.Option(help="recordings are kept here")] = Path("cache/bench"),
    results: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="folder (default: recipes/results if all lengths and runs are measured)"),
    ] = None,
    step: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="what was changed: keeps the hour's medians in bench_steps.json, too"),
    ] = None,
) -> None:
    """Print and store seconds, memory, ratios and floors."""
    try:
        if not data.is_dir():
            terminal.say(f"there is no corpus in {str(data)!r}: the sample meeting is repeated")
        chosen = list(dict.fromkeys(lengths or LENGTHS_S))
        recordings = [_recording(seconds, cache, data) for seconds in chosen]
        start_up: dict[str, list[dict[str, Any]]] = {name: [] for name in START_UP}
        last = (runs or RUNS) - 1
        for run in range(last + 1):
            for name, arguments in START_UP.items():
                start_up[name].append(_outside(arguments))
            for recording in recordings:
                if runs or run == last or recording["asked_s"] < ONCE_FROM_S:
                    _measure(recording)
                    _keep(_stored(start_up, recordings), cache / "unfinished.json")
                    title = f"run {run + 1}, {length_title(recording['asked_s'])}"
                    terminal.console.print(
                        f"{title}: {_last(recording)}", highlight=False, soft_wrap=True
                    )
        stored = _stored(start_up, recordings)
        _show(stored["measured"])
        for row in stored["measured"][1:]:
            if (busy := row["median"]["busy"]) > BUSY:
                title = length_title(row["asked_s"])
                terminal.warn(f"{title}: other work made the reference {busy:.1f} times slower")
        _save(stored, results, lengths or runs)
        if step:
            _keep_step(step, stored, RESULTS if results is None else results)
        (cache / "unfinished.json").unlink(missing_ok=True)
    except ToolkitError as error:
        terminal.fail(error)
        raise typer.Exit(2) from None


def _stored(
    start_up: dict[str, list[dict[str, Any]]], recordings: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """What was measured so far."""
    first = {
        "what": "start-up",
        "median": {name: _median(spent) for name, spent in start_up.items()},
        "runs": start_up,
    }
    rows = [first, *(_summary(recording) for recording in recordings if recording["runs"])]
    return {"protocol": PROTOCOL, "machine": _machine(), **_commit(), "measured": rows}


def _recording(seconds: float, cache: Path, data: Path) -> dict[str, Any]:
    script = [f"{PARTS}.long_conversation", "--seconds", f"{seconds:.15g}"]
    made = _inside([*script, "--cache", cache, "--data", data])
    return {"asked_s": seconds, **made, "runs": [], "command": []}


def _measure(recording: dict[str, Any]) -> None:
    recording["runs"].append(_inside([f"{PARTS}.stages", recording["file"]]))
    with tempfile.TemporaryDirectory() as folder:
        turns = Path(folder) / "turns.rttm"
        file = Path(recording["file"]).resolve()
        spent = _outside(["-c", COMMAND, str(file), "-o", str(turns)])
        digest = hashlib.sha256(turns.read_bytes()).hexdigest()
    recording["command"].append({**spent, "turns_sha256": digest})


def _last(recording: dict[str, Any]) -> str:
    run, command = recording["runs"][-1], recording["command"][-1]
    stages = ", ".join(f"{name} {spent['wall_s']:.2f}" for name, spent in run["stages"].items())
    return (
        f"{run['wall_s']:.2f} s ({stages}), {run['ratio']:.2f} of the reference, "
        f"{run['peak_mb']:.0f} MB; whole command {command['wall_s']:.2f} s"
    )


def _inside(arguments: Sequence[object]) -> dict[str, Any]:
    """What a part of this recipe prints; it says itself what is wrong."""
    done = subprocess.run(
        [sys.executable, "-m", *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        env=_environment(),
        check=False,
    )
    if done.returncode:
        _failed(str(arguments[0]), done.returncode)
    return json.loads(done.stdout)


def _outside(arguments: Sequence[str]) -> dict[str, float]:
    """Wall and CPU seconds and peak memory of another Python, from the system.

    A process's peak is never below that of this one, which started it and imports little.
    """
    with tempfile.TemporaryFile() as said:
        begin = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *arguments], stdout=said, stderr=said, env=_environment()
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            sys.stderr.write(said.read().decode(errors="replace"))
            _failed(" ".join(["python", *arguments]), process.returncode)
    unit = 1 if platform.system() == "Darwin" else 1024
    return {
        "wall_s": wall,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "peak_mb": usage.ru_maxrss * unit / 1e6,
    }


def _environment() -> dict[str, str]:
    """As it is, but that this checkout is what is measured."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def _failed(name: str, code: int) -> None:
    if code == 2:
        raise typer.Exit(2)  # one line was printed already
    if code < 0:
        raise ConfigError(
            f"{name} was killed (signal {-code}), perhaps for want of memory: measure shorter "
            "recordings with --lengths"
        )
    raise RuntimeError(f"{name} failed with {code}; what it said stands above")


def _summary(recording: dict[str, Any]) -> dict[str, Any]:
    runs, command = recording["runs"], recording["command"]
    turns = {part["turns_sha256"] for part in (*runs, *command)}
    return {
        "what": "recording",
        "asked_s": recording["asked_s"],
        "made_of": recording["recordings"],
        "same_turns_each_time": len(turns) == 1,
        "median": {**_median(runs), "command": _median(command)},
        "runs": runs,
        "command_runs": command,
    }


def _median(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The median of every number, in groups as they are."""
    return {
        key: _median([run[key] for run in runs])
        if isinstance(first, dict)
        else statistics.median([run[key] for run in runs])
        for key, first in runs[0].items()
        if isinstance(first, (dict, int, float))
    }


def _machine() -> dict[str, Any]:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if sys.platform == "linux" else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cores": len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count(),
        "cpu": (names or [platform.processor() or None])[0],
        "machine": platform.machine(),
        "python": platform.python_version(),
        "packages": {package: version(package) for package in PACKAGES},
        "omp": {name: os.environ[name] for name in sorted(os.environ) if name.startswith("OMP_")},
    }


def _commit() -> dict[str, Any]:
    """The commit, and whether files of it were changed since; None outside git."""
    said = []
    for arguments in (["rev-parse", "HEAD"], ["status", "--porcelain", "-uno", "."]):
        try:
            done = subprocess.run(
                ["git", *arguments], capture_output=True, text=True, check=True, cwd=ROOT
            )
        except (OSError, subprocess.CalledProcessError):
            return {"commit": None, "changed": None}
        said.append(done.stdout.strip())
    return {"commit": said[0], "changed": bool(said[1])}


def _save(stored: dict[str, Any], results: Path | None, asked: object) -> None:
    if results is None and asked:
        terminal.say("saved nothing, as not all was measured: give --results folder")
        return
    folder = RESULTS if results is None else results
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"--results {str(folder)!r} cannot be made ({error.strerror}): give another folder"
        ) from error
    _keep(stored, folder / "bench.json")


def _keep_step(step: str, stored: dict[str, Any], folder: Path) -> None:
    """Add the hour, or the longest recording that was measured, to the steps."""
    rows = stored["measured"][1:]
    row = next((r for r in rows if r["asked_s"] == HOUR_S), rows[-1])
    path = folder / "bench_steps.json"
    steps = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"steps": []}
    steps["steps"].append(
        {
            "step": step,
            **{key: stored[key] for key in ("commit", "changed", "machine")},
            "asked_s": row["asked_s"],
            "runs": len(row["runs"]),
            "median": row["median"],
        }
    )
    _keep(steps, path)


def _keep(stored: dict[str, Any], path: Path) -> None:
    write_atomic(path, json.dumps(stored, indent=1) + "\n")


def _show(measured: Sequence[dict[str, Any]]) -> None:
    table = Table(title="diarize, medians")
    columns = ("", "wall s", "CPU s", "peak MB", "of the reference", "floor s")
    for column in columns:
        table.add_column(column, justify="right" if column else "left")
    for row in measured:
        table.add_section()
        if row["what"] == "start-up":
            for name, spent in row["median"].items():
                table.add_row(name, *_cells(spent))
            continue
        median = row["median"]
        same = "" if row["same_turns_each_time"] else ", the runs differ"
        table.add_row(f"{length_title(row['asked_s'])}{same}", *_cells(median), style="bold")
        for stage, spent in median["stages"].items():
            floor_s = median["floor"].get(f"{stage}_s")
            table.add_row(f"  {stage}", *_cells(spent), "" if floor_s is None else f"{floor_s:.2f}")
            for part, inner in median["inside_embed"].items() if stage == "embed" else ():
                table.add_row(f"    {part}", *_cells(inner))
        table.add_row("  whole command", *_cells(median["command"]))
    Console(width=100).print(table)


def _cells(spent: dict[str, Any]) -> list[str]:
    shown = {"wall_s": ".2f", "cpu_s": ".2f", "peak_mb": ".0f", "ratio": ".2f"}
    return [format(spent[key], how) if key in spent else "" for key, how in shown.items()]


if __name__ == "__main__":
    typer.run(main)
