"""DER and JER: by hand, by brute force, and what must hold for every input.

The hand example, one meeting of four turns, 0 to 31 s:

    reference   A 0-10   B 10-20   A 18-25   C 25-30        32 s of speech, overlap 18-20
    hypothesis  1 0-11   2 11-19   1 19-26   3 28-31        pairs: A-1 (16 s), B-2 (8 s), C-3 (2 s)

    10-11 B heard as 1: confusion 1     18-20 two speak, one is found, rightly: missed 2
    25-26 C heard as 1: confusion 1     26-28 C not found: missed 2     30-31 false alarm 1
"""

import itertools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diarize.core.turns import Turn
from diarize.scoring import (
    PROTOCOLS,
    DiarizationScore,
    JaccardScore,
    score_diarization,
    score_jaccard,
)
from diarize.scoring.protocols import FAIR, FORGIVING, FULL, Protocol
from tests.work import work

REFERENCE = [Turn(0, 10, "A"), Turn(10, 20, "B"), Turn(18, 25, "A"), Turn(25, 30, "C")]
HYPOTHESIS = [Turn(0, 11, "1"), Turn(11, 19, "2"), Turn(19, 26, "1"), Turn(28, 31, "3")]

unhurried = settings(deadline=None, max_examples=150)  # the machine may be busy
# Tenths of a second: boundaries meet often, and frames of 0.05 s make an exact oracle.
turns_strategy = st.lists(
    st.builds(
        lambda start, length, speaker: Turn(start / 10, (start + length) / 10, speaker),
        st.integers(0, 60),
        st.integers(1, 25),
        st.sampled_from(["a", "b", "c"]),
    ),
    max_size=7,
)
uem_strategy = st.none() | st.lists(
    st.tuples(st.integers(0, 70), st.integers(1, 40)).map(
        lambda pair: (pair[0] / 10, (pair[0] + pair[1]) / 10)
    ),
    max_size=3,
)
protocols = st.sampled_from([FULL, FAIR, FORGIVING, Protocol("overlap only", 0.0, True)])


# ---------------------------------------------------------------- by hand


def test_hand_example_full() -> None:
    score = score_diarization(REFERENCE, HYPOTHESIS)
    assert score == DiarizationScore(32, 4, 1, 2)
    assert score.rate == 7 / 32


def test_hand_example_fair() -> None:
    # Scored: 0.25-9.75, 10.25-17.75, 18.25-19.75 (two speak), 20.25-24.75, 25.25-29.75, 30.25-31:
    # 9.5 + 7.5 + 3 + 4.5 + 4.5 = 29 s. Missed 18.25-19.75 once and 26-28; confused 10.25-11 and
    # 25.25-26; false alarm 30.25-31.
    score = score_diarization(REFERENCE, HYPOTHESIS, protocol=FAIR)
    assert score == DiarizationScore(29, 3.5, 0.75, 1.5)


def test_hand_example_forgiving() -> None:
    # As fair, without 18-20.
    score = score_diarization(REFERENCE, HYPOTHESIS, protocol=FORGIVING)
    assert score == DiarizationScore(26, 2, 0.75, 1.5)


def test_hand_example_within_a_uem() -> None:
    # 5-11 and 29-40: A 5 s, B 1 s, C 1 s; B's second is confused, 30-31 is a false alarm.
    score = score_diarization(REFERENCE, HYPOTHESIS, uem=[(29, 40), (5, 11), (6, 8)])
    assert score == DiarizationScore(7, 0, 1, 1)


def test_hand_example_jaccard() -> None:
    # A and 1: 16 shared of 19; B and 2: 8 of 10; C and 3: 2 of 6.
    score = score_jaccard(REFERENCE, HYPOTHESIS)
    assert (score.reference_speakers, score.hypothesis_speakers) == (3, 3)
    assert score.rate == pytest.approx((3 / 19 + 2 / 10 + 4 / 6) / 3)


def test_the_collar_is_a_quarter_second_on_each_side_as_in_md_eval() -> None:
    reference = [Turn(1, 11, "A")]
    within, beyond = [Turn(1.25, 10.75, "x")], [Turn(1.375, 10.75, "x")]
    assert score_diarization(reference, within, protocol=FAIR) == DiarizationScore(9.5)
    assert score_diarization(reference, beyond, protocol=FAIR) == DiarizationScore(9.5, 0.125)
    outside = [Turn(0.75, 11.25, "x")]
    assert score_diarization(reference, outside, protocol=FAIR) == DiarizationScore(9.5)


def test_collars_stand_around_touching_turns_of_one_speaker_too() -> None:
    reference = [Turn(0, 5, "A"), Turn(5, 10, "A")]
    score = score_diarization(reference, [], protocol=FAIR)
    assert score == DiarizationScore(9, 9)  # 0.25-4.75 and 5.25-9.75
    united = [Turn(0, 6, "A"), Turn(5, 10, "A")]
    assert score_diarization(united, [], protocol=FAIR) == DiarizationScore(9.5, 9.5)


