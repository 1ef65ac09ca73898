"""Error rates of a network on a bank, against the same written with loops."""

import numpy as np
import pytest
import torch

from encoder.data.feature_bank import FeatureBank, Item
from encoder.errors import CorpusError
from encoder.evaluation.metrics import eer
from encoder.features.log_mel import normalise
from encoder.models.rescnn import ResCNN, ResCNNConfig
from encoder.speaker_training.validation import bank_embeddings, eer_by_dataset


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return ResCNN(ResCNNConfig(channels=(4,), blocks=1, embedding_size=4, n_mels=8)).eval()


def bank_of(rows, frames=30):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(frames * len(rows), 8)).astype(np.float16)
    items = [
        Item(i * frames, frames, speaker, dataset, f"t{i}", speed)
        for i, (speaker, dataset, speed) in enumerate(rows)
    ]
    return FeatureBank(features, items)


ROWS = [
    *((f"a{k}", "one", 1.0) for k in range(5) for _ in range(3)),
    *((f"b{k}", "two", 1.0) for k in range(4) for _ in range(2)),
    *((f"c{k}", "few", 1.0) for k in range(3) for _ in range(2)),
    *((f"d{k}", "singles", 1.0) for k in range(6)),
    *((f"a{k}@1.1", "one", 1.1) for k in range(5)),
]


def loops(model, bank, dataset, crop):
    vectors, names = [], []
    for item in bank.items:
        if item.dataset == dataset and item.speed == 1.0:
            offset = (item.frames - crop) // 2 if crop else 0
            rows = bank.frames(item)[offset : offset + (crop or item.frames)]
            vectors.append(model(normalise(rows)[None])[0].detach())
            names.append(item.speaker)
    pairs = [(i, j) for j in range(len(names)) for i in range(j)]
    scores = [float(vectors[i] @ vectors[j]) for i, j in pairs]
    return eer(np.array(scores), np.array([names[i] == names[j] for i, j in pairs])).rate


@pytest.mark.parametrize("crop", [None, 12])
def test_against_loops(model, crop):
    bank = bank_of(ROWS)
    rates = eer_by_dataset(model, bank, crop_frames=crop)
    expected = {name: loops(model, bank, name, crop) for name in ("one", "two")}
    assert set(rates) == {"one", "two", "mean"}  # the others have too few speakers or no pair
    for name, rate in expected.items():
        assert rates[name] == pytest.approx(rate, abs=1e-6)
    assert rates["mean"] == pytest.approx(np.mean(list(expected.values())), abs=1e-6)


def test_only_the_speakers_asked_for(model):
    bank = bank_of(ROWS)
    some = {"b0", "b1", "b2", "b3", "a0"}
    assert set(eer_by_dataset(model, bank, crop_frames=None, speakers=some)) == {"two", "mean"}
    with pytest.raises(CorpusError, match="none of 1 data sets has 4 speakers"):
        eer_by_dataset(model, bank, crop_frames=None, speakers={"a0", "a1"})


def test_more_items_than_a_forward_pass_takes(model):
    bank = bank_of([("s", "d", 1.0)] * 70)
    rows = list(range(70))
    together = bank_embeddings(model, bank, rows, crop_frames=30)
    alone = bank_embeddings(model, bank, rows, crop_frames=None)
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_copies_through_another_channel_are_no_trials(model):
    bank = bank_of(ROWS)
    plain = eer_by_dataset(model, bank, crop_frames=12)
    copies = [i._replace(start=i.start + 7, channel="telephone:mulaw") for i in bank.items[:-1]]
    both = FeatureBank(bank.features, bank.items + copies)
    assert eer_by_dataset(model, both, crop_frames=12) == plain
