"""`binarize` against a frame-by-frame oracle, and the properties its regions promise."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diarize.segmentation.hysteresis import HysteresisConfig, binarize
from encoder.errors import CheckpointError, ConfigError
from tests.work import work

# Few distinct values, so that activities equal to a threshold are common.
activities = st.lists(st.sampled_from([0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 1.0]), max_size=60).map(
    np.array
)
lengths_s = st.sampled_from([0.0, 0.01, 0.02, 0.05, 0.1, 0.25])
configs = st.builds(
    lambda thresholds, speech, silence, padding: HysteresisConfig(
        onset=max(thresholds),
        offset=min(thresholds),
        min_speech_s=speech,
        min_silence_s=silence,
        padding_s=padding,
    ),
    st.tuples(*[st.sampled_from([0.0, 0.2, 0.35, 0.4, 0.6, 1.0])] * 2),
    lengths_s,
    lengths_s,
    lengths_s,
)
hops = st.sampled_from([1, 160, 512])
cuts = st.integers(-700, 700)


def oracle(activity, hop, length, config):
    """The documented rules, one sample at a time."""
    speaking, speech = False, np.zeros(length, dtype=bool)
    for frame, value in enumerate(activity):
        if value >= config.onset:
            speaking = True
        elif value < config.offset:
            speaking = False
        speech[frame * hop : (frame + 1) * hop] = speaking
    runs = runs_of(speech)
    for (_, end), (start, _) in itertools.pairwise(runs):
        if start - end < round(config.min_silence_s * 16000):
            speech[end:start] = True
    for start, end in runs_of(speech):
        if end - start < round(config.min_speech_s * 16000):
            speech[start:end] = False
    padding = round(config.padding_s * 16000)
    for start, end in runs_of(speech):
        speech[max(0, start - padding) : end + padding] = True
    return runs_of(speech)


def runs_of(speech):
    runs, start = [], None
    for index, value in enumerate([*speech.tolist(), False]):
        if value and start is None:
            start = index
        elif not value and start is not None:
            runs.append((start, index))
            start = None
    return runs


@settings(deadline=None)
@given(activities, hops, cuts, configs)
def test_equals_the_oracle(activity, hop, cut, config):
    length = max(0, len(activity) * hop + cut)
    found = binarize(activity, hop=hop, length=length, config=config)
    assert found.dtype == np.int64
    assert found.shape == (len(found), 2)
    assert [tuple(row) for row in found.tolist()] == oracle(activity, hop, length, config)


@given(activities, hops, cuts, configs)
def test_regions_are_sorted_apart_and_inside(activity, hop, cut, config):
    length = max(0, len(activity) * hop + cut)
    edges = binarize(activity, hop=hop, length=length, config=config).ravel()
    assert np.all(np.diff(edges) > 0)
    assert np.all((edges >= 0) & (edges <= length))


@given(activities, configs)
def test_without_padding_the_minimum_lengths_hold(activity, config):
    bare = HysteresisConfig(
        config.onset, config.offset, config.min_speech_s, config.min_silence_s, 0.0
    )
    found = binarize(activity, hop=160, length=160 * len(activity), config=bare)
    assert np.all(found[:, 1] - found[:, 0] >= config.min_speech_s * 16000)
    assert np.all(found[1:, 0] - found[:-1, 1] >= config.min_silence_s * 16000)


@given(activities, configs, st.floats(0, 1))
def test_more_activity_never_loses_speech(activity, config, lift):
    length = 160 * len(activity)
    less = covered(binarize(activity, hop=160, length=length, config=config), length)
    louder = np.minimum(activity + lift, 1.0)
    more = covered(binarize(louder, hop=160, length=length, config=config), length)
    assert not np.any(less & ~more)


def covered(regions, length):
    speech = np.zeros(length, dtype=bool)
    for start, end in regions:
        speech[start:end] = True
    return speech


def test_by_hand():
    """0.1 s frames: two bursts 0.2 s apart join, the 0.1 s burst after 0.5 s goes, then padding."""
    activity = np.array([0, 0.9, 0.5, 0.1, 0, 0.9, 0.4, 0, 0, 0, 0, 0, 0.9, 0, 0])
    config = HysteresisConfig(
        onset=0.6, offset=0.3, min_speech_s=0.15, min_silence_s=0.25, padding_s=0.05
    )
    found = binarize(activity, hop=1600, length=1600 * 15, config=config)
    assert found.tolist() == [[800, 12000]]


def test_short_silences_close_before_short_speech_is_dropped():
    """Fragments of 10 ms, each too short alone, are one region when only 10 ms lie between."""
    config = HysteresisConfig(0.5, 0.5, min_speech_s=0.05, min_silence_s=0.02, padding_s=0.0)
    found = binarize(np.tile([1.0, 0.0], 5), hop=160, length=1600, config=config)
    assert found.tolist() == [[0, 1440]]


def test_ten_hours_take_ten_times_the_memory_of_one_and_no_loop():
    config = HysteresisConfig(min_silence_s=0.0, min_speech_s=0.0, padding_s=0.0)

    def hours(number):
        activity = np.random.default_rng(0).random(number * 3600 * 16000 // 512)
        return work(binarize, activity, hop=512, length=len(activity) * 512, config=config)

    hours(1)  # what runs once alone
    (lines, most, _), (more_lines, more, found) = hours(1), hours(10)
    assert more_lines == lines > 0
    assert more < 11 * most
    assert len(found) > 50_000


@pytest.mark.parametrize(
    "values",
    [
        {"onset": 0.3, "offset": 0.4},
        {"onset": 1.1},
        {"offset": -0.1},
        {"onset": math.nan},
        {"min_speech_s": -0.1},
        {"padding_s": math.inf},
        {"min_silence_s": math.nan},
    ],
)
def test_impossible_settings_are_refused(values):
    with pytest.raises(ConfigError):
        HysteresisConfig(**values)


def test_what_is_no_number_is_not_taken_for_silence():
    activity = np.ones(100, np.float32)
    activity[50] = np.nan
    with pytest.raises(CheckpointError, match="its weights are damaged"):
        binarize(activity, hop=160, length=16_000, config=HysteresisConfig())
