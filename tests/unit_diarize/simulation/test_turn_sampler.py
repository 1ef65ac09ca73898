"""Scripts of conversations: their rules always, their numbers on average; and how numbers are
taken, against a count of samples."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diarize.simulation.conversation_style import CROWD, STYLES, ConversationStyle
from diarize.simulation.turn_sampler import FRAME, write_script
from diarize.simulation.turn_statistics import MEASURED, TurnTaking, turn_taking
from encoder.errors import ConfigError

RATE = 16_000
TYPICAL = {"meeting": 4, "call": 2, "broadcast": 6}


def raster(turns, speakers, length):
    """(K, F) int64, how many turns of a speaker cover each frame."""
    count = np.zeros((speakers, length // FRAME), np.int64)
    for speaker, start, end in turns.tolist():
        count[speaker, start // FRAME : end // FRAME] += 1
    return count


def script(style, *, speakers, seconds, seed):
    length = round(seconds * RATE)
    style = {**STYLES, "crowd": CROWD}[style]
    return write_script(style, speakers=speakers, length=length, rng=np.random.default_rng(seed))


@given(
    style=st.sampled_from(sorted(STYLES)),
    speakers=st.integers(1, 10),
    seconds=st.floats(0.0, 200.0),
    seed=st.integers(0, 2**32),
)
def test_every_script_keeps_the_rules(style, speakers, seconds, seed):
    turns, length = script(style, speakers=speakers, seconds=seconds, seed=seed)
    assert length == round(seconds * RATE) and turns.dtype == np.int64
    assert turns.shape == (len(turns), 3)
    speaker, start, end = turns.T
    assert (np.diff(start) >= 0).all() and (turns[:, 1:] % FRAME == 0).all()
    assert (start < end).all() and (start >= 0).all() and (end <= length).all()
    assert ((speaker >= 0) & (speaker < speakers)).all()
    count = raster(turns, speakers, length)
    assert count.max(initial=0) <= 1  # nobody speaks over themselves
    assert count.sum(axis=0).max(initial=0) <= (3 if STYLES[style].third else 2)
    for k in range(speakers):
        own = turns[speaker == k]
        assert (own[1:, 1] - own[:-1, 2] >= 0.1 * RATE).all()  # they do not touch either


@pytest.mark.parametrize("style", STYLES)
def test_scripts_are_like_what_was_measured(style):
    """Within 20 % or an absolute tolerance; a call overlaps less on purpose."""
    found = []
    for seed in range(80):
        turns, length = script(style, speakers=TYPICAL[style], seconds=600, seed=seed)
        found.append(turn_taking(turns, length=length))
    mean = TurnTaking(*np.mean(found, axis=0).tolist())
    wanted = MEASURED[style]
    if style == "call":
        wanted = wanted._replace(overlap=0.09, gap_p10_s=-0.7, gap_p50_s=0.05)
    near = {"speech": 0.02, "overlap": 0.02, "inside": 0.04, "top_share": 0.05}
    near |= {"ln_turn_mean": 0.15, "ln_turn_sd": 0.15, "early_switches": 0.06}
    near |= {"gap_p10_s": 0.3, "gap_p50_s": 0.15, "gap_p90_s": 0.25}
    for name, value in mean._asdict().items():
        target = getattr(wanted, name)
        tolerance = near.get(name, 0.2 * abs(target))
        assert abs(value - target) <= tolerance, f"{name}: {value:.3f}, wanted {target}"


def test_three_at_once_is_rare_and_only_in_styles_that_allow_it():
    shares = {}
    for style in ("meeting", "call"):
        counts = [
            raster(script(style, speakers=5, seconds=600, seed=s).turns, 5, 600 * RATE).sum(axis=0)
            for s in range(10)
        ]
        shares[style] = np.mean([(c >= 3).mean() / (c >= 1).mean() for c in counts])
    assert 0 < shares["meeting"] < 0.02 and shares["call"] == 0


def test_in_a_crowd_twice_as_much_overlaps():
    def overlap(style):
        """Share of the speech in which several speak."""
        scripts = [script(style, speakers=3, seconds=60, seed=seed) for seed in range(30)]
        speaking = np.concatenate([raster(s.turns, 3, s.length).sum(axis=0) for s in scripts])
        return np.count_nonzero(speaking > 1) / np.count_nonzero(speaking)

    assert overlap("crowd") > 1.7 * overlap("meeting")


def test_one_speaker_pauses():
    turns, length = script("meeting", speakers=1, seconds=600, seed=1)
    assert len(turns) > 20 and set(turns[:, 0]) == {0}
    assert 0.4 < (turns[:, 2] - turns[:, 1]).sum() / length < 0.9


def test_the_seed_decides():
    one, same, other = (script("meeting", speakers=4, seconds=60, seed=s) for s in (1, 1, 2))
    assert np.array_equal(one.turns, same.turns)
    assert not np.array_equal(one.turns, other.turns)


def test_knobs_do_what_they_say():
    def taking(**knobs):
        style = dataclasses.replace(STYLES["meeting"], **knobs)
        rng = np.random.default_rng(3)
        turns, length = write_script(style, speakers=4, length=3600 * RATE, rng=rng)
        return turn_taking(turns, length=length)

    assert taking(inside_a_minute=0.0, early_switch=0.0).overlap == 0
    assert taking(inside_a_minute=20.0).inside > taking().inside + 0.1
    assert taking(early_switch=0.9).early_switches > 0.6
    assert taking(evenness=0.3).top_share > taking(evenness=1000.0, ln_speaker=0.01).top_share + 0.1
    assert taking(ln_pause=(3.0, 0.1)).speech < taking().speech - 0.1
    longest = dataclasses.replace(STYLES["broadcast"], longest_turn_s=2.0)
    rng = np.random.default_rng(3)
    turns = write_script(longest, speakers=4, length=600 * RATE, rng=rng).turns
    assert (turns[:, 2] - turns[:, 1]).max() == 2 * RATE


@pytest.mark.parametrize(
    ("knobs", "sentence"),
    [
        ({"room": 1.2}, r"room is 1\.2: give 0 to 1"),
        ({"keep_floor": -0.1}, "keep_floor is -0.1"),
        ({"t60_s": (0.9, 0.2)}, r"t60_s is \(0\.9, 0\.2\): give the smaller"),
        ({"speakers": (0, 2)}, r"speakers is \(0, 2\): give 1 to 100"),
        ({"late_s": 0.0}, r"late_s is 0\.0: give 0\.001 to"),
    ],
)
def test_styles_that_cannot_be_are_refused(knobs, sentence):
    with pytest.raises(ConfigError, match=sentence):
        ConversationStyle(**knobs)


def test_every_knob_of_a_style_has_help():
    assert all(knob.metadata["help"] for knob in dataclasses.fields(ConversationStyle))


def test_nobody_cannot_talk():
    with pytest.raises(ValueError, match="0 speakers"):
        script("call", speakers=0, seconds=10, seed=0)


def test_numbers_of_a_talk_counted_by_hand():
    # A holds 0-10 s with B inside at 4-5; B comes at 8, A goes on at 15 after a gap of 3 s, and
    # again at 20 after a pause.
    rows = [(0, 0, 10), (1, 4, 5), (1, 8, 12), (0, 15, 18), (0, 20, 24)]
    turns = np.array(rows) * np.array([1, RATE, RATE])
    taking = turn_taking(turns, length=30 * RATE)
    assert taking.speech == pytest.approx(19 / 30)
    assert taking.overlap == pytest.approx(3 / 19)
    assert taking.turn_median_s == 4 and taking.turn_mean_s == pytest.approx(22 / 5)
    assert taking.inside == pytest.approx(1 / 5)
    assert taking.switches_a_minute == pytest.approx(4)  # A to B, B to A
    assert taking.early_switches == 0.5
    assert taking.gap_p50_s == pytest.approx((-2 + 3) / 2)
    assert taking.top_share == pytest.approx(17 / 22)


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 80), st.integers(1, 20)),
        min_size=1,
        max_size=12,
    )
)
def test_numbers_of_any_talk_against_a_count(rows):
    turns = np.array(sorted((k, s, s + n) for k, s, n in rows))
    turns = turns[np.argsort(turns[:, 1], kind="stable")] * np.array([1, FRAME, FRAME])
    length = 100 * FRAME
    taking = turn_taking(turns, length=length)
    at_once = raster(turns, 4, length).sum(axis=0)
    assert taking.speech == pytest.approx((at_once >= 1).mean())
    assert taking.overlap == pytest.approx((at_once >= 2).sum() / (at_once >= 1).sum())
    inside = sum(
        any(k != j and s <= start and end <= e for j, s, e in turns.tolist())
        for k, start, end in turns.tolist()
    )
    assert taking.inside == pytest.approx(inside / len(turns))


def test_without_turns_there_are_no_numbers():
    with pytest.raises(ValueError, match="no turns"):
        turn_taking(np.zeros((0, 3), np.int64), length=RATE)
