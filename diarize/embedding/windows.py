"""Windows of a recording, each with the territory it speaks for, and how regions are cut into them.

A window is long enough for a good embedding; its territory is the exclusive stretch around its
centre. The territories of a region tile it, so that every sample of speech gets one label. With a
segmenter that tells speakers apart and a model of the embedder's vectors,
`diarize.embedding.speaker_windows` cuts in place of `cut_windows`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from encoder.common.settings import Settings, bounded
from encoder.common.units import SAMPLE_RATE, seconds_to_samples
from encoder.errors import ConfigError

__all__ = ["WindowConfig", "Windows", "cut_windows"]


@dataclass(frozen=True)
class WindowConfig(Settings):
    """Lengths in seconds."""

    window_s: float = bounded(
        1.6, least=0.2, most=30, help="length of a window, where windows overlap"
    )
    step_s: float = bounded(0.4, least=0.01, most=30, help="between the starts of two such windows")
    longest_s: float = bounded(
        3.2,
        least=0.2,
        most=30,
        help="longest window of one local speaker, where windows are cut by speaker",
    )
    embedded_s: float = bounded(
        2.0, least=0.2, most=30, help="how much of the middle of such a window is embedded"
    )
    min_window_s: float = bounded(
        0.6, least=0.2, most=30, help="windows of shorter regions are widened to this"
    )
    min_clustering_window_s: float = bounded(
        1.0, least=0, most=30, help="shorter windows get a speaker but do not make one"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("step_s", "min_window_s"):
            if getattr(self, name) > self.window_s:
                raise ConfigError(
                    f"{name} is {getattr(self, name)}: give at most window_s ({self.window_s})"
                )
        for name in ("embedded_s", "longest_s"):
            if getattr(self, name) < self.min_window_s:
                raise ConfigError(
                    f"{name} is {getattr(self, name)}: give at least min_window_s "
                    f"({self.min_window_s})"
                )


@dataclass(frozen=True)
class Windows:
    """N windows in time order, all arrays int64 in samples.

    bounds (N, 2): what is embedded; territory (N, 2): what the label is for; region (N,): the
    number of the region that each belongs to. alone (N,) bool: in which of them one speaker speaks
    alone, where the segmenter tells; None where it does not.
    """

    bounds: NDArray[np.int64]
    territory: NDArray[np.int64]
    region: NDArray[np.int64]
    alone: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.bounds)

    @property
    def lengths_s(self) -> NDArray[np.float64]:
        """(N,) seconds of each window."""
        return (self.bounds[:, 1] - self.bounds[:, 0]) / SAMPLE_RATE

    @property
    def territory_s(self) -> NDArray[np.float64]:
        """(N,) seconds of each window's territory."""
        return (self.territory[:, 1] - self.territory[:, 0]) / SAMPLE_RATE

    @property
    def fresh_s(self) -> NDArray[np.float64]:
        """(N,) seconds of each window that no window before it has."""
        if not len(self):
            return np.zeros(0)
        starts, ends = self.bounds.T
        covered = np.append(starts[0], np.maximum.accumulate(ends[:-1]))
        return np.maximum(ends - np.maximum(starts, covered), 0) / SAMPLE_RATE

    def is_clear(self, config: WindowConfig | None = None) -> NDArray[np.bool_]:
        """(N,) which windows can make a speaker: those of `min_clustering_window_s` and more, of
        one speaker alone as far as is known."""
        long = self.lengths_s >= (config or WindowConfig()).min_clustering_window_s
        return long if self.alone is None else long & self.alone


def cut_windows(
    regions: NDArray[np.int64], *, length: int, config: WindowConfig | None = None
) -> Windows:
    """Cut regions into overlapping windows, each with the territory that its label is for.

    A region shorter than a window gets one window, widened to `min_window_s` (within the recording)
    if it is very short. In a longer region windows start every `step_s`, the last one ends with the
    region, and borders of territories lie midway between the centres of neighbours.

    Args:
        regions: (R, 2) in samples, sorted and disjoint.
        length: samples of the recording.
        config: lengths of windows and steps.

    Returns:
        N windows in time order.
    """
    config = config or WindowConfig()
    bounds: list[NDArray[np.int64]] = []
    territory: list[NDArray[np.int64]] = []
    for start, end in regions:
        windows = _cover(int(start), int(end), length, config)
        centres = windows.sum(axis=1)
        borders = (centres[:-1] + centres[1:]) // 4
        edges = np.concatenate([[start], borders, [end]])
        bounds.append(windows)
        territory.append(np.stack([edges[:-1], edges[1:]], axis=1))
    counts = [len(b) for b in bounds]
    empty = np.zeros((0, 2), np.int64)
    return Windows(
        bounds=np.concatenate([empty, *bounds]),
        territory=np.concatenate([empty, *territory]),
        region=np.repeat(np.arange(len(counts)), counts).astype(np.int64),
    )


def _cover(start: int, end: int, length: int, config: WindowConfig) -> NDArray[np.int64]:
    """Windows (n, 2) for one region, n >= 1."""
    window, step = seconds_to_samples(config.window_s), seconds_to_samples(config.step_s)
    if end - start > window:
        starts = np.arange(start, end - window, step, dtype=np.int64)
        starts = np.append(starts, end - window)
        if len(starts) > 2 and starts[-1] - starts[-2] < step // 2:
            starts = np.delete(starts, -2)  # the last window covers what this one would add
        return np.stack([starts, starts + window], axis=1)
    wanted = min(max(end - start, seconds_to_samples(config.min_window_s)), length)
    first = min(max(0, (start + end - wanted) // 2), length - wanted)
    return np.array([[first, first + wanted]], np.int64)
