"""Vectors of a speaker model for every training utterance, to teach a small network with.

    diarize models fetch campplus             # once
    python -m recipes.prepare.teacher_vectors --data ../shared/corpus --out cache/teacher.npz

The teacher is any embedder that `diarize --embedder` takes. An utterance (at most 4 s from its
middle; a shorter one is repeated up to 1 s) gets one vector, and its copy at another speed one.
"""

from __future__ import annotations

import multiprocessing
from functools import cache
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from rich.console import Console
from rich.progress import track

from diarize.embedding.embedders import load_embedder
from encoder.audio.load import load_audio
from encoder.common.atomic_files import replacing
from encoder.common.units import seconds_to_samples
from encoder.data.corpora import read_corpus
from encoder.data.feature_bank import at_speed, copy_name, speeds_of
from encoder.errors import CorpusError, ToolkitError
from encoder.inference.window_embedder import WindowEmbedder

LONGEST = seconds_to_samples(4.0)
SHORTEST = seconds_to_samples(1.0)
SPEEDS = (1.0, 0.9, 1.1)

console = Console(stderr=True)


def main(
    data: Annotated[Path, typer.Option(help="corpus folder")],
    out: Annotated[Path, typer.Option(help="vectors go here")] = Path("cache/teacher.npz"),
    embedder: Annotated[str, typer.Option(help="as for `diarize`")] = "campplus",
    split: Annotated[str, typer.Option(help="of the manifest")] = "train",
    copies: Annotated[
        bool,
        typer.Option(help="also one copy of each utterance at another speed (`one_speed_copy`)"),
    ] = True,
    workers: Annotated[int, typer.Option(help="processes")] = 2,
) -> None:
    """Write `names` (N,), unit `vectors` (N, D) and the embedder's `fingerprint`."""
    try:
        _prepare(data, out, embedder, split, copies, workers)
    except ToolkitError as error:
        console.print(f"error: {error}", style="red", highlight=False, markup=False)
        raise typer.Exit(2) from None


def _prepare(data: Path, out: Path, embedder: str, split: str, copies: bool, workers: int) -> None:
    utterances = [u for u in read_corpus(data) if u.split == split]
    if not utterances:
        raise CorpusError(f"no utterance of {str(data)!r} is of the split {split!r}: name another")
    fingerprint = _teacher(embedder).fingerprint
    copies_of = [
        (u.seconds / speed, u, speed)
        for u in utterances
        for speed in (speeds_of(u.speaker, SPEEDS) if copies else (1.0,))
    ]
    copies_of.sort(key=lambda row: row[0])  # neighbours in length share a batch: little is cut away
    jobs = [
        (embedder, [(u.path, speed) for _, u, speed in copies_of[i : i + 16]])
        for i in range(0, len(copies_of), 16)
    ]
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        done = pool.imap(_embed, jobs)
        parts = list(track(done, "teacher", total=len(jobs), console=console))
    with replacing(out, private=True) as partial, partial.open("wb") as handle:
        np.savez(
            handle,
            names=np.array([copy_name(u.name, speed) for _, u, speed in copies_of]),
            vectors=np.concatenate(parts),
            fingerprint=fingerprint,
        )
    console.print(f"wrote {out}: {len(copies_of)} vectors of {fingerprint}", highlight=False)


@cache
def _teacher(name: str) -> WindowEmbedder:
    torch.set_num_threads(1)  # the processes share the cores
    return load_embedder(name, device="cpu")


def _embed(job: tuple[str, list[tuple[Path, float]]]) -> np.ndarray:
    """Unit vectors (n, D) of n files of about one length."""
    name, copies_of = job
    teacher = _teacher(name)
    waves = [_middle(at_speed(_load(path), speed)) for path, speed in copies_of]
    size = min(len(wave) for wave in waves)
    starts = size * np.arange(len(waves))
    line = torch.cat([wave[:size] for wave in waves])
    return teacher.embed_windows(line, np.stack([starts, starts + size], axis=1))


def _load(path: Path) -> torch.Tensor:
    """Training leaves a damaged file out, so that its vector (of silence) is never asked for."""
    try:
        return load_audio(path)
    except ToolkitError:
        return torch.zeros(0)


def _middle(wave: torch.Tensor) -> torch.Tensor:
    if len(wave) == 0:
        return torch.zeros(SHORTEST)
    if len(wave) < SHORTEST:
        wave = wave.repeat(-(-SHORTEST // len(wave)))[:SHORTEST]
    start = max(0, (len(wave) - LONGEST) // 2)
    return wave[start : start + LONGEST]


if __name__ == "__main__":
    typer.run(main)
