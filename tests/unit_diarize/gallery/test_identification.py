"""Naming: against nested loops, and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from diarize.gallery.config import NamingConfig
from diarize.gallery.identification import (
    Match,
    agreement,
    match_speakers,
    name_speakers,
    rank_speakers,
    speaker_vectors,
)
from diarize.gallery.schema import EnrolledSpeaker
from encoder.calibration.score_calibration import Calibration
from encoder.errors import ConfigError

CALIBRATION = Calibration("f", slope=10.0, offset=-3.724, shortness=0.0)  # 0.97 at 0.72


def unit(*rows):
    rows = np.atleast_2d(np.array(rows, np.float64))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def person(name, *rows, kind="named", seconds=10.0):
    vectors = unit(*rows)
    return EnrolledSpeaker(name, kind, vectors, np.full(len(vectors), seconds))


def at(similarity, *, dimensions=4):
    """A unit vector of that cosine to the first axis, otherwise along the last."""
    vector = np.zeros(dimensions)
    vector[0], vector[-1] = similarity, np.sqrt(1 - similarity**2)
    return vector.astype(np.float32)


ANNA, BOB = person("Anna", [1, 0, 0, 0]), person("Bob", [0, 1, 0, 0])


def one(vector, people, *, seconds=10.0, calibration=CALIBRATION, **rule):
    ((match, reason),) = match_speakers(
        np.atleast_2d(vector), np.array([seconds]), people, calibration, rule=NamingConfig(**rule)
    )
    return match if reason is None else None


def test_ranking_against_nested_loops():
    generator = np.random.default_rng(0)
    calibration = Calibration("f", 8.0, -4.0, 1.5)
    people = []
    for count in range(1, 8):
        rows, seconds = generator.normal(size=(count, 6)), generator.uniform(1, 20, count)
        people.append(EnrolledSpeaker(f"p{count}", "named", unit(*rows), seconds))
    vector = unit(generator.normal(size=6))[0]
    expected = []
    for known in people:
        best, best_s = -2.0, 0.0
        for exemplar, seconds in zip(known.exemplars, known.seconds, strict=True):
            cosine = sum(float(a) * float(b) for a, b in zip(exemplar, vector, strict=True))
            if cosine > best:
                best, best_s = cosine, seconds
        odds = 8.0 * best - 4.0 + 1.5 * (1 / 3.0 + 1 / best_s)
        expected.append((known.name, best, 1 / (1 + np.exp(-odds))))
    expected.sort(key=lambda row: -row[1])
    found = rank_speakers(vector, 3.0, people, calibration)
    assert [m.name for m in found] == [row[0] for row in expected]
    np.testing.assert_allclose(
        [(m.similarity, m.probability) for m in found], [row[1:] for row in expected], atol=1e-6
    )


def test_a_sure_voice_is_named_with_all_numbers():
    match = one(at(0.8), [BOB, ANNA])
    assert isinstance(match, Match)
    assert (match.name, match.kind, match.runner_up) == ("Anna", "named", "Bob")
    assert match.similarity == pytest.approx(0.8) and match.lead == pytest.approx(0.8)
    assert match.probability == pytest.approx(1 / (1 + np.exp(-4.276)))


@pytest.mark.parametrize(("similarity", "named"), [(0.71, False), (0.73, True)])
def test_the_probability_decides(similarity, named):
    assert (one(at(similarity), [ANNA]) is not None) is named


def test_a_similarity_decides_instead_and_needs_no_calibration():
    assert one(at(0.5), [ANNA], calibration=None, min_similarity=0.4).probability is None
    assert one(at(0.5), [ANNA], min_similarity=0.6) is None
    with pytest.raises(ConfigError, match=r"no calibration.*min_similarity"):
        one(at(0.5), [ANNA], calibration=None)


def test_a_voice_between_two_people_stays_unnamed():
    between = unit([1.0, 0.97, 0, 0])[0]
    assert one(between, [ANNA, BOB], min_similarity=0.5) is None
    assert one(between, [ANNA, BOB], min_similarity=0.5, min_lead=0.01).name == "Anna"
    assert one(between, [ANNA], min_similarity=0.5).lead is None


def test_an_unknown_speaker_makes_nothing_ambiguous_and_gives_way_to_a_name():
    twin = person("VOICE_0001", [1, 0.05, 0, 0], kind="unknown")
    assert one(at(0.9), [ANNA, twin]).name == "Anna"
    assert one(unit([1, 0.05, 0, 0])[0], [ANNA, twin]).name == "Anna"
    assert one(unit([1, 1.2, 0, 0])[0], [BOB, twin], min_similarity=0.5).name == "Bob"
    far = person("Carl", [0, 0, 1, 0])
    assert one(at(0.9), [far, twin]).name == "VOICE_0001"


def test_none_enrolled_and_none_with_a_vector():
    empty = EnrolledSpeaker("Eve", "named", np.zeros((0, 0), np.float32), np.zeros(0))
    assert one(at(0.9), []) is None
    assert one(at(0.9), [empty]) is None
    assert one(at(0.9), [empty, ANNA]).name == "Anna"


def test_agreement_is_a_share_of_time():
    vectors = unit([1, 0, 0, 0], [1, 0.1, 0, 0], [0, 1, 0, 0])
    assert agreement(vectors, np.array([1.0, 2.0, 1.0]), "Anna", [ANNA, BOB]) == pytest.approx(0.75)
    assert agreement(vectors, np.array([0.0, 0.0, 0.0]), "Anna", [ANNA, BOB]) == 1.0
    unknown = person("VOICE_0001", [1, 0, 0, 0], kind="unknown")
    assert agreement(vectors, np.ones(3), "Anna", [unknown, ANNA]) == 1.0


def test_the_vector_of_a_label_is_of_its_long_windows():
    embeddings = unit([1, 0], [0, 1], [0, 1], [1, 1])
    labels, seconds = np.array([0, 0, 1, -1]), np.array([1.0, 0.5, 2.0, 4.0])
    vectors, speech_s = speaker_vectors(
        embeddings, labels, seconds, np.array([True, False, False, True])
    )
    np.testing.assert_allclose(vectors, [[1, 0], [0, 1]])
    np.testing.assert_allclose(speech_s, [1.5, 2.0])


def recording(*speakers, seconds=1.0, each=4):
    """Windows of speakers, each given by its windows' vectors or by one vector for all."""
    rows, labels = [], []
    for label, vectors in enumerate(speakers):
        own = np.atleast_2d(vectors)
        own = np.repeat(own, each, axis=0) if len(own) == 1 else own
        rows.append(own)
        labels += [label] * len(own)
    return np.concatenate(rows), np.array(labels), np.full(len(labels), seconds)


