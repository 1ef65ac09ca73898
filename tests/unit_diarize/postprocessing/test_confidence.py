"""Confidence of turns: margins against loops, limits, fit, and what is left unlabelled."""

from __future__ import annotations

from dataclasses import astuple, replace

import numpy as np
import pytest

from diarize.core.turns import UNKNOWN, Turn
from diarize.embedding.windows import cut_windows
from diarize.postprocessing.confidence import (
    TurnCalibration,
    fit_turns,
    leave_doubtful,
    turn_confidence,
    turn_margins,
)
from diarize.postprocessing.turns import assemble, turn_numbers
from diarize.scoring.turn_accuracy import right_shares
from encoder.calibration.score_calibration import Calibration
from encoder.errors import CheckpointError, CorpusError

CALIBRATION = TurnCalibration(3.0, 0.5, -0.2).stored_in(Calibration("00000000", 10.0, -4.0, 2.0))


def recording(labels_by_region, *, seed=0, region_s=4):
    """Windows of regions, one list of labels each (repeated as needed), and random unit vectors."""
    rng = np.random.default_rng(seed)
    size, gap = region_s * 16_000, 8_000
    count = len(labels_by_region)
    regions = np.array([(k * (size + gap), k * (size + gap) + size) for k in range(count)])
    windows = cut_windows(regions, length=int(regions[-1, 1]))
    labels = np.array([labels_by_region[r] for r in windows.region])
    vectors = rng.normal(size=(len(windows), 8))
    return windows, vectors / np.linalg.norm(vectors, axis=1, keepdims=True), labels


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def test_margins_against_loops():
    windows, vectors, labels = recording([0, 1, 0, 2, 1, 0])
    turns = turn_numbers(windows, labels)
    margins, seconds = turn_margins(windows, vectors, labels, turns, CALIBRATION)
    held_s = (windows.territory[:, 1] - windows.territory[:, 0]) / 16_000
    for turn in range(turns.max() + 1):
        label = labels[turns == turn][0]

        def total(rows):
            return sum((vectors[n] * held_s[n] for n in np.flatnonzero(rows)), np.zeros(8))

        voice = total(turns == turn)
        rest_s = held_s[(labels == label) & (turns != turn)].sum()
        own = (
            cosine(voice, total((labels == label) & (turns != turn)))
            if rest_s
            else CALIBRATION.even_odds(held_s[turns == turn].sum(), rest_s)
        )
        other = max(cosine(voice, total(labels == k)) for k in range(3) if k != label)
        assert margins[turn] == pytest.approx(own - other)
        assert seconds[turn] == pytest.approx(held_s[turns == turn].sum())


def test_alone_in_the_recording_and_speaking_once():
    windows, vectors, labels = recording([0])
    turns = turn_numbers(windows, labels)
    margins, _ = turn_margins(windows, vectors, labels, turns, CALIBRATION)
    assert margins.tolist() == [0.0]  # nothing speaks for it and nothing against
    windows, vectors, labels = recording([0, 0])
    margins, _ = turn_margins(
        windows,
        np.tile(vectors[0], (len(labels), 1)),
        labels,
        turn_numbers(windows, labels),
        CALIBRATION,
    )
    assert margins == pytest.approx(1 - CALIBRATION.even_odds(4, 4))


def test_clear_voices_are_surer_than_mixed_ones():
    windows, _, labels = recording([0, 1, 0, 1])
    clear = np.eye(8)[labels]
    mixed = clear + 0.8
    turns = turn_numbers(windows, labels)
    sure, less = (
        turn_confidence(
            windows,
            v / np.linalg.norm(v, axis=1, keepdims=True),
            labels,
            turns,
            CALIBRATION,
            lengths_s=np.full(4, 4.0),
        )
        for v in (clear, mixed)
    )
    assert (sure > less).all() and (sure < 1).all()


def test_without_a_calibration_there_is_no_confidence():
    windows, vectors, labels = recording([0, 1])
    turns = turn_numbers(windows, labels)
    for absent in (None, Calibration("00000000", 10.0, -4.0)):
        assert (
            np.isnan(
                turn_confidence(windows, vectors, labels, turns, absent, lengths_s=np.ones(2))
            ).tolist()
            == [True] * 2
        )
    nothing = np.zeros(0, np.int64)
    empty = cut_windows(np.zeros((0, 2), np.int64), length=0)
    vectors = np.zeros((0, 8))
    found = turn_confidence(empty, vectors, nothing, nothing, CALIBRATION, lengths_s=np.zeros(0))
    assert len(found) == 0


def test_doubtful_turns_lose_their_speaker_and_nothing_else():
    windows, _, labels = recording([0, 1, 0])
    turns = assemble(windows, labels)
    left = leave_doubtful(turns, np.array([0.9, 0.3, 0.5]), 0.5)
    assert [t.speaker for t in left] == ["SPEAKER_00", UNKNOWN, "SPEAKER_00"]
    assert [t[:2] for t in left] == [t[:2] for t in turns]
    assert leave_doubtful(turns, np.full(3, np.nan), 0.0) == turns


def test_the_fit_finds_what_the_turns_were_drawn_from():
    rng = np.random.default_rng(0)
    margins, seconds = rng.normal(0.2, 0.3, 20_000), rng.uniform(0.6, 20, 20_000)
    right = rng.random(20_000) < TurnCalibration.of(CALIBRATION).probability(margins, seconds)
    found = fit_turns(margins, seconds, right.astype(float), np.ones(20_000))
    np.testing.assert_allclose(astuple(found), (3.0, 0.5, -0.2), atol=0.15)
    with pytest.raises(CorpusError, match="all right"):
        fit_turns(margins, seconds, np.ones(20_000), np.ones(20_000))


@pytest.mark.parametrize("stored", [[1, 2], [1, 2, "x"], [1, 2, float("nan")], 3, {"a": 1}])
def test_a_damaged_calibration_of_turns_is_refused(stored):
    damaged = replace(CALIBRATION, further={"turns": stored})
    with pytest.raises(CheckpointError, match="00000000 has the turns"):
        TurnCalibration.of(damaged)


def test_right_shares_by_hand():
    reference = [Turn(0, 4, "a"), Turn(4, 8, "b"), Turn(9, 10, "a")]
    turns = [Turn(0, 5, "x"), Turn(5, 8.5, "y"), Turn(8.5, 8.9, "y"), Turn(9, 10, "z")]
    shares, seconds = right_shares(reference, turns)
    assert seconds.tolist() == pytest.approx([5, 3, 0, 1])
    assert shares.tolist() == pytest.approx([0.8, 1, 0, 0])  # z has no partner left
    shares, seconds = right_shares(iter(reference), turns, uem=iter([(0, 4.5)]))
    assert seconds.tolist() == pytest.approx([4.5, 0, 0, 0])
    assert shares[0] == pytest.approx(4 / 4.5)