def test_a_reference_speaker_over_himself_counts_once() -> None:
    reference = [Turn(0, 6, "A"), Turn(4, 10, "A"), Turn(5, 7, "A")]
    assert score_diarization(reference, [Turn(0, 10, "x")]) == DiarizationScore(10)
    assert score_diarization(reference, [Turn(0, 10, "x")], protocol=FORGIVING).reference_s == 9.5


def test_two_hypothesis_speakers_cannot_both_be_one_reference_speaker() -> None:
    score = score_diarization([Turn(0, 10, "A")], [Turn(0, 6, "x"), Turn(6, 10, "y")])
    assert score == DiarizationScore(10, 0, 0, 4)


def test_the_best_pairing_is_not_the_greedy_one() -> None:
    # Greedy takes A-x (6 s) and is left with B-y (1 s); the best is A-y and B-x, 5 + 5 s.
    reference = [Turn(0, 11, "A"), Turn(11, 17, "B")]
    hypothesis = [Turn(0, 6, "x"), Turn(6, 11, "y"), Turn(11, 16, "x"), Turn(16, 17, "y")]
    assert score_diarization(reference, hypothesis) == DiarizationScore(17, 0, 0, 7)


def test_empty_turns_mean_nothing() -> None:
    assert score_diarization([Turn(1, 1, "A"), Turn(3, 2, "B")], []) == DiarizationScore()
    assert score_jaccard([Turn(1, 1, "A")], []) == JaccardScore()
    # No boundaries either, hence no collars, and no stretch of the scored extent.
    reference = [Turn(0, 10, "A"), Turn(5, 5, "B"), Turn(7, 6, "A"), Turn(99, 99, "A")]
    assert score_diarization(reference, [], protocol=FAIR) == DiarizationScore(9.5, 9.5)
    assert score_diarization(reference, [Turn(12, 12, "x")]) == DiarizationScore(10, 10)


def test_floating_point_noise_makes_no_speaker_present() -> None:
    start, end = 0.6, 1.1  # between their collars, 0.6 + 0.25 and 1.1 - 0.25, lies one ulp
    assert start + 0.25 < end - 0.25
    turns = [Turn(start, end, "A"), Turn(5, 9, "B")]
    assert score_jaccard(turns, turns, protocol=FAIR).reference_speakers == 1


def test_a_time_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        score_diarization([Turn(0, float("nan"), "A")], [])
    with pytest.raises(ValueError, match="not finite"):
        score_diarization([], [], uem=[(0, float("inf"))])


def test_rates_without_reference_speech() -> None:
    silence, noise = score_diarization([], []), score_diarization([], [Turn(0, 2, "x")])
    assert (silence.rate, noise.rate) == (0.0, 1.0)
    assert noise == DiarizationScore(0, 0, 2, 0)
    assert score_jaccard([], []).rate == 0.0
    assert score_jaccard([], [Turn(0, 2, "x")]).rate == 1.0


def test_an_empty_uem_scores_nothing() -> None:
    assert score_diarization(REFERENCE, HYPOTHESIS, uem=[]) == DiarizationScore()


# ---------------------------------------------------------------- by brute force


def by_frames(
    reference: list[Turn],
    hypothesis: list[Turn],
    uem: list[tuple[float, float]] | None,
    protocol: Protocol,
) -> tuple[float, float, float, float]:
    """Count frames of 0.05 s one by one and try every pairing; nothing is shared with our code."""
    per_second = 20

    def frames(start: float, end: float) -> range:
        return range(round(start * per_second), round(end * per_second))

    if uem is None:
        ends = [time for turn in reference + hypothesis for time in turn[:2]]
        uem = [(min(ends), max(ends))] if ends else []
    collar = round(protocol.collar_s * per_second)
    scored = {frame for region in uem for frame in frames(*region)}
    # The union of one speaker's overlapping turns has no boundary inside.
    for turn in reference:
        others = [t for t in reference if t.speaker == turn.speaker]
        for time in turn[:2]:
            if not any(t.start_s < time < t.end_s for t in others):
                at = round(time * per_second)
                scored -= set(range(at - collar, at + collar))
    truth = {f: {t.speaker for t in reference if f in frames(*t[:2])} for f in scored}
    result = {f: {t.speaker for t in hypothesis if f in frames(*t[:2])} for f in scored}
    if protocol.skip_overlap:
        scored = {f for f in scored if len(truth[f]) < 2}

    wanted = sum(len(truth[f]) for f in scored)
    missed = sum(max(0, len(truth[f]) - len(result[f])) for f in scored)
    false_alarm = sum(max(0, len(result[f]) - len(truth[f])) for f in scored)
    possible = sum(min(len(truth[f]), len(result[f])) for f in scored)
    correct = max(
        sum(len({pairing.get(s) for s in truth[f]} & result[f]) for f in scored)
        for order in itertools.permutations(["a", "b", "c"])
        for pairing in [dict(zip(["a", "b", "c"], order, strict=True))]
    )
    counts = (wanted, missed, false_alarm, possible - correct)
    return tuple(count / per_second for count in counts)  # type: ignore[return-value]