def name(rows, labels, seconds, people=(ANNA, BOB), minimum=1, **rule):
    return name_speakers(
        rows, labels, seconds, np.ones(len(labels), bool), people, CALIBRATION,
        NamingConfig(**rule), minimum_speakers=minimum,
    )  # fmt: skip


def test_a_recording_of_two_known_and_one_unknown():
    naming = name(*recording(at(0.9), [0, 0, 1, 0], [0, 1, 0, 0]))
    assert naming.names == ["Anna", None, "Bob"]
    assert naming.reasons == [None, "not sure", None]
    assert naming.matches[1].similarity == pytest.approx(0)


def test_a_voice_of_a_second_stays_unnamed():
    naming = name(*recording(at(0.9), seconds=0.4))
    assert naming.names == [None] and "too short: 1.6 s" in naming.reasons[0]


def test_turns_that_disagree_take_the_name_away():
    own = unit(*[[1, 0.9, 0, 0]] * 3, *[[0.95, 1, 0, 0]] * 4)
    rule = {"min_similarity": 0.5, "min_lead": 0.0}
    naming = name(*recording(own), **rule)
    assert naming.names == [None]
    assert naming.reasons[0] == "only 43% of the speech is nearest to Anna"
    assert name(*recording(own), min_agreement=0.4, **rule).names == ["Anna"]


def test_labels_of_one_speaker_become_one_but_not_below_the_known_number():
    made = recording(at(0.8), [0, 1, 0, 0], at(0.95), at(0.9))
    assert name(*made).names == ["Anna", "Bob", "Anna", "Anna"]
    assert name(*made, minimum=3).names == [None, "Bob", "Anna", "Anna"]
    four = name(*made, minimum=4)
    assert four.names == [None, "Bob", "Anna", None]
    assert four.reasons[3] == "another speaker of the recording is more like Anna"
    assert name(*made, minimum=9).names == four.names


def test_no_windows_and_noise():
    nothing = name(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0))
    assert (nothing.names, nothing.matches, nothing.reasons) == ([], [], [])
    rows, labels, seconds = recording(at(0.9), at(0.9))
    assert name(rows, np.where(labels == 1, -1, labels), seconds).names == ["Anna"]


@pytest.mark.parametrize(
    "knob",
    [
        {"min_probability": 1.0},
        {"min_probability": 0.0},
        {"min_similarity": 1.5},
        {"min_lead": -0.1},
        {"min_lead": float("nan")},
        {"min_speech_s": -1.0},
        {"min_agreement": 1.1},
    ],
)
def test_knobs_out_of_range_are_named(knob):
    with pytest.raises(ConfigError, match=next(iter(knob))):
        NamingConfig(**knob)
