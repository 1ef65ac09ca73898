"""Spoilt files and settings through every command: what comes of them, and is that allowed?

    python -m recipes.fuzz.run [--minutes 2] [--seed 0] [--what media --what tables]

Makes small whole inputs (sound in many containers, RTTM, UEM, lists of trials, tables of clips,
settings, galleries, caches, weights), spoils them with the seed's random numbers and gives each to
a command, as the console script does. Allowed are a right answer, whose outputs are whole, and a
refusal: one sentence, exit code 2, nothing written. Whatever else comes of it (a traceback, a
crash, a command that hangs or takes memory without end, half an output, a file beside, a socket) is
a fault; its input is kept in `--faults`, and `--again FOLDER` runs it once more. Exit code 1 where
there is a fault.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Optional

import typer
from rich.console import Console
from rich.table import Table

from diarize.core.output import write_atomic
from encoder.errors import ToolkitError
from recipes.fuzz.watch import FOLDERS, HANGS_S, Outcome, line_of
from recipes.shared.progress import Terminal

ROOT = Path(__file__).parents[2]
KINDS = ("media", "tables", "settings", "galleries", "weights")
LIKE = 3  # faults that look the same of which inputs are kept
READY_S = 300.0  # the first case may take so long: models load, and whole files are made


def main(
    minutes: Annotated[float, typer.Option(help="how long, all kinds together")] = 2.0,
    inputs: Annotated[
        Optional[int], typer.Option(help="so many of each kind, instead of minutes")  # noqa: UP045
    ] = None,
    seed: Annotated[int, typer.Option(help="of all that is drawn")] = 0,
    first: Annotated[int, typer.Option(help="number of the first input of each kind")] = 0,
    what: Annotated[
        Optional[list[str]], typer.Option(help=f"of {', '.join(KINDS)}; all")  # noqa: UP045
    ] = None,
    faults: Annotated[Path, typer.Option(help="where faults are kept")] = Path("cache/fuzz"),
    again: Annotated[
        Optional[Path], typer.Option(help="run this kept case once more, and no other")  # noqa: UP045
    ] = None,
    results: Annotated[
        Optional[Path], typer.Option(help="write fuzz.json into this folder")  # noqa: UP045
    ] = None,
    command: Annotated[str, typer.Option(help="what is called")] = "diarize.cli:main",
) -> None:
    """Feed, look, count."""
    report = Terminal()
    kinds = what or list(KINDS)
    if unknown := set(kinds) - set(KINDS):
        report.fail(ValueError(f"nothing is called {min(unknown)!r}: give {', '.join(KINDS)}"))
        raise typer.Exit(2)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as place:
        worker = Worker(Path(place), seed, command)
        try:
            if again is not None:
                raise typer.Exit(_again(worker, Path(place), again))
            rows = _feed(worker, kinds, seed, first, minutes, inputs, faults)
        finally:
            worker.end()
    _show(rows)
    if results is not None:
        stored = {"seed": seed, "rows": rows}
        try:
            write_atomic(results / "fuzz.json", json.dumps(stored, indent=1) + "\n")
        except ToolkitError as error:
            report.fail(error)
            raise typer.Exit(2) from None
    if any(row["faults"] for row in rows):
        raise typer.Exit(1)


class Worker:
    """A process that runs cases, begun anew after one that ended it."""

    def __init__(self, place: Path, seed: int, command: str) -> None:
        self.folder = place
        self._place, self._seed, self._command = place, seed, command
        self._process: subprocess.Popen[str] | None = None
        self._answers: queue.Queue[str] = queue.Queue()
        self._starts = itertools.count()

    def ready(self) -> None:
        """It is there, and has what it spoils."""
        if self._process is None:
            self._start()
            if not self._answer({"make": True}, READY_S):
                self.end()
                raise RuntimeError("the worker made no whole files: see what it printed")

    def ask(self, order: dict[str, Any], case: Path) -> Outcome:
        """What came of the order, whose case lies or will lie in the folder `case`."""
        if self._process is None:
            self._start()
        line = self._answer(order, HANGS_S + READY_S)
        return Outcome(**json.loads(line)) if line else self._died(case)

    def end(self) -> int:
        """The process goes; its exit code."""
        if self._process is None:
            return 0
        process, self._process = self._process, None
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(1.0)  # it may be about to
        process.kill()
        return process.wait()

    def _start(self) -> None:
        self.folder = self._place / f"worker{next(self._starts)}"
        self.folder.mkdir()
        line = [sys.executable, "-m", "recipes.fuzz.worker", str(self.folder)]
        line += ["--seed", str(self._seed), "--command", self._command]
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
        self._process = subprocess.Popen(
            line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8",
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path,
                 "PYTHONDONTWRITEBYTECODE": "1"},
        )  # fmt: skip
        self._answers = queue.Queue()
        threading.Thread(target=_read, args=(self._process, self._answers), daemon=True).start()

    def _answer(self, order: dict[str, Any], timeout_s: float) -> str:
        """A line; empty where the process ended or says nothing."""
        assert self._process is not None and self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            return self._answers.get(timeout=timeout_s)
        except (OSError, queue.Empty):
            return ""

    def _died(self, case: Path) -> Outcome:
        code = self.end()
        errors = case / "stderr.txt"
        said = errors.read_text("utf-8", "replace") if errors.exists() else ""
        fault = "hangs" if "Timeout (" in said else f"ended by {code}"
        return Outcome("fault", [fault], said[-4000:], line_of(said), 0.0, 0)


def _read(process: subprocess.Popen[str], answers: queue.Queue[str]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        answers.put(line)
    answers.put("")


def _feed(
    worker: Worker,
    kinds: list[str],
    seed: int,
    first: int,
    minutes: float,
    inputs: int | None,
    faults: Path,
) -> list[dict[str, Any]]:
    """A row of counts for each kind."""
    counts = {kind: Counter[str]() for kind in kinds}
    spent_s = dict.fromkeys(kinds, 0.0)
    alike: Counter[tuple[str, str]] = Counter()
    start_s = time.monotonic()
    for number in itertools.count(first):
        if inputs is not None and number - first >= inputs:
            break
        if inputs is None and time.monotonic() - start_s > 60 * minutes:
            break
        for kind in kinds:
            name = f"{kind}-{seed}-{number}"
            worker.ready()
            began_s = time.monotonic()
            case = worker.folder / name
            outcome = worker.ask({"kind": kind, "number": number}, case)
            spent_s[kind] += time.monotonic() - began_s
            counts[kind][outcome.verdict] += 1
            if outcome.verdict == "fault":
                looks = (outcome.faults[0], outcome.where)
                alike[looks] += 1
                if alike[looks] <= LIKE:
                    _keep(case, outcome, faults / name)
            shutil.rmtree(case, ignore_errors=True)
    for (fault, where), times in alike.most_common():
        print(f"{times:>6} {fault}{' at ' if where else ''}{where}", flush=True)
    return [
        {
            "kind": kind,
            "inputs": found.total(),
            "right": found["right"],
            "refused": found["refused"],
            "faults": found["fault"],
            "per_s": round(found.total() / max(spent_s[kind], 1e-9), 1),
        }
        for kind, found in counts.items()
    ]


def _keep(case: Path, outcome: Outcome, place: Path) -> None:
    """Copy a case that is a fault, and say how to run it again."""
    shutil.rmtree(place, ignore_errors=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(case, place, symlinks=True)
    for name in ("out", "tmp", "cache"):  # what the command made
        shutil.rmtree(place / name, ignore_errors=True)
    text = json.dumps(asdict(outcome), indent=1) + "\n"
    (place / "outcome.json").write_text(text, encoding="utf-8")
    print(f"{'; '.join(outcome.faults)}: python -m recipes.fuzz.run --again {place}", flush=True)


def _again(worker: Worker, place: Path, kept: Path) -> int:
    """Run a kept case once more, and say what came of it; the exit code."""
    case = place / "again"
    shutil.copytree(kept, case, symlinks=True)
    for name in FOLDERS:
        (case / name).mkdir(exist_ok=True)
    outcome = worker.ask({"again": str(case)}, case)
    print(json.dumps(asdict(outcome), indent=1))
    return int(outcome.verdict == "fault")


def _show(rows: list[dict[str, Any]]) -> None:
    table = Table(title="spoilt inputs through every command")
    for title in rows[0]:
        table.add_column(
            title.replace("per_s", "a second"), justify="left" if title == "kind" else "right"
        )
    for row in rows:
        table.add_row(*map(str, row.values()))
    Console(width=100).print(table)


if __name__ == "__main__":
    typer.run(main)
