"""Windows that end where the local speakers of a segmenter change."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diarize.embedding.speaker_windows import cut_speaker_windows
from diarize.embedding.windows import WindowConfig
from diarize.segmentation.base import ChunkActivity, Segmentation
from encoder.errors import ConfigError

RATE, HOP = 16_000, 320
FRAMES, STEP = 500, 100  # 10 s each, 2 s apart
LONG = WindowConfig(min_clustering_window_s=3.2)  # however little speech there is


def speech(turns, length_s):
    """(T, K) who speaks in each frame, of turns (speaker, start_s, end_s)."""
    who = np.zeros((-(-round(length_s * RATE) // HOP), max(k for k, _, _ in turns) + 1))
    for speaker, start, end in turns:
        who[round(start * 50) : round(end * 50), speaker] = 1
    return who


def chunked(who, *, frames=FRAMES, step=STEP, order=None):
    """The same as chunks, of which chunk c has speaker k as local speaker order(c)[k]."""
    T, K = who.shape
    last = max(T - frames, 0)
    starts = np.unique([*range(0, last, step), last])
    who = np.concatenate([who, np.zeros((max(frames - T, 0), K))])
    activity = np.zeros((len(starts), frames, K))
    for c, start in enumerate(starts):
        places = np.arange(K) if order is None else order(c)
        activity[c][:, places] = who[start : start + frames]
    return ChunkActivity(activity, starts.astype(np.int64) * HOP, HOP)


def cut(turns, length_s, regions_s=None, *, config=LONG, **chunks):
    """Windows of turns; one region from the first turn to the last if none are given."""
    if regions_s is None:
        regions_s = [(min(t[1] for t in turns), max(t[2] for t in turns))]
    regions = np.round(np.array(regions_s) * RATE).astype(np.int64).reshape(-1, 2)
    segmentation = Segmentation(regions, chunked(speech(turns, length_s), **chunks))
    return cut_speaker_windows(segmentation, length=round(length_s * RATE), config=config)


def borders_s(windows):
    return np.unique(windows.territory / RATE).tolist()


@pytest.mark.parametrize("order", [None, lambda c: np.roll(np.arange(3), c)])
def test_windows_end_where_the_speaker_changes_however_chunks_number_them(order):
    turns = [(0, 1, 3.5), (1, 3.5, 6), (0, 6, 8.2), (2, 8.2, 11), (1, 11, 14), (0, 14, 17)]
    windows = cut(turns, 20, order=order)
    assert borders_s(windows) == [1, 3.5, 6, 8.2, 11, 14, 17]
    assert windows.alone.all() and (windows.region == 0).all()


def test_who_speaks_on_is_cut_evenly_and_not_where_chunks_change():
    for order in (None, lambda c: [c % 2, 1 - c % 2]):
        windows = cut([(0, 1, 31), (1, 31, 33)], 33, order=order)
        assert borders_s(windows) == pytest.approx([*np.linspace(1, 31, 11), 33])
        half = cut([(0, 1, 31), (1, 31, 33)], 33, order=order, config=WindowConfig(longest_s=1.6))
        assert borders_s(half) == pytest.approx([*np.linspace(1, 31, 20), 32, 33], abs=1 / RATE)


def test_where_there_is_little_speech_windows_are_shorter_but_can_still_make_a_speaker():
    for length_s, longest_s in ((5, 1.0), (20, 2.0), (40, 3.2)):
        windows = cut([(0, 0, length_s)], length_s, config=None)
        assert windows.territory_s.max() == pytest.approx(longest_s, rel=0.1)
        assert windows.territory_s.max() <= longest_s and windows.is_clear().all()
    seldom = cut([(0, 0, 3), (1, 3, 6)], 60, config=WindowConfig(min_clustering_window_s=1.5))
    assert borders_s(seldom) == [0, 1.5, 3, 4.5, 6]


@pytest.mark.parametrize(("until", "borders"), [(80, [0, 1.5, 3]), (85, [0, 3])])
def test_who_shares_less_than_half_of_the_frames_is_somebody_else(until, borders):
    """One local speaker in each of two chunks; the second one speaks in 30 of the shared frames."""
    activity = np.zeros((2, 100, 1))
    activity[0, :until] = 1
    activity[1, 20:] = 1
    chunks = ChunkActivity(activity, np.array([0, 50 * HOP]), HOP)
    segmentation = Segmentation(np.array([[0, 150 * HOP]]), chunks)
    assert borders_s(cut_speaker_windows(segmentation, length=150 * HOP, config=LONG)) == borders


def test_where_two_speak_nobody_speaks_alone():
    windows = cut([(0, 0, 4), (1, 2.5, 6)], 6)
    assert borders_s(windows) == [0, 2.5, 4, 6]
    assert windows.alone.tolist() == [True, False, True]


def test_silent_frames_of_a_region_are_a_stretch_in_which_nobody_is_alone():
    windows = cut([(0, 0, 2), (0, 2.2, 4), (0, 5, 6)], 6)
    assert borders_s(windows) == [0, 2.2, 4, 5, 6]  # 0.2 s are too short
    assert windows.alone.tolist() == [True, True, False, True]


@pytest.mark.parametrize(
    ("turns", "borders", "alone"),
    [
        ([(0, 0, 2), (1, 2, 2.28), (2, 2.28, 4)], [0, 2.28, 4], [1, 1]),
        ([(0, 0, 2), (1, 2, 2.3), (2, 2.3, 4)], [0, 2, 2.3, 4], [1, 1, 1]),
        ([(0, 0, 0.2), (1, 0.2, 2)], [0, 2], [1]),  # the first has none before it
        ([(0, 0, 0.2), (1, 0.1, 0.2), (2, 0.2, 2)], [0, 2], [1]),
        ([(0, 0, 2), (1, 2, 2.2)], [0, 2.2], [1]),
        ([(0, 0, 2), (1, 1.8, 2), (1, 2, 4)], [0, 2, 4], [1, 1]),  # the overlap is too short
        ([(0, 0, 0.2)], [0, 0.2], [1]),
    ],
)
def test_short_stretches_belong_to_the_one_before(turns, borders, alone):
    windows = cut(turns, 4)
    assert borders_s(windows) == pytest.approx(borders)
    assert windows.alone.tolist() == [bool(one) for one in alone]


def test_short_windows_are_widened_within_the_recording():
    windows = cut([(0, 0, 0.2), (1, 1, 1.4), (0, 2.9, 3)], 3, [(0, 0.2), (1, 1.4), (2.9, 3)])
    assert (windows.bounds / RATE).tolist() == [[0, 0.6], [0.9, 1.5], [2.4, 3]]
    assert windows.region.tolist() == [0, 1, 2]


@pytest.mark.parametrize("length_s", [0.1, 0.59])
def test_a_recording_may_be_shorter_than_a_window(length_s):
    windows = cut([(0, 0, length_s)], length_s)
    assert windows.bounds.tolist() == [[0, round(length_s * RATE)]] == windows.territory.tolist()


def test_regions_need_not_lie_on_frames():
    turns = [(0, 1, 3), (1, 3, 5)]
    windows = cut(turns, 6, [(1.003, 2.999), (3.0001, 4.997)])
    starts = [round(second * RATE) for second in (1.003, 2.999, 3.0001, 4.997)]
    assert windows.territory.ravel().tolist() == starts
    assert windows.alone.all() and windows.region.tolist() == [0, 1]


def test_no_regions_give_no_windows():
    windows = cut([(0, 0, 2)], 3, np.zeros((0, 2)))
    assert len(windows) == 0 and windows.bounds.shape == windows.territory.shape == (0, 2)
    assert windows.alone.shape == windows.region.shape == (0,)
    assert windows.fresh_s.shape == windows.is_clear().shape == (0,)


def test_a_segmenter_that_does_not_tell_speakers_apart_is_refused():
    with pytest.raises(ValueError, match="tell speakers apart"):
        cut_speaker_windows(Segmentation(np.array([[0, RATE]])), length=RATE)


@pytest.mark.parametrize("longest_s", [0.5, 31.0])
def test_a_longest_window_that_cannot_be_is_refused(longest_s):
    with pytest.raises(ConfigError, match=f"longest_s is {longest_s}"):
        WindowConfig(longest_s=longest_s)


@st.composite
def segmentations(draw):
    """(Segmentation, length): random activity, chunks whose hop is no divisor of their length, and
    regions anywhere."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    hop = draw(st.sampled_from([160, 270, 320]))
    frames, step = draw(st.integers(20, 200)), draw(st.integers(5, 20))
    C, S = draw(st.integers(1, 6)), draw(st.integers(1, 3))
    run = draw(st.sampled_from([1, 10, 60]))  # frames that a local speaker keeps on
    activity = rng.random((C, -(-frames // run), S)).repeat(run, axis=1)[:, :frames]
    starts = np.arange(C, dtype=np.int64) * step * hop
    length = int(starts[-1]) + frames * hop + draw(st.integers(1 - hop, hop - 1))
    edges = np.unique(rng.integers(0, length + 1, size=2 * draw(st.integers(0, 4))))
    regions = edges[: len(edges) // 2 * 2].reshape(-1, 2)
    return Segmentation(regions, ChunkActivity(activity, starts, hop)), length


@given(segmentations(), st.sampled_from([0.6, 1.0, 3.2]))
def test_of_any_activity(made, longest_s):
    segmentation, length = made
    config = WindowConfig(longest_s=longest_s)
    windows = cut_speaker_windows(segmentation, length=length, config=config)
    assert len(windows.region) == len(windows.alone) == len(windows.territory) == len(windows)
    for number, (start, end) in enumerate(segmentation.regions.tolist()):
        own = windows.territory[windows.region == number]
        assert own[0, 0] == start and own[-1, 1] == end
        assert (own[1:, 0] == own[:-1, 1]).all()
        sizes = own[:, 1] - own[:, 0]
        assert (sizes >= min(round(0.3 * RATE), end - start)).all()
        assert (sizes <= longest_s * RATE).all()
    assert (np.diff(windows.region) >= 0).all()
    assert (np.diff(windows.bounds, axis=0) >= 0).all()
    assert (windows.bounds >= 0).all() and (windows.bounds <= length).all()
    sizes = windows.bounds[:, 1] - windows.bounds[:, 0]
    if length < 0.6 * RATE:
        assert (sizes == length).all()
    else:
        assert (sizes % (RATE // 5) == 0).all()
        assert (sizes >= 0.6 * RATE).all() and (sizes <= longest_s * RATE).all()
