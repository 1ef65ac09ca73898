"""The script that one writes first: Silero VAD, CAM++ every 0.75 s, average linkage, one cut.

The cut is the usual one for such vectors and was not tuned on the recordings.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import pairwise

from work import Turns, work

WINDOW, STEP = 24_000, 12_000  # samples
MAX_DISTANCE = 0.6  # 1 - cosine


def load() -> Callable[[str], Turns]:
    import numpy as np
    import torch
    from scipy.cluster.hierarchy import fcluster, linkage
    from silero_vad import get_speech_timestamps, load_silero_vad

    from encoder.audio.load import load_audio
    from encoder.inference.encoder import Encoder

    vad = load_silero_vad()
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))  # importing silero_vad sets one
    embedder = Encoder.from_pretrained("campplus")

    def diarize(path: str) -> Turns:
        wave = load_audio(path)
        windows, territories = [], []
        for speech in get_speech_timestamps(wave, vad):
            start, end = speech["start"], speech["end"]
            if end - start < embedder.minimum_samples:
                continue
            starts = range(start, max(end - WINDOW, start) + 1, STEP)
            cut = [(s, min(s + WINDOW, end)) for s in starts]
            edges = [start, *((a[0] + b[1]) // 2 for a, b in pairwise(cut)), end]
            windows += cut
            territories += pairwise(edges)
        if not windows:
            return []
        labels = np.ones(len(windows), int)
        if len(windows) > 1:
            vectors = embedder.embed_windows(wave, np.array(windows))
            tree = linkage(vectors, "average", metric="cosine")
            labels = fcluster(tree, MAX_DISTANCE, "distance")
        turns: list[tuple[float, float, str]] = []
        for (start, end), label in zip(territories, labels, strict=True):
            if turns and turns[-1][1:] == (start / 16_000, str(label)):
                start = turns.pop()[0] * 16_000
            turns.append((start / 16_000, end / 16_000, str(label)))
        return turns

    return diarize


if __name__ == "__main__":
    work(load, ["silero-vad", "scipy", "torch"])
