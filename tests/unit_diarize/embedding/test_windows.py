"""Windows cover regions, and their territories tile them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diarize.embedding.windows import WindowConfig, Windows, cut_windows
from encoder.errors import ConfigError

RATE = 16_000


@st.composite
def recordings(draw):
    """(regions (R, 2), length): sorted, disjoint, not touching."""
    gaps = draw(st.lists(st.integers(1, 5 * RATE), min_size=0, max_size=8))
    edges, at = [], 0
    for gap in gaps:
        start = at + gap
        at = start + draw(st.integers(1, 20 * RATE))
        edges.append((start, at))
    length = at + draw(st.integers(0, RATE))
    return np.array(edges, np.int64).reshape(-1, 2), length


@given(recordings(), st.sampled_from([0.2, 0.4, 0.8, 1.6]))
def test_territories_tile_the_regions_and_windows_stay_inside(recording, step_s):
    regions, length = recording
    windows = cut_windows(regions, length=length, config=WindowConfig(step_s=step_s))
    assert len(windows.region) == len(windows.territory) == len(windows.bounds)
    for number, (start, end) in enumerate(regions):
        own = windows.territory[windows.region == number]
        assert own[0, 0] == start and own[-1, 1] == end
        assert (own[1:, 0] == own[:-1, 1]).all()
        assert (own[:, 1] > own[:, 0]).all()
    assert (windows.bounds >= 0).all() and (windows.bounds <= length).all()


@given(recordings())
def test_window_lengths(recording):
    regions, length = recording
    config = WindowConfig()
    windows = cut_windows(regions, length=length, config=config)
    sizes = windows.bounds[:, 1] - windows.bounds[:, 0]
    assert (sizes <= 1.6 * RATE).all()
    assert (sizes >= min(0.6 * RATE, length)).all()


def test_a_short_region_is_widened_around_its_centre():
    windows = cut_windows(np.array([[RATE, RATE + 1600]]), length=10 * RATE)
    assert windows.bounds.tolist() == [[RATE + 800 - 4800, RATE + 800 + 4800]]
    assert windows.territory.tolist() == [[RATE, RATE + 1600]]


def test_widening_stops_at_the_ends_of_the_recording():
    windows = cut_windows(np.array([[0, 1600]]), length=10 * RATE)
    assert windows.bounds.tolist() == [[0, 9600]]
    windows = cut_windows(np.array([[0, 1600]]), length=5000)
    assert windows.bounds.tolist() == [[0, 5000]]


def test_hand_made_region_of_two_and_a_half_seconds():
    windows = cut_windows(np.array([[0, 40_000]]), length=RATE * 60)
    assert windows.bounds.tolist() == [[0, 25_600], [6400, 32_000], [14_400, 40_000]]
    assert windows.territory.tolist() == [[0, 16_000], [16_000, 23_200], [23_200, 40_000]]


def test_no_regions_give_no_windows():
    windows = cut_windows(np.zeros((0, 2), np.int64), length=RATE)
    assert len(windows) == 0 and windows.bounds.shape == (0, 2)


@pytest.mark.parametrize("bad", [{"step_s": 0.0}, {"step_s": 2.0}, {"min_window_s": 0.01}])
def test_impossible_lengths_are_refused(bad):
    with pytest.raises(ConfigError, match=next(iter(bad))):
        WindowConfig(**bad)


def of_bounds(bounds_s, alone=None):
    bounds = np.round(np.array(bounds_s) * RATE).astype(np.int64).reshape(-1, 2)
    region = np.zeros(len(bounds), np.int64)
    return Windows(bounds, bounds, region, None if alone is None else np.array(alone, bool))


def test_fresh_is_what_no_window_before_has():
    windows = of_bounds([(1, 2.6), (1.4, 3), (1.5, 2), (2.9, 3.1), (5, 6), (5.5, 6)])
    np.testing.assert_allclose(windows.fresh_s, [1.6, 0.4, 0, 0.1, 1, 0])
    assert of_bounds([]).fresh_s.shape == (0,)


@given(recordings())
def test_what_is_fresh_adds_up_to_what_is_heard(recording):
    regions, length = recording
    windows = cut_windows(regions, length=length)
    heard = np.zeros(length, bool)
    for start, end in windows.bounds:
        heard[start:end] = True
    assert windows.fresh_s.sum() * RATE == pytest.approx(heard.sum())
    assert (windows.fresh_s >= 0).all() and (windows.fresh_s <= windows.lengths_s).all()


def test_clear_is_long_enough_and_alone_where_that_is_known():
    bounds_s = [(0, 0.8), (1, 2), (2, 4), (4, 4.4)]
    assert of_bounds(bounds_s).is_clear().tolist() == [False, True, True, False]
    some = of_bounds(bounds_s, [True, True, False, True])
    assert some.is_clear().tolist() == [False, True, False, False]
    config = WindowConfig(min_clustering_window_s=0.4)
    assert some.is_clear(config).tolist() == [True, True, False, True]
