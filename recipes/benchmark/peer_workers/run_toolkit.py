"""Ours, as `diarize --preset NAME` runs it; NAME is the argument."""

from __future__ import annotations

import sys
from collections.abc import Callable

from work import Turns, work


def load() -> Callable[[str], Turns]:
    from diarize.pipeline.diarizer import Diarizer

    diarizer = Diarizer.from_config(preset=sys.argv[3])
    return lambda path: [(t.start_s, t.end_s, t.speaker) for t in diarizer(path).turns]


if __name__ == "__main__":
    work(load, ["deepspeaker-diarize", "torch"])
