"""Windows embedded while the sound goes by see exactly their own samples."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diarize.embedding.extraction import TOGETHER, embed_recording, runs
from diarize.embedding.windows import WindowConfig, cut_windows
from encoder.errors import CheckpointError
from tests.support.tones import BandEmbedder
from tests.unit_diarize.embedding.test_windows import recordings


class FirstAndLast:
    """The "vector" of a window is its first and its last sample and its length."""

    fingerprint = "first and last"
    minimum_samples = 1

    def __init__(self):
        self.longest = 0

    def embed_windows(self, wave, bounds, *, on_done=None):
        rows = [[wave[s], wave[e - 1], e - s] for s, e in bounds.tolist()]
        return np.array(rows, np.float32).reshape(-1, 3)

    def embed_stretches(self, stretches):
        for wave, bounds in stretches:
            assert bounds[0, 0] == 0 and bounds[:, 1].max() == len(wave)
            self.longest = max(self.longest, len(wave))
            yield self.embed_windows(wave, bounds)


def cut(wave, sizes):
    at = 0
    while at < len(wave):
        for size in sizes:
            yield wave[at : at + size]
            at += size


@settings(deadline=None)
@given(
    recordings(),
    st.sampled_from([0.1, 0.4, 1.6]),
    st.lists(st.integers(2_000, 200_000), min_size=1),
)
def test_every_window_has_its_samples_however_the_sound_is_cut(recording, step_s, sizes):
    regions, length = recording
    windows = cut_windows(regions, length=length, config=WindowConfig(step_s=step_s))
    wave = torch.arange(length, dtype=torch.float32)  # below 2^24: each sample is its own number
    seen = []
    embedder = FirstAndLast()
    got = embed_recording(
        cut(wave, sizes), windows, embedder, on_done=lambda *pair: seen.append(pair)
    )
    assert np.array_equal(got, embedder.embed_windows(wave, windows.bounds))
    assert embedder.longest <= (1.6 + step_s * TOGETHER) * 16_000
    if len(windows):
        assert seen[-1] == (len(windows), len(windows))
        assert [done for done, _ in seen] == sorted(done for done, _ in seen)


@given(recordings(), st.sampled_from([0.05, 0.4]))
def test_runs_tile_the_windows_within_regions(recording, step_s):
    regions, length = recording
    windows = cut_windows(regions, length=length, config=WindowConfig(step_s=step_s))
    at = 0
    for run in runs(windows):
        assert run.start == at and 0 < run.stop - run.start <= TOGETHER
        assert len(set(windows.region[run])) == 1
        at = run.stop
    assert at == len(windows)
    sizes = np.bincount(windows.region) if len(windows) else []
    assert len(list(runs(windows))) == sum(-(-size // TOGETHER) for size in sizes)


def test_an_embedder_is_asked_for_no_windows_only_where_there_are_none():
    asked = []

    class Stacking(BandEmbedder):
        def embed_windows(self, wave, bounds, *, on_done=None):
            asked.append(len(bounds))
            return super().embed_windows(wave, bounds, on_done=on_done)

    windows = cut_windows(np.array([[0, 40_000]]), length=40_000)
    embedded = embed_recording([torch.rand(40_000)], windows, Stacking())
    assert len(embedded) == len(windows) == sum(asked) and 0 not in asked
    none = cut_windows(np.zeros((0, 2), np.int64), length=40_000)
    assert embed_recording([torch.rand(40_000)], none, Stacking()).shape[0] == 0 == asked[-1]


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_an_embedder_that_gives_no_numbers_is_said(number):
    """Also in the middle of a recording: the vector would be like nobody's."""

    class Broken(BandEmbedder):
        def embed_windows(self, wave, bounds, *, on_done=None):
            rows = super().embed_windows(wave, bounds)
            asked.append(len(rows))
            if len(asked) == 2:
                rows[-1, 3] = number
            return rows

    asked = []
    wave = 0.1 * torch.randn(60 * 16_000, generator=torch.Generator().manual_seed(0))
    windows = cut_windows(np.array([[0, len(wave)]]), length=len(wave))
    with pytest.raises(CheckpointError, match="gives values that are not numbers"):
        embed_recording([wave], windows, Broken())
