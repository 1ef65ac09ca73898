"""Diarize a made-up recording of so many hours and print peak memory, windows and speakers.

Run by test_memory.py in a process of its own. Sound, speech detector and voices are the simplest
there can be, so that a day takes seconds; everything between them is the real thing.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

import numpy as np
import torch

from diarize.audio.recording import Recording
from diarize.clustering.agglomerative import Agglomerative
from diarize.pipeline.config import DiarizeConfig
from diarize.pipeline.diarizer import Diarizer
from diarize.segmentation.base import Segmentation, Segmenter

BLOCK = 30 * 16_000
VOICES = np.linalg.qr(np.random.default_rng(0).standard_normal((64, 64)))[0][:12]


def block(number: int) -> torch.Tensor:
    """Speaker `number` says something for 6 s, four times: each sample is the speaker's level."""
    wave = torch.zeros(BLOCK)
    for start in range(0, BLOCK, BLOCK // 4):
        wave[start : start + 6 * 16_000] = 0.1 + 0.01 * (number % len(VOICES))
    return wave


class Loud(Segmenter):
    def segment(self, blocks):
        at, found = 0, []
        for wave in blocks:
            edges = np.flatnonzero(np.diff(np.r_[False, wave.numpy() > 0.05, False]))
            found.append(edges.reshape(-1, 2) + at)
            at += len(wave)
        return Segmentation(np.concatenate(found).astype(np.int64))


class Levels:
    """A window's voice is that of the level of its first sample, with some noise of its own."""

    fingerprint = "levels"
    minimum_samples = 1600

    def embed_windows(self, wave, bounds, *, on_done=None):
        speaker = np.rint((wave[bounds[:, 0]].numpy() - 0.1) / 0.01).astype(int)
        rng = np.random.default_rng(len(wave) + int(1e6 * wave[:1].sum()))
        rows = VOICES[speaker] + 0.05 * rng.standard_normal((len(bounds), 64))
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    def embed_stretches(self, stretches):
        for wave, bounds in stretches:
            yield self.embed_windows(wave, bounds)


def peak_mb() -> float:
    """Of this process; Linux's `ru_maxrss` is never below that of the process that started it."""
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (row for row in status.read_text().splitlines() if row.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / 1e6
    unit = 1 if sys.platform == "darwin" else 1024  # bytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def main() -> None:
    count = round(float(sys.argv[1]) * 120)
    blocks = [block(number) for number in range(len(VOICES))]
    recording = Recording(
        count * BLOCK, 1.0, lambda: (blocks[n % len(blocks)] for n in range(count))
    )
    diarizer = Diarizer(DiarizeConfig(), Loud(), Levels(), Agglomerative())
    result = diarizer(recording)
    told = {
        "peak_mb": peak_mb(),
        "windows": len(result.windows),
        "turns": len(result.turns),
        "speakers": len(result.speakers),
        "seconds": result.seconds_by_stage,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
