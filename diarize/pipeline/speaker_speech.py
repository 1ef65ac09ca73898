"""What one speaker says in a recording of several, for whoever wants that speaker alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from diarize.core.turns import LONGEST, Turn, speaking_time
from encoder.audio.load import stream_audio
from encoder.common.units import seconds_to_samples
from encoder.errors import ConfigError

__all__ = ["alone", "chosen_speaker", "speech_at"]


def chosen_speaker(turns: Iterable[Turn], wanted: str, where: str) -> str:
    """The speaker called `wanted`, or who speaks longest for `LONGEST`; ConfigError lists all."""
    seconds = speaking_time(turns)
    if not seconds:
        raise ConfigError(f"no speech is found in {where!r}: give another file")
    if wanted == LONGEST:
        return max(seconds, key=seconds.__getitem__)
    if wanted not in seconds:
        known = ", ".join(f"{name} ({spoken:.1f} s)" for name, spoken in seconds.items())
        raise ConfigError(
            f"no speaker in {where!r} is called {wanted!r}: name one of {known}, or {LONGEST!r}",
            setting="speaker",
        )
    return wanted


def alone(turns: Sequence[Turn], speaker: str) -> NDArray[np.int64]:
    """(n, 2): where the speaker speaks and nobody else, as sample offsets in time order."""
    spans = [
        (seconds_to_samples(t.start_s), seconds_to_samples(t.end_s), t.speaker == speaker)
        for t in turns
    ]
    edges = np.unique([edge for start, end, _ in spans for edge in (start, end)])
    own, others = np.zeros(len(edges), np.int64), np.zeros(len(edges), np.int64)
    for start, end, is_own in spans:
        where = slice(*np.searchsorted(edges, (start, end)))
        (own if is_own else others)[where] += 1
    at = np.flatnonzero((own > 0) & (others == 0))
    return np.stack([edges[at], edges[at + 1]], axis=1).astype(np.int64).reshape(-1, 2)


def speech_at(path: str | Path, spans: NDArray[np.int64], longest_s: float) -> torch.Tensor:
    """The sound of a file at `spans` (n, 2), joined, at most `longest_s`; the file goes by in
    blocks. Warnings on the file are left to whoever has found the spans in it."""
    parts: list[torch.Tensor] = [torch.zeros(0)]
    missing, begin = seconds_to_samples(longest_s), 0
    for block in stream_audio(path, on_warning=lambda sentence: None):
        inside = spans[(spans[:, 0] < begin + len(block)) & (spans[:, 1] > begin)] - begin
        for start, end in np.clip(inside, 0, len(block)).tolist():
            parts.append(block[start : min(end, start + missing)])
            missing -= len(parts[-1])
        begin += len(block)
        if missing == 0 or begin >= spans[:, 1].max(initial=0):
            break
    return torch.cat(parts)
