"""The protocol of all embedders, from vectors, against the same written with loops."""

from pathlib import Path

import numpy as np
import pytest

from encoder.data.manifest import Utterance
from encoder.errors import CorpusError
from encoder.evaluation.bootstrap import interval_of, resample_shares
from encoder.evaluation.closed_set import closed_set_ranks, draw_enrollments
from encoder.evaluation.identification import identification_trials, recognised
from encoder.evaluation.metrics import eer, min_dcf
from encoder.evaluation.protocol import ProtocolConfig, measure_by_dataset


def utterances(rows):
    return [
        Utterance(Path(f"{i}.wav"), speaker, dataset, "eval", f"t{i // 2}", 1.0)
        for i, (speaker, dataset) in enumerate(rows)
    ]


def test_measures_of_vectors_against_loops():
    rng = np.random.default_rng(0)
    rows = [
        *((f"a{k}", "large") for k in range(6) for _ in range(4)),
        *((f"b{k}", "small") for k in range(4) for _ in range(2)),
        *((f"c{k}", "few") for k in range(3) for _ in range(9)),
        *((f"d{k}", "singles") for k in range(6)),
    ]
    rows = [rows[i] for i in rng.permutation(len(rows))]
    places = {speaker: rng.normal(size=6) for speaker, _ in rows}
    vectors = np.stack([places[speaker] + rng.normal(size=6) for speaker, _ in rows])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    config = ProtocolConfig(p_targets=(0.1, 0.5), enrollments=(1, 2), negatives=9, seed=5)
    everyone = utterances(rows)
    found = measure_by_dataset(vectors, everyone, config=config)
    assert list(found) == ["large", "small", "mean"]
    for dataset in ("large", "small"):
        own = [i for i, (_, name) in enumerate(rows) if name == dataset]
        pairs = [(i, j) for j in own for i in own if i < j]
        scores = np.array([sum(vectors[i] * vectors[j]) for i, j in pairs])
        truth = np.array([rows[i][0] == rows[j][0] for i, j in pairs])
        assert 0 < found[dataset].eer < 0.5
        assert found[dataset].eer == pytest.approx(eer(scores, truth).rate)
        for prior in (0.1, 0.5):
            cost = min_dcf(scores, truth, p_target=prior)
            assert found[dataset].min_dcf[prior] == pytest.approx(cost)
        low, high = found[dataset].intervals["eer"]
        assert 0 <= low < found[dataset].eer + 0.1 and low < high <= 1
        assert found[dataset].utterances == len(own)
    assert (found["large"].speakers, found["small"].speakers) == (6, 4)
    # Nine negatives need nine utterances of others: the small set has six.
    assert set(found["large"].accuracy) == {1, 2} and found["small"].accuracy == {}
    own = [i for i, (_, name) in enumerate(rows) if name == "large"]
    trials = identification_trials(
        [rows[i][0] for i in own],
        [everyone[i].session for i in own],
        enrollment=2,
        negatives=9,
        seed=5,
    )
    assert found["large"].accuracy[2] == recognised(vectors[own], trials).mean() > 0.2
    mean = found["mean"]
    assert mean.eer == pytest.approx((found["large"].eer + found["small"].eer) / 2)
    for prior in (0.1, 0.5):
        costs = [found[dataset].min_dcf[prior] for dataset in ("large", "small")]
        assert mean.min_dcf[prior] == pytest.approx(sum(costs) / 2)
    assert mean.accuracy == found["large"].accuracy
    assert (mean.speakers, mean.utterances) == (10, 32)
    # The small set has no utterance left when two enroll each speaker.
    assert found["small"].closed_set is None
    sessions = [everyone[i].session for i in own]
    names = [rows[i][0] for i in own]
    enroll, test = draw_enrollments(names, sessions, enrollment=2, seed=5)
    told = closed_set_ranks(vectors[own], names, enroll, test)
    assert found["large"].closed_set.top1 == mean.closed_set.top1 == told.top(1)
    assert found["large"].closed_set.top5 == told.top(5)
    assert (mean.closed_set.speakers, mean.closed_set.tests) == (6, len(test))
    assert set(mean.intervals) == {
        "eer", "min_dcf 0.1", "min_dcf 0.5", "accuracy 1", "accuracy 2", "top1"
    }  # fmt: skip


def test_an_accuracy_has_the_interval_of_its_speakers_shares():
    rng = np.random.default_rng(1)
    rows = utterances([(f"a{k}", "one") for k in range(9) for _ in range(4)])
    vectors = rng.normal(size=(36, 4)) + np.repeat(rng.normal(size=(9, 4)), 4, axis=0)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    config = ProtocolConfig(enrollments=(1,), negatives=20, replicates=300)
    found = measure_by_dataset(vectors, rows, config=config)["one"]
    names = [u.speaker for u in rows]
    trials = identification_trials(names, [u.session for u in rows], negatives=20)
    right = recognised(vectors, trials)
    assert right.mean() == found.accuracy[1]
    counts = [[0] * 9, [0] * 9]
    for anchor, hit in zip(trials.anchors, right, strict=True):
        counts[0][anchor // 4] += hit
        counts[1][anchor // 4] += 1
    low, high = interval_of(resample_shares(*counts, replicates=20_000))
    assert found.intervals["accuracy 1"] == pytest.approx((low, high), abs=0.05)
    assert low < found.accuracy[1] < high


def test_no_replicates_no_intervals():
    rows = utterances([(f"a{k}", "one") for k in range(5) for _ in range(3)])
    vectors = np.random.default_rng(0).normal(size=(15, 4))
    found = measure_by_dataset(vectors, rows, config=ProtocolConfig(replicates=0))
    assert found["one"].intervals == found["mean"].intervals == {}


def test_measuring_needs_speakers():
    rows = utterances([("a", "one"), ("a", "one"), ("b", "one")])
    with pytest.raises(CorpusError, match="none of 1 data sets has 4 speakers"):
        measure_by_dataset(np.eye(3), rows)
    assert measure_by_dataset(np.eye(3), rows, minimum_speakers=2)["one"].speakers == 2
