"""Runs cases one after the other, as it is told line by line; started by `recipes.fuzz.run`.

A process of its own, as what is fed may end it. In come lines of JSON, {"make"}, {"kind", "number"}
or {"again": folder}; out goes one for each.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from recipes.fuzz.watch import Case, Outcome, forbid_the_world, run_case

__all__: list[str] = []

ADDRESSES = 12 << 30  # bytes of address space, most of which torch only reserves
FILES = 512 << 20  # bytes of a file


def main(
    folder: Annotated[Path, typer.Argument(help="where cases are laid out")],
    seed: Annotated[int, typer.Option()] = 0,
    command: Annotated[str, typer.Option()] = "diarize.cli:main",
) -> None:
    """Work until the standard input ends."""
    orders, answers = os.fdopen(os.dup(0), "r"), os.fdopen(os.dup(1), "w")
    _limit()
    module, _, name = command.partition(":")
    called: Callable[[], object] = getattr(importlib.import_module(module), name)
    forbid_the_world()
    seeds: Any = None
    for line in orders:
        order = json.loads(line)
        if "make" in order:
            seeds = _seeds(folder / "seeds")
            print("made", file=answers, flush=True)
            continue
        if "again" in order:
            place = Path(order["again"])
        else:
            from recipes.fuzz.cases import case_of

            place = folder / f"{order['kind']}-{seed}-{order['number']}"
            place.mkdir()
            case_of(order["kind"], seed, order["number"], seeds).write(place)
        print(json.dumps(asdict(run_case(place, called))), file=answers, flush=True)


def _seeds(folder: Path) -> Any:
    """Whole files are made once, by the toolkit itself."""
    from diarize.cli import main as diarize
    from recipes.fuzz.seeds import make_seeds

    def call(arguments: list[str], place: Path) -> None:
        Case(arguments).write(place)
        outcome: Outcome = run_case(place, diarize)
        if outcome.said or outcome.verdict == "refused":
            raise RuntimeError(f"{arguments}: {outcome.said}")

    folder.mkdir()
    return make_seeds(folder, call)


def _limit() -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    for what, most in ((resource.RLIMIT_AS, ADDRESSES), (resource.RLIMIT_FSIZE, FILES)):
        _, hard = resource.getrlimit(what)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    # Numbers of threads are chosen as libraries load.
    assert "torch" not in sys.modules
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    typer.run(main)
