"""A minute of training on the sample meeting's voices: does everything run, and as recorded?

    python recipes/train_smoke.py [--record]

Cuts the turns in which one speaker talks alone out of the sample, trains `configs/smoke.toml` on
them from chance, and compares the first losses of both phases with those in `results/smoke.json`
(within 2 %: other processors add up in other orders). Exit code 1 where they differ.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import tempfile
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer
from progress import Terminal

from diarize.formats.rttm import read_rttm
from encoder.audio import SAMPLE_RATE, load_audio
from encoder.config import from_mapping, read_toml
from encoder.errors import ToolkitError
from encoder.plan import TrainPlan
from encoder.run import train

HERE = Path(__file__).parent
SAMPLE = HERE / "samples" / "ami_ES2004a_600_660"
RECORDED = HERE / "results" / "smoke.json"
SHORTEST_S = 0.8
STEPS = (1, 2, 5, 10, 20)
TOLERANCE = 0.05  # relative


class Recorder(Terminal):
    """Also keeps the losses of the first steps, by bar and step."""

    def __init__(self) -> None:
        super().__init__()
        self.losses: dict[str, dict[str, float]] = {}

    @contextlib.contextmanager
    def bar(self, title: str, total: int) -> Iterator[Callable[[int, dict[str, float]], None]]:
        with super().bar(title, total) as moved:

            def kept(done: int, measured: dict[str, float]) -> None:
                if done in STEPS and "loss" in measured:
                    self.losses.setdefault(title, {})[str(done)] = measured["loss"]
                moved(done, measured)

            yield kept


def main(
    record: Annotated[bool, typer.Option(help="write results/smoke.json anew")] = False,
) -> None:
    """Train, compare, or record."""
    report = Recorder()
    try:
        with tempfile.TemporaryDirectory() as folder:
            _cut(Path(folder) / "voices")
            plan = from_mapping(TrainPlan, read_toml(HERE / "configs" / "smoke.toml"))
            train(
                plan,
                Path(folder) / "voices",
                Path(folder) / "run",
                cache=Path(folder) / "banks",
                name="deepspeaker-smoke",
                report=report,
            )
    except ToolkitError as error:
        report.fail(error)
        raise typer.Exit(2) from None
    if record:
        RECORDED.write_text(json.dumps(report.losses, indent=1) + "\n", encoding="utf-8")
        print(f"recorded {RECORDED}")
        return
    _compare(report.losses, json.loads(RECORDED.read_text(encoding="utf-8")))


def _cut(folder: Path) -> None:
    """Speaker folders with the stretches of the sample in which one speaker talks alone."""
    sound = load_audio(SAMPLE.with_suffix(".flac"))
    (turns,) = read_rttm(SAMPLE.with_suffix(".rttm")).values()
    edges = sorted({t for turn in turns for t in (turn.start_s, turn.end_s)})
    for start_s, end_s in itertools.pairwise(edges):
        heard = {turn.speaker for turn in turns if turn.start_s < end_s and turn.end_s > start_s}
        if len(heard) == 1 and end_s - start_s >= SHORTEST_S:
            path = folder / heard.pop() / f"{start_s:.2f}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            piece = sound[round(start_s * SAMPLE_RATE) : round(end_s * SAMPLE_RATE)]
            with wave.open(str(path), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(SAMPLE_RATE)
                file.writeframes((piece.numpy() * 32_767).astype("<i2").tobytes())


def _compare(found: dict[str, dict[str, float]], recorded: dict[str, dict[str, float]]) -> None:
    wrong = False
    for phase, losses in recorded.items():
        for step, loss in losses.items():
            now = found.get(phase, {}).get(step, float("nan"))
            same = abs(now - loss) <= TOLERANCE * abs(loss)
            wrong |= not same
            print(
                f"{phase} step {step}: loss {now:.4f}, recorded {loss:.4f}{'' if same else '  <--'}"
            )
    if wrong:
        print("the training does not go as recorded: look for what changed, or run with --record")
        raise typer.Exit(1)
    print("as recorded")


if __name__ == "__main__":
    typer.run(main)
