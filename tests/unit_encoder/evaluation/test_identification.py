"""Identification trials: what every trial must be, and accuracies counted with loops."""

import itertools
from collections import Counter

import numpy as np
import pytest

from encoder.errors import CorpusError
from encoder.evaluation.identification import (
    IdentificationTrials,
    identification_trials,
    recognised,
)


def corpus(seed, speakers, utterances):
    """Speakers (names) and sessions of utterances in random order; a session holds about two."""
    rng = np.random.default_rng(seed)
    rows = [
        (f"s{k}", f"s{k}-{session // 2}")
        for k in range(speakers)
        for session in range(rng.integers(*utterances))
    ]
    order = rng.permutation(len(rows))
    return np.array([rows[i][0] for i in order]), np.array([rows[i][1] for i in order])


@pytest.mark.parametrize("enrollment", [1, 2, 3])
@pytest.mark.parametrize(
    ("speakers", "negatives"), [(12, 7), (4, 9)], ids=["a speaker each", "speakers used again"]
)
def test_every_trial_is_as_it_should_be(enrollment, speakers, negatives):
    names, sessions = corpus(enrollment, speakers, (3, 9))
    trials = identification_trials(
        names, sessions, enrollment=enrollment, negatives=negatives, per_speaker_limit=3, seed=1
    )
    assert trials.members.shape == (len(trials.anchors), 1 + negatives, enrollment)
    able = {name for name, n in Counter(names).items() if n > enrollment}
    assert Counter(names[trials.anchors]) == {n: min(3, Counter(names)[n]) for n in able}
    assert len(set(trials.anchors)) == len(trials.anchors)
    for anchor, (right, *wrong) in zip(trials.anchors, trials.members, strict=True):
        assert set(names[right]) == {names[anchor]} and anchor not in right
        elsewhere = sum((names == names[anchor]) & (sessions != sessions[anchor]))
        assert sum(sessions[right] != sessions[anchor]) == min(enrollment, elsewhere)
        owners = []
        for group in wrong:
            assert len(set(group)) == enrollment and len(set(names[group])) == 1
            owners.append(names[group[0]])
        assert names[anchor] not in owners
        assert len({tuple(group) for group in wrong}) == negatives
        most = Counter(owners).most_common()
        if speakers > negatives:
            assert most[0][1] == 1  # every negative is another speaker
        elif enrollment == 1:
            assert most[0][1] <= 7 and len(most) == 3  # all others take part


def test_the_same_seed_draws_the_same_trials():
    names, sessions = corpus(0, 8, (3, 6))
    one, two, other = (
        identification_trials(names, sessions, enrollment=2, negatives=5, seed=seed)
        for seed in (4, 4, 5)
    )
    assert (one.anchors == two.anchors).all() and (one.members == two.members).all()
    assert not np.array_equal(one.members, other.members)


def test_few_choices_are_all_found():
    # a: anchor or its enrollment; the others have 2 + 1 = 3 groups of two: all must be negatives.
    names = np.array(["a", "a", "a", "b", "b", "c", "c", "c"])
    trials = identification_trials(names, enrollment=2, negatives=4, per_speaker_limit=1)
    (row,) = np.flatnonzero(names[trials.anchors] == "a")
    found = {tuple(group) for group in trials.members[row, 1:]}
    assert found == {(3, 4), *itertools.combinations((5, 6, 7), 2)}


@pytest.mark.parametrize(
    ("names", "enrollment", "negatives"),
    [
        (["a", "a", "b"], 1, 2),  # one negative
        (["a", "b", "c"], 1, 1),  # nobody twice
        (["a", "a", "b", "b"], 2, 1),  # no third utterance for the anchor
        (["a", "a", "a", "b", "b", "c", "c"], 2, 3),  # two groups
        (["a", "a", "a", "b", "b", "b", "b"], 2, 5),  # six groups, but of four utterances
        ([], 1, 1),
    ],
)
def test_too_few_utterances(names, enrollment, negatives):
    with pytest.raises(CorpusError, match=f"one among {1 + negatives}: give {enrollment + 1} utt"):
        identification_trials(names, enrollment=enrollment, negatives=negatives)


@pytest.mark.parametrize("seed", range(4))
def test_accuracy_by_loops(seed):
    rng = np.random.default_rng(seed)
    names, sessions = corpus(seed, 10, (4, 8))
    vectors = rng.normal(size=(len(names), 4)) + 0.5 * np.array(
        [rng.permutation(np.arange(10))[:4] % 3 * (1 if name < "s5" else -1) for name in names]
    )
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    trials = identification_trials(names, sessions, enrollment=3, negatives=6, seed=seed)
    right = 0
    for anchor, candidates in zip(trials.anchors, trials.members, strict=True):
        similarities = []
        for group in candidates:
            mean = [sum(vectors[row][d] for row in group) / 3 for d in range(4)]
            norm = sum(x * x for x in mean) ** 0.5
            similarities.append(
                sum(a * x / norm for a, x in zip(vectors[anchor], mean, strict=True))
            )
        right += all(similarities[0] > other for other in similarities[1:])
    assert 0 < right < len(trials.anchors)
    assert recognised(vectors, trials).mean() == pytest.approx(right / len(trials.anchors))


def test_accuracy_by_hand():
    vectors = np.array([[1.0, 0.0], [0.8, 0.6], [0.8, -0.6], [0.0, 1.0], [0.6, 0.8]])
    # Alone, row 1 (0.8) is nearer to row 0 than row 4 (0.6), and 4 is nearer than 3.
    one = IdentificationTrials(np.array([0, 0]), np.array([[[1], [4]], [[3], [4]]]))
    assert recognised(vectors, one).mean() == 0.5
    # The mean of 1 and 2 points along row 0: similarity 1 only after it is made a unit vector,
    # 0.8 before that, no more than row 1 alone.
    two = IdentificationTrials(np.array([0]), np.array([[[1, 2], [1, 1]]]))
    assert recognised(vectors, two).mean() == 1.0


def test_more_trials_than_are_taken_at_once():
    rng = np.random.default_rng(0)
    names, sessions = corpus(0, 60, (4, 6))
    places = {name: rng.normal(size=8) for name in set(names)}
    vectors = np.stack([places[name] + rng.normal(size=8) for name in names])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    trials = identification_trials(names, sessions, enrollment=1, negatives=20)
    assert len(trials.anchors) > 200
    alone = [
        recognised(vectors, IdentificationTrials(trials.anchors[[p]], trials.members[[p]])).mean()
        for p in range(len(trials.anchors))
    ]
    assert 0 < np.mean(alone) < 1
    assert recognised(vectors, trials).mean() == pytest.approx(np.mean(alone))


def test_opposite_vectors_have_no_mean_and_win_nothing():
    vectors = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, -1.0], [-1.0, 0.0]])
    trials = IdentificationTrials(np.array([0, 0]), np.array([[[1, 2], [3, 3]], [[3, 3], [1, 2]]]))
    assert recognised(vectors, trials).mean() == 0.5
