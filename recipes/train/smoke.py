"""Half a minute of training on the sample meeting's speakers: does training work on this machine?

    python -m recipes.train.smoke [--record]

Cuts the turns in which one speaker talks alone out of the sample and trains
`configs/embedder/smoke.toml` on them from chance. Four things must hold on every machine, and each
is said in a sentence:

- the losses of the network before it learns are those in `results/smoke.json`, within 0.1 %: they
  follow from the seed and the sound, and processors differ by the order in which they add up
- two runs give the same losses and weights, bit by bit
- the loss of each phase falls
- the speakers do not all get one vector

Losses after the first steps are compared with no recording: every step enlarges the small
differences between processors. Exit code 1 where something does not hold.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import tempfile
import wave
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Annotated

import numpy as np
import typer

from diarize.formats.rttm import read_rttm
from encoder.audio.load import SAMPLE_RATE, load_audio
from encoder.common.config import from_mapping, read_toml
from encoder.errors import ToolkitError
from encoder.inference.encoder import Encoder
from encoder.speaker_training.collapse_detector import CollapseDetector
from encoder.speaker_training.config import TrainConfig
from encoder.speaker_training.training_run import train
from recipes.shared.progress import Terminal

HERE = Path(__file__).parents[1]
SAMPLE = HERE / "samples" / "ami_ES2004a_600_660"
CONFIG = HERE / "configs" / "embedder" / "smoke.toml"
RECORDED = HERE / "results" / "smoke.json"
SHORTEST_S = 0.8
# Relative. Sets of instructions differed by 0.00006 where the softmax's scale of 30 enlarges what
# cosines differ by; another seed, crop or margin makes another loss altogether.
TOLERANCE = 1e-3
STEPS = 5  # whose mean is a phase's loss at its beginning and at its end
# The loss at the end over that at the beginning. Measured: 0.20 to 0.22 and 0.23 to 0.34 with other
# sets of instructions and threads, up to 0.28 and 0.48 with other seeds; 1 where nothing is learnt.
FALLS = {"softmax": 0.5, "triplet": 0.7}
# How much less similar clips of two speakers are than those of one. Measured: 0.90 to 1.14, and
# below 0.01 in the untrained network.
APART = 0.3
Losses = dict[str, list[float]]


class Recorder(Terminal):
    """Also keeps what every step measured, by phase."""

    def __init__(self, *, quiet: bool = False) -> None:
        super().__init__()
        self.console.quiet |= quiet
        self.steps: dict[str, list[dict[str, float]]] = {}

    @contextlib.contextmanager
    def bar(self, title: str, total: int) -> Iterator[Callable[[int, dict[str, float]], None]]:
        with super().bar(title, total) as moved:

            def kept(done: int, measured: dict[str, float]) -> None:
                if "loss" in measured:
                    self.steps.setdefault(title, []).append(measured)
                moved(done, measured)

            yield kept

    def losses(self) -> Losses:
        return {phase: [step["loss"] for step in steps] for phase, steps in self.steps.items()}


def main(
    record: Annotated[bool, typer.Option(help="write the recorded losses anew")] = False,
    config: Annotated[Path, typer.Option(help="what is trained")] = CONFIG,
    recorded: Annotated[Path, typer.Option(help="losses of the untrained network")] = RECORDED,
) -> None:
    """Train and look, or record."""
    report = Recorder()
    try:
        resolved = from_mapping(TrainConfig, read_toml(config))
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            _cut(folder / "voices")
            (first, weights), (again, same_weights) = (
                _train(_untrained(resolved), folder, folder / run, Recorder(quiet=True))
                for run in ("a", "b")
            )
            if record:
                start = {phase: losses[:2] for phase, losses in first.losses().items()}
                start["triplet"] = start["triplet"][:1]  # the second is after a step
                recorded.write_text(json.dumps(start, indent=1) + "\n", encoding="utf-8")
                print(f"recorded {recorded}")
                return
            held = [
                _as_recorded(first.losses(), json.loads(recorded.read_text(encoding="utf-8"))),
                _repeated(first, again, weights.name == same_weights.name),
            ]
            whole, weights = _train(resolved, folder, folder / "whole", report)
            held += [_falls(phase, losses) for phase, losses in whole.losses().items()]
            held += [_no_collapse(whole, resolved), _apart(weights, folder / "voices")]
    except ToolkitError as error:
        report.fail(error)
        raise typer.Exit(2) from None
    if not all(held):
        print("training does not work here as it should: see the lines that begin with NO")
        raise typer.Exit(1)
    print("training works here as it should")


def _untrained(config: TrainConfig) -> TrainConfig:
    """Two steps of each phase; the softmax's do not change the network, so that the triplets meet
    it untrained, too."""
    still = replace(config.softmax.fit, steps=2, learning_rate=0.0, final_learning_rate=0.0)
    short = replace(config.triplet.fit, steps=2)
    return replace(
        config,
        softmax=replace(config.softmax, fit=still),
        triplet=replace(config.triplet, fit=short),
    )


def _train(config: TrainConfig, folder: Path, out: Path, report: Recorder) -> tuple[Recorder, Path]:
    """What was measured, and the weights."""
    voices, banks = folder / "voices", folder / "banks"
    return report, train(config, voices, out, cache=banks, name="deepspeaker-smoke", report=report)


def _cut(folder: Path) -> None:
    """Speaker folders with the stretches of the sample in which one speaker talks alone."""
    sound = load_audio(SAMPLE.with_suffix(".flac"))
    (turns,) = read_rttm(SAMPLE.with_suffix(".rttm")).values()
    edges = sorted({t for turn in turns for t in (turn.start_s, turn.end_s)})
    for start_s, end_s in itertools.pairwise(edges):
        speaking = {turn.speaker for turn in turns if turn.start_s < end_s and turn.end_s > start_s}
        if len(speaking) == 1 and end_s - start_s >= SHORTEST_S:
            path = folder / speaking.pop() / f"{start_s:.2f}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            piece = sound[round(start_s * SAMPLE_RATE) : round(end_s * SAMPLE_RATE)]
            with wave.open(str(path), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(SAMPLE_RATE)
                file.writeframes((piece.numpy() * 32_767).astype("<i2").tobytes())


def _said(held: bool, sentence: str) -> bool:
    print(f"{'ok' if held else 'NO'}  {sentence}")
    return held


def _as_recorded(found: Losses, recorded: Losses) -> bool:
    held = True
    for phase, losses in recorded.items():
        for number, loss in enumerate(losses):
            now = found[phase][number]
            held &= _said(
                abs(now - loss) <= TOLERANCE * abs(loss),
                f"{phase}, batch {number + 1} through the untrained network: loss {now:.5f}, "
                f"recorded {loss:.5f}",
            )
    return held


def _repeated(first: Recorder, again: Recorder, same_weights: bool) -> bool:
    held = first.losses() == again.losses() and same_weights
    words = "the same losses and weights" if held else "other losses or weights"
    return _said(held, f"a second run from the same seed gives {words}")


def _falls(phase: str, losses: list[float]) -> bool:
    begin, end = fmean(losses[:STEPS]), fmean(losses[-STEPS:])
    return _said(
        end <= FALLS[phase] * begin,
        f"{phase}: the loss goes from {begin:.3f} to {end:.3f} in {len(losses)} steps, and should "
        f"fall to {FALLS[phase]:.0%} of it or less",
    )


def _no_collapse(whole: Recorder, config: TrainConfig) -> bool:
    watch = CollapseDetector(config.triplet.margin, steps=STEPS)
    stuck = [watch.collapsed(s["triplet_loss"], s["violating"]) for s in whole.steps["triplet"]]
    words = "is stuck at" if stuck[-1] else "is not stuck at"
    return _said(not stuck[-1], f"the triplet loss {words} its margin {config.triplet.margin:g}")


def _apart(weights: Path, voices: Path) -> bool:
    encoder = Encoder.from_pretrained(weights)
    clips = sorted(voices.rglob("*.wav"))
    vectors = np.stack([encoder.embed(load_audio(path)) for path in clips])
    names = np.array([path.parent.name for path in clips])
    similarity, same = vectors @ vectors.T, names[:, None] == names
    of_one = similarity[same & ~np.eye(len(clips), dtype=bool)].mean()
    of_two = similarity[~same].mean()
    return _said(
        of_one - of_two >= APART,
        f"clips of one speaker have similarity {of_one:.2f}, those of two {of_two:.2f}, which "
        f"should be lower by {APART:g} or more",
    )


if __name__ == "__main__":
    typer.run(main)
