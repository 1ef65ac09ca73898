"""A calibration: its formula by hand, its file, and fitting it to trials of known log odds."""

import json
import math
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from encoder.calibration import score_calibration
from encoder.calibration.metrics import balanced_weights, cllr
from encoder.calibration.score_calibration import (
    LONGEST_S,
    SHORTEST_S,
    Calibration,
    find_calibration,
    fit_calibration,
    read_calibration,
    write_calibration,
)
from encoder.errors import CheckpointError, ConfigError, CorpusError, StoreError

SOME = Calibration(
    "abcd1234", 10.0, -4.0, 1.5, {"turns": [2.0, 0.5, -1.0]}, {"data": "some", "pairs": 7}
)


def test_probability_by_hand():
    # 10 * 0.3 - 4 + 1.5 * (1 / 2 + 1 / 4) = 0.125
    assert SOME.probability(0.3, 2, 4) == pytest.approx(1 / (1 + math.exp(-0.125)))
    assert SOME.probability(0.3, 2, 4) == SOME.probability(0.3, 4, 2)
    assert SOME.probability(0.3, 0.1, 300) == SOME.probability(0.3, SHORTEST_S, LONGEST_S)
    assert SOME.probability(np.nan, 2, 4) == 0
    assert SOME.probability([[0.1], [0.9]], [1, 2, 3], 4).shape == (2, 3)
    assert (np.diff(SOME.probability(np.linspace(-1, 1, 50), 2, 2)) > 0).all()
    extreme = replace(SOME, slope=1e6).probability([-1, 1], 2, 2)
    assert extreme.tolist() == [0, 1]  # and no overflow on the way


@pytest.mark.parametrize("chance", [0.01, 0.5, 0.99])
def test_similarity_is_the_way_back(chance):
    near = SOME.similarity(chance, 1.3, 8.0)
    assert SOME.probability(near, 1.3, 8.0) == pytest.approx(chance)
    for wrong in (0, 1, -0.1, math.nan):
        with pytest.raises(ConfigError, match="more than 0 and less than 1"):
            SOME.similarity(wrong, 1, 1)


def test_written_and_found_again(tmp_path, monkeypatch):
    monkeypatch.setenv("DIARIZE_HOME", str(tmp_path))
    assert find_calibration(SOME.fingerprint) is None
    path = write_calibration(SOME, tmp_path / "weights")
    assert path.name == "calibration-abcd1234.json" and list(path.parent.iterdir()) == [path]
    assert find_calibration(SOME.fingerprint) == read_calibration(path) == SOME
    path.rename(path.with_name("calibration-other.json"))
    assert find_calibration("other") is None  # a renamed file is not that embedder's
    without = replace(SOME, further={})
    assert read_calibration(write_calibration(without, tmp_path)) == without


def test_what_others_keep_in_the_file_is_written_back():
    """The packaged files have the calibration of turns, of which the encoder knows nothing."""
    packaged = sorted((Path(score_calibration.__file__).parents[1] / "weights").glob("*.json"))
    assert packaged
    for path in packaged:
        with tempfile.TemporaryDirectory() as folder:
            written = write_calibration(read_calibration(path), Path(folder))
            assert written.read_text() == path.read_text() and written.name == path.name


def test_a_file_that_is_none_is_refused_with_the_next_step(tmp_path):
    path = write_calibration(SOME, tmp_path)
    good = json.loads(path.read_text())
    wrong = [{"slope": 0}, {"slope": "x"}, {"offset": math.nan}, {"format": 2}]
    texts = [json.dumps({**good, **change}) for change in wrong]
    for text in [*texts, "", "[]", "{}", "\xff"]:
        path.write_bytes(text.encode("latin-1"))
        with pytest.raises(CheckpointError, match=r"not a calibration .* fit it again"):
            read_calibration(path)
    with pytest.raises(CheckpointError, match="cannot read"):
        read_calibration(tmp_path / "none.json")
    path.write_text("old")
    with pytest.raises(StoreError):
        write_calibration(SOME, path)
    assert path.read_text() == "old"


def test_the_packaged_embedder_has_one():
    folder = Path(__file__).parents[3] / "encoder/weights"
    (weights,) = folder.glob("deepspeaker-*.safetensors")
    found = read_calibration(folder / f"calibration-{weights.stem[-8:]}.json")
    assert found.fingerprint == weights.stem[-8:] and found.fitted_on["split"] == "heldout"
    # Alike and long: surely one speaker; unlike and long: surely two; short: less sure.
    assert found.probability(0.8, 10, 10) > 0.9 > 0.1 > found.probability(0.1, 10, 10)
    assert found.shortness > 0 and 0 < found.similarity(0.5, 3, 3) < 1