@unhurried
@given(turns_strategy, turns_strategy, uem_strategy, protocols)
def test_agrees_with_counting_frames(
    reference: list[Turn],
    hypothesis: list[Turn],
    uem: list[tuple[float, float]] | None,
    protocol: Protocol,
) -> None:
    score = score_diarization(reference, hypothesis, uem=uem, protocol=protocol)
    found = (score.reference_s, score.missed_s, score.false_alarm_s, score.confusion_s)
    assert found == pytest.approx(by_frames(reference, hypothesis, uem, protocol), abs=1e-9)


# ---------------------------------------------------------------- properties


@unhurried
@given(turns_strategy, uem_strategy, protocols)
def test_a_reference_against_itself_is_exactly_zero(
    turns: list[Turn], uem: list[tuple[float, float]] | None, protocol: Protocol
) -> None:
    score = score_diarization(turns, turns, uem=uem, protocol=protocol)
    assert score == DiarizationScore(reference_s=score.reference_s)
    assert score_jaccard(turns, turns, uem=uem, protocol=protocol).rate == 0.0


@unhurried
@given(turns_strategy, turns_strategy, uem_strategy, protocols, st.permutations(["a", "b", "c"]))
def test_names_and_order_do_not_matter(
    reference: list[Turn],
    hypothesis: list[Turn],
    uem: list[tuple[float, float]] | None,
    protocol: Protocol,
    order: list[str],
) -> None:
    rename = dict(zip(["a", "b", "c"], order, strict=True))
    renamed = [turn._replace(speaker=rename[turn.speaker]) for turn in reversed(hypothesis)]
    before = score_diarization(reference, hypothesis, uem=uem, protocol=protocol)
    after = score_diarization(reference[::-1], renamed, uem=uem, protocol=protocol)
    assert vars(after) == pytest.approx(vars(before), abs=1e-9)


@unhurried
@given(turns_strategy, uem_strategy, protocols)
def test_nothing_found_is_everything_missed(
    turns: list[Turn], uem: list[tuple[float, float]] | None, protocol: Protocol
) -> None:
    score = score_diarization(turns, [], uem=uem, protocol=protocol)
    assert score == DiarizationScore(score.reference_s, missed_s=score.reference_s)
    assert score.rate == (1.0 if score.reference_s else 0.0)


@unhurried
@given(turns_strategy, turns_strategy, protocols)
def test_scores_add(first: list[Turn], second: list[Turn], protocol: Protocol) -> None:
    # Two recordings end to end, with speakers of their own and silence between.
    def both(turns: list[Turn], other: list[Turn]) -> list[Turn]:
        return turns + [Turn(a + 100, b + 100, "later " + s) for a, b, s in other]

    apart = score_diarization(first, second, protocol=protocol) + score_diarization(
        second, first, protocol=protocol
    )
    joined = score_diarization(both(first, second), both(second, first), protocol=protocol)
    assert vars(joined) == pytest.approx(vars(apart), abs=1e-9)
    lonely = score_jaccard(first, second) + score_jaccard(second, first)
    together = score_jaccard(both(first, second), both(second, first))
    assert together.reference_speakers == lonely.reference_speakers
    assert together.hypothesis_speakers == lonely.hypothesis_speakers


def test_protocols_only_ever_remove_time() -> None:
    full, fair, forgiving = (
        score_diarization(REFERENCE, HYPOTHESIS, protocol=p).reference_s for p in PROTOCOLS
    )
    assert full > fair > forgiving > 0


# ---------------------------------------------------------------- cost


def test_ten_hours_are_ten_times_the_work_of_one() -> None:
    def hours(number: int) -> tuple[int, int, DiarizationScore]:
        generator = np.random.default_rng(0)
        count = 2000 * number
        starts = np.sort(generator.uniform(0, 3600 * number, count))
        lengths, who = generator.exponential(3, count), generator.integers(0, 12, count)
        turns = [
            Turn(float(a), float(a + d), f"s{k}")
            for a, d, k in zip(starts, lengths, who, strict=True)
        ]
        shifted = [Turn(a + 0.4, b + 0.4, s) for a, b, s in turns]
        return work(score_diarization, turns, shifted, protocol=FAIR)

    hours(1)  # what runs once alone
    (lines, most, _), (more_lines, more, score) = hours(1), hours(10)
    assert more_lines < 11 * lines and more < 11 * most
    assert 0 < score.rate < 1


def test_importing_the_scorer_loads_nothing_heavy() -> None:
    code = """
import json, sys
import diarize.scoring as scoring
assert [getattr(scoring, name) for name in scoring.__all__]
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, check=True)
    modules = set(json.loads(done.stdout))
    assert {"numpy", "diarize"} <= modules
    heavy = {"torch", "torchaudio", "sklearn", "scipy", "pyannote", "pandas", "matplotlib"}
    assert not heavy & modules
    assert not {"typer", "rich"} & modules
