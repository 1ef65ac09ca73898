"""Turns: joining, counting speech, and the way to pyannote and back."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diarize.core.turns import Turn, merge_touching, speaking_time, to_annotation

unhurried = settings(deadline=None)  # the machine may be busy
milliseconds = st.integers(0, 20_000)
turns_strategy = st.lists(
    st.builds(
        lambda start, length, speaker: Turn(start / 1000, (start + length) / 1000, speaker),
        milliseconds,
        st.integers(1, 5_000),
        st.sampled_from(["A", "B", "C"]),
    ),
    max_size=12,
)


def spoken_ms(turns: list[Turn], speaker: str) -> set[int]:
    return {
        ms
        for turn in turns
        if turn.speaker == speaker
        for ms in range(round(turn.start_s * 1000), round(turn.end_s * 1000))
    }


def test_touching_and_overlapping_turns_of_one_speaker_are_joined() -> None:
    turns = [Turn(3, 4, "A"), Turn(0, 1, "A"), Turn(1, 2, "A"), Turn(0.5, 3.5, "B")]
    assert merge_touching(turns) == [Turn(0, 2, "A"), Turn(0.5, 3.5, "B"), Turn(3, 4, "A")]


def test_a_gap_is_bridged_only_up_to_the_limit() -> None:
    turns = [Turn(0, 1, "A"), Turn(1.5, 2, "A"), Turn(2.75, 3, "A")]
    assert merge_touching(turns, gap_s=0.5) == [Turn(0, 2, "A"), Turn(2.75, 3, "A")]


def test_floating_point_noise_does_not_part_touching_turns() -> None:
    assert merge_touching([Turn(0.3, 1, "A"), Turn(0, 0.1 + 0.2, "A")]) == [Turn(0, 1, "A")]
    assert merge_touching([Turn(0, 0.7, "A"), Turn(0.1 + 0.6000001, 1, "A")]) != [Turn(0, 1, "A")]


def test_a_turn_inside_another_does_not_shorten_it() -> None:
    assert merge_touching([Turn(0, 9, "A"), Turn(1, 2, "A"), Turn(8, 10, "A")]) == [
        Turn(0, 10, "A")
    ]


def test_empty_turns_are_dropped() -> None:
    assert merge_touching([Turn(1, 1, "A"), Turn(3, 2, "A")]) == []


@unhurried
@given(turns_strategy)
def test_merging_keeps_every_instant_and_leaves_nothing_to_merge(turns: list[Turn]) -> None:
    merged = merge_touching(turns)
    for speaker in "ABC":
        assert spoken_ms(merged, speaker) == spoken_ms(turns, speaker)
        own = [turn for turn in merged if turn.speaker == speaker]
        assert all(a.end_s < b.start_s for a, b in pairwise(own))


@unhurried
@given(turns_strategy)
def test_speaking_time_counts_an_instant_once(turns: list[Turn]) -> None:
    seconds = speaking_time(turns)
    assert list(seconds) == list(dict.fromkeys(turn.speaker for turn in sorted(turns)))
    for speaker, value in seconds.items():
        assert value == pytest.approx(len(spoken_ms(turns, speaker)) / 1000)


@unhurried
@given(turns_strategy)
def test_pyannote_loses_no_turn(turns: list[Turn]) -> None:
    tracks = to_annotation(turns, "meeting").itertracks(yield_label=True)
    again = [Turn(segment.start, segment.end, label) for segment, _, label in tracks]
    assert sorted(again) == sorted(turns)


def test_two_speakers_on_one_segment_both_survive_in_pyannote() -> None:
    annotation = to_annotation([Turn(0, 1, "A"), Turn(0, 1, "B")], "meeting")
    assert annotation.uri == "meeting"
    assert sorted(annotation.labels()) == ["A", "B"]
