"""Resemblyzer's vectors every 0.4 s where Silero VAD hears speech, clustered by spectralcluster.

Both with what they publish: windows of 1.6 s, and the configuration of "Speaker diarization with
LSTM" (ICASSP 2018), which looks for 2 to 7 speakers.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import pairwise

from work import Turns, work

RATE = 2.5  # vectors a second
FEWEST = 3  # vectors that can be clustered


def load() -> Callable[[str], Turns]:
    import numpy as np
    import soundfile
    import torch
    from resemblyzer import VoiceEncoder, normalize_volume
    from silero_vad import get_speech_timestamps, load_silero_vad
    from spectralcluster import configs

    vad = load_silero_vad()
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))  # importing silero_vad sets one
    encoder = VoiceEncoder("cpu", verbose=False)

    def diarize(path: str) -> Turns:
        wave, _ = soundfile.read(path, dtype="float32")
        speech = get_speech_timestamps(torch.from_numpy(wave), vad)
        regions = [(s["start"], s["end"]) for s in speech]
        louder = normalize_volume(wave, -30, increase_only=True).astype(np.float32)
        _, vectors, windows = encoder.embed_utterance(louder, return_partials=True, rate=RATE)
        centres = np.array([(w.start + w.stop) / 2 for w in windows])
        kept = np.array([any(s <= c < e for s, e in regions) for c in centres])
        if not kept.any():
            return [(s / 16_000, e / 16_000, "0") for s, e in regions]
        labels = np.zeros(int(kept.sum()), int)
        if len(labels) >= FEWEST:
            labels = configs.icassp2018_clusterer.predict(np.asarray(vectors)[kept])
        return _turns(regions, centres[kept], labels)

    def _turns(regions, centres, labels) -> Turns:
        """Every moment of speech is the nearest vector's speaker's."""
        borders = (centres[1:] + centres[:-1]) / 2
        for start, end in regions:
            edges = [start, *borders[(start < borders) & (borders < end)], end]
            for a, b in pairwise(edges):
                label = labels[np.argmin(np.abs(centres - (a + b) / 2))]
                yield a / 16_000, b / 16_000, str(label)

    return diarize


if __name__ == "__main__":
    work(load, ["Resemblyzer", "spectralcluster", "silero-vad", "torch"])