def simulated(seed, slope, offset, shortness, count=60_000):
    """Trials drawn from the model itself, both kinds about as many."""
    rng = np.random.default_rng(seed)
    a, b = rng.uniform(0.2, 40, size=(2, count))
    scores = rng.uniform(-0.2, 1, size=count)
    short = 1 / np.clip(a, SHORTEST_S, LONGEST_S) + 1 / np.clip(b, SHORTEST_S, LONGEST_S)
    odds = slope * scores + offset + shortness * short
    return scores, rng.random(count) < 1 / (1 + np.exp(-odds)), a, b


@pytest.mark.parametrize("model", [(12.0, -5.0, 1.5), (6.0, -2.0, -0.5)])
def test_the_model_that_made_the_trials_is_found(model):
    scores, truth, a, b = simulated(0, *model)
    even = np.ones(len(truth))
    found = fit_calibration(scores, truth, a, b, weights=even, fingerprint="f")
    assert (found.slope, found.offset, found.shortness) == pytest.approx(model, rel=0.1, abs=0.1)
    assert found.fingerprint == "f" and found.further == {}


def gradient(found, scores, truth, a, b, weights):
    """Of the weighted likelihood: zero at its maximum."""
    short = 1 / np.clip(a, SHORTEST_S, LONGEST_S) + 1 / np.clip(b, SHORTEST_S, LONGEST_S)
    rest = weights * (truth - found.probability(scores, a, b)) / weights.sum()
    return np.array([rest.sum(), (rest * scores).sum(), (rest * short).sum()])


@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_maximum_of_the_weighted_likelihood(seed):
    scores, truth, a, b = simulated(seed, 9.0, -4.0, 1.0, count=400)
    rng = np.random.default_rng(seed)
    for weights in (balanced_weights(truth), rng.uniform(0.1, 5, size=400)):
        found = fit_calibration(scores, truth, a, b, weights=weights)
        np.testing.assert_allclose(gradient(found, scores, truth, a, b, weights), 0, atol=1e-6)
    default = fit_calibration(scores, truth, a, b)
    assert default == fit_calibration(scores, truth, a, b, weights=balanced_weights(truth))


def test_a_trial_counted_twice_is_a_trial_of_weight_two():
    scores, truth, a, b = simulated(3, 9.0, -4.0, 1.0, count=300)
    often = np.arange(300) % 3 + 1
    again = np.repeat(np.arange(300), often)
    one = fit_calibration(scores, truth, a, b, weights=often)
    two = fit_calibration(
        scores[again], truth[again], a[again], b[again], weights=np.ones(len(again))
    )
    assert one.slope == pytest.approx(two.slope, rel=1e-5)
    assert one.offset == pytest.approx(two.offset, rel=1e-5)


def test_it_costs_less_than_its_neighbours():
    scores, truth, a, b = simulated(1, 9.0, -4.0, 1.0, count=2000)
    found = fit_calibration(scores, truth, a, b)
    best = cllr(found.probability(scores, a, b), truth)
    for change in ({"slope": 7.0}, {"offset": -3.0}, {"shortness": 0.0}):
        other = type(found)(**{**vars(found), **change})
        assert cllr(other.probability(scores, a, b), truth) > best


def test_sounds_of_one_length_say_nothing_of_others():
    scores, truth, _, _ = simulated(2, 9.0, -4.0, 0.0, count=500)
    found = fit_calibration(scores, truth, 3.0, 3.0)
    assert found.shortness == 0 and found.slope > 0
    np.testing.assert_array_equal(
        found.probability(scores, 1, 1), found.probability(scores, 20, 20)
    )


def test_what_cannot_be_fitted_is_said():
    with pytest.raises(CorpusError, match="3 same-speaker, 0 different"):
        fit_calibration([0.1, 0.2, 0.3], [True] * 3, 1.0, 1.0)
    with pytest.raises(CorpusError, match="some pairs are in doubt"):
        fit_calibration([0.1, 0.11, 0.12, 0.13], [False, False, True, True], 1.0, 1.0)
    with pytest.raises(CorpusError, match="slope -"):
        fit_calibration([0.9, 0.2, 0.8, 0.1, 0.5], [False, True, False, True, True], 1.0, 1.0)
