"""Short recordings, where a tool is tried first: are the speakers of 10 to 40 s counted right?

    python -m recipes.evaluate.short_joins --data ../shared/corpus [--preset fast] [--split train]

One, two or three voices of one data set, parted by a quarter of a second: each speaks once, or
all in turn twice. Voices of `heldout` are for the report, those of `train` for choosing settings.
Each preset runs as `diarize FILE --preset NAME` does, the number of speakers unknown. Writes
results/short_joins.json.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, NamedTuple

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table

from diarize.core.output import write_atomic
from diarize.models.presets import PRESETS, check_fetched
from diarize.pipeline.config import load_config
from diarize.pipeline.diarizer import Diarizer
from encoder.audio.load import load_audio, seconds_to_samples
from encoder.data.corpora import read_corpus
from encoder.data.manifest import Utterance
from encoder.errors import CheckpointError, ConfigError, ToolkitError
from recipes.shared.embedders import (
    CorpusFolder,
    PresetNames,
    ResultsFolder,
    Saving,
    results_folder,
    say,
    stop,
)

SHORTEST_S, LONGEST_S = 10.0, 40.0
MOST_SPEAKERS = 3
PAUSE_S = 0.25
SPLITS = ("heldout", "train")


class Join(NamedTuple):
    """A wave (T,), how many voices it has and how often each speaks."""

    wave: torch.Tensor
    speakers: int
    rounds: int


def main(
    data: CorpusFolder,
    preset: PresetNames = None,
    split: Annotated[str, typer.Option(help=" or ".join(SPLITS))] = SPLITS[0],
    number: Annotated[int, typer.Option(help="joins of each number of speakers")] = 40,
    seed: Annotated[int, typer.Option(help="of what is drawn")] = 0,
    results: ResultsFolder = None,
    save: Saving = True,
) -> None:
    """Count the speakers of short joins."""
    try:
        if split not in SPLITS:
            raise ConfigError(f"the split is {split!r}: give {' or '.join(SPLITS)}")
        utterances = [one for one in read_corpus(data) if one.split == split]
        runs = []
        for name in preset or PRESETS:
            try:
                check_fetched(name, vars(load_config(preset=name)))
            except CheckpointError as error:
                if preset:
                    raise
                say(f"left out {name}: {error}", style="yellow")
                continue
            runs.append(_run(name, joins(utterances, number, seed)))
        if not runs:
            return
        _show(runs, split)
        other = preset or split != SPLITS[0] or (number, seed) != (40, 0)
        if save and (folder := results_folder(results, other)) is not None:
            stored = {"split": split, "seed": seed, "joins_each": number, "runs": runs}
            write_atomic(folder / "short_joins.json", json.dumps(stored, indent=1) + "\n")
    except ToolkitError as error:
        raise stop(error) from None


def joins(utterances: Sequence[Utterance], number: int, seed: int) -> Iterator[Join]:
    """`number` joins of each number of speakers, the same for the same seed and corpus."""
    by_speaker: dict[tuple[str, str], list[Utterance]] = defaultdict(list)
    for one in sorted(utterances, key=lambda one: one.name):
        by_speaker[one.dataset, one.speaker].append(one)
    for speakers in range(1, MOST_SPEAKERS + 1):
        for index in range(number):
            rng = np.random.default_rng([seed, speakers, index])
            length_s, rounds = rng.uniform(SHORTEST_S, LONGEST_S), 1 + index % 2
            yield Join(_wave(by_speaker, speakers, rounds, length_s, rng), speakers, rounds)


def _wave(
    by_speaker: dict[tuple[str, str], list[Utterance]],
    speakers: int,
    rounds: int,
    length_s: float,
    rng: np.random.Generator,
) -> torch.Tensor:
    each_s = length_s / speakers
    able: dict[str, list[str]] = defaultdict(list)
    for (dataset, speaker), own in by_speaker.items():
        if sum(one.seconds for one in own) >= each_s + 1:
            able[dataset].append(speaker)
    datasets = sorted(dataset for dataset, names in able.items() if len(names) >= speakers)
    names = [name for name in datasets for _ in range(len(able[name]))]  # by their size
    dataset = str(rng.choice(names))
    chosen = [str(name) for name in rng.choice(sorted(able[dataset]), speakers, replace=False)]
    pause = torch.zeros(seconds_to_samples(PAUSE_S))
    voices = [_voice(by_speaker[dataset, name], each_s, rng) for name in chosen]
    parts = [voice.chunk(rounds)[turn] for turn in range(rounds) for voice in voices]
    return torch.cat([piece for part in parts for piece in (part, pause)][:-1])


def _voice(
    utterances: Sequence[Utterance], length_s: float, rng: np.random.Generator
) -> torch.Tensor:
    """(T,) of one speaker, from utterances in any order."""
    waves: list[torch.Tensor] = []
    for index in rng.permutation(len(utterances)):
        waves.append(load_audio(utterances[index].path, on_warning=lambda sentence: None))
        if sum(map(len, waves)) >= seconds_to_samples(length_s):
            break
    return torch.cat(waves)[: seconds_to_samples(length_s)]


def _run(name: str, drawn: Iterator[Join]) -> dict[str, Any]:
    diarizer = Diarizer.from_config(preset=name)
    found = np.zeros((MOST_SPEAKERS, 10), int)  # joins by true and by found number
    right_by_rounds: dict[int, list[bool]] = defaultdict(list)
    for join in drawn:
        count = len(diarizer(join.wave).speakers)
        found[join.speakers - 1, min(count, found.shape[1] - 1)] += 1
        right_by_rounds[join.rounds].append(count == join.speakers)
    right = [int(found[k - 1, k]) for k in range(1, MOST_SPEAKERS + 1)]
    return {
        "name": name,
        "right": right,
        "joins": found.sum(axis=1).tolist(),
        "found": found.tolist(),
        "right_each_once": float(np.mean(right_by_rounds[1])),
        "right_in_turn": float(np.mean(right_by_rounds[2])),
    }


def _show(runs: list[dict[str, Any]], split: str) -> None:
    table = Table(title=f"joins of 10 to 40 s of {split} voices: speakers counted right")
    table.add_column("preset")
    for k in range(1, MOST_SPEAKERS + 1):
        table.add_column(f"of {k}", justify="right")
    table.add_column("found (1, 2, 3, 4 ...) of 1 / 2 / 3", overflow="fold")
    for run in runs:
        cells = [f"{r} of {n}" for r, n in zip(run["right"], run["joins"], strict=True)]
        rows = " / ".join(" ".join(map(str, row[1:6])) for row in run["found"])
        table.add_row(run["name"], *cells, rows)
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
