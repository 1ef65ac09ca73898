"""The segmentation network: shapes, independence of the batch, weights, and that it learns."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from diarize.core.turns import Turn
from diarize.segmentation.network.network import SegmentationNetwork, SegmentationNetworkConfig
from diarize.segmentation.network.powerset import IGNORED, Powerset
from diarize.segmentation.network.weights import load_network, save_network
from diarize.segmentation_training.batches import Batch, ChunkBatches, centred, most_speaking
from diarize.segmentation_training.config import BatchConfig, SegmentationTrainConfig
from diarize.segmentation_training.objective import PowersetObjective
from diarize.segmentation_training.speaker_loss import SpeakerLossConfig
from diarize.segmentation_training.train import (
    checkpoint_network,
    start_network,
    train_segmentation,
)
from diarize.segmentation_training.validation import (
    LocalError,
    ReferenceChunk,
    cut_chunks,
    local_error,
    validate,
)
from diarize.simulation.labelled_chunk import LabelledChunk
from encoder.common.config import from_mapping, read_toml
from encoder.errors import CheckpointError, ConfigError
from encoder.features.log_mel import FeatureConfig, LogMel
from encoder.hub.weights_file import load_weights, save_weights
from encoder.models.rescnn import ResCNN, ResCNNConfig
from encoder.training.optimization import FitConfig

TINY = SegmentationNetworkConfig(width=16, layers=1, hidden=12, edges=8, dropout=0.0)

CONFIGS = Path(__file__).parents[3] / "recipes" / "configs" / "segmentation"


class Tones:
    """Two speakers, each a chord of their own, now and then at once; T samples a chunk."""

    def __init__(self, chunk_s=1.0):
        self.samples = round(chunk_s * 16000)

    def chunk(self, rng):
        frames = self.samples // 160
        activity = np.zeros((frames, 2), np.bool_)
        wave = 0.003 * rng.standard_normal(self.samples).astype(np.float32)
        at = np.arange(self.samples) / 16000
        for k, hertz in enumerate((300.0, 2500.0)):
            start, end = np.sort(rng.integers(0, frames + 1, 2))
            activity[start:end, k] = True
            tone = 0.1 * np.sin(2 * np.pi * hertz * at + rng.uniform(0, 6))
            wave[start * 160 : end * 160] += tone[start * 160 : end * 160].astype(np.float32)
        order = rng.permutation(2)
        return LabelledChunk(wave, activity[:, order], order)


class Bars:
    """A reporter that remembers."""

    def __init__(self):
        self.losses = []

    def say(self, sentence):
        pass

    warn = say

    def bar(self, title, total):
        from contextlib import nullcontext

        return nullcontext(lambda step, measured: self.losses.append(measured["loss"]))


def made(workers=0, *, numbers=20, every=1, seed=1):
    config = BatchConfig(chunks=3, chunk_s=1.0, workers=workers, ahead=2)
    return ChunkBatches(Tones(), Powerset(), config=config, seed=seed, numbers=numbers, every=every)


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_the_default_network_has_at_most_a_million_and_a_half_parameters():
    assert sum(p.numel() for p in SegmentationNetwork().parameters()) <= 1_500_000


@pytest.mark.parametrize("heads", [0, 3])
@pytest.mark.parametrize("frames", [1, 2, 3, 5, 8, 9, 100, 999, 1000])
def test_one_output_for_two_frames(frames, heads):
    network = SegmentationNetwork(SegmentationNetworkConfig(hidden=12, layers=1, heads=heads))
    found = network(torch.randn(2, frames, 64))
    assert found.shape == (2, -(-frames // 2), 7)
    assert torch.allclose(found.exp().sum(dim=2), torch.ones(()))


@pytest.mark.parametrize("heads", [0, 3])
def test_a_chunk_does_not_depend_on_its_batch(heads):
    torch.manual_seed(0)
    network = SegmentationNetwork(SegmentationNetworkConfig(hidden=12, heads=heads)).eval()
    chunks = torch.randn(4, 200, 64) - 5
    alone = torch.cat([network(chunk[None]) for chunk in chunks])
    assert torch.allclose(network(chunks), alone, atol=1e-5)


def test_level_matters():
    """Without it, a quiet chunk would look like a loud one."""
    torch.manual_seed(0)
    network = SegmentationNetwork(TINY).eval()
    chunk = torch.randn(1, 100, 64) - 5
    assert not torch.allclose(network(chunk), network(chunk - 3), atol=1e-3)


@pytest.mark.parametrize(
    "wrong",
    [{"width": 0}, {"dropout": 1.0}, {"heads": 5}, {"heads": -1}, {"speakers": 1}, {"layers": 0}],
)
def test_shapes_that_cannot_be(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        SegmentationNetworkConfig(**wrong)


def test_weights_come_back(tmp_path):
    torch.manual_seed(0)
    network = SegmentationNetwork(TINY).eval()
    path = save_network(network, tmp_path)
    loaded = load_network(path)
    assert path.stem == f"segmentation-{loaded.fingerprint}"
    assert loaded.network.config == TINY
    assert not loaded.network.training
    chunk = torch.randn(1, 50, 64)
    assert torch.allclose(loaded.network(chunk), network(chunk), atol=0.02)  # float16 on disk


def test_weights_of_another_family_are_refused(tmp_path):
    encoder = ResCNN(ResCNNConfig(channels=(4,), blocks=1, embedding_size=6, n_mels=8))
    ours = save_network(SegmentationNetwork(TINY), tmp_path)
    theirs = save_weights(encoder, FeatureConfig(), tmp_path, name="deepspeaker-x")
    with pytest.raises(CheckpointError, match="rescnn"):
        load_network(theirs)
    with pytest.raises(CheckpointError, match="conv-lstm"):
        load_weights(ours)


def test_frames_are_centred():
    """A click in the middle of hop 7 is loudest in frame 7, and every hop has a frame."""
    wave = torch.zeros(1600)
    wave[7 * 160 + 80] = 1.0
    features = centred(wave, LogMel())
    assert features.shape == (10, 64)
    assert int(features.sum(dim=1).argmax()) == 7


def test_the_most_speaking_are_kept_and_the_others_frames_ignored():
    activity = np.array([[1, 0, 1, 0], [1, 1, 1, 0], [0, 1, 0, 1], [1, 1, 1, 0]], np.bool_)
    kept, ignored = most_speaking(activity, 3)
    assert kept.astype(int).tolist() == [[1, 0, 1], [1, 1, 1], [0, 1, 0], [1, 1, 1]]
    assert ignored.tolist() == [False, False, True, False]
    kept, ignored = most_speaking(activity[:, :0], 3)
    assert kept.shape == (4, 3)
    assert not kept.any()
    assert not ignored.any()


def test_a_fourth_speaker_is_ignored_not_silent():
    class Four:
        def chunk(self, rng):
            activity = np.zeros((100, 4), np.bool_)
            for k in range(4):
                activity[20 * k : 20 * k + 20 - 2 * k, k] = True
            return LabelledChunk(np.zeros(16000, np.float32), activity, np.arange(4))

    config = BatchConfig(chunks=1, chunk_s=1.0, workers=0)
    batch = ChunkBatches(Four(), Powerset(), config=config, seed=0, numbers=1)(0)
    expected = [1] * 10 + [2] * 9 + [0] + [3] * 8 + [0] * 2 + [IGNORED] * 7 + [0] * 13
    assert batch.classes[0].tolist() == expected
    alone = [0] * 10 + [1] * 9 + [-1] + [2] * 8 + [-1] * 2 + [3] * 7 + [-1] * 13
    assert batch.speakers[0].tolist() == alone


def test_batches_depend_on_seed_and_number_alone():
    first = made()
    assert same(first(5), made()(5))
    assert not same(first(5), first(6))
    assert not same(first(5), made(seed=2)(5))


@pytest.mark.parametrize("every", [1, 2])
def test_batches_made_ahead_are_the_same(every):
    with made(2, every=every) as ahead:
        for number in (4, 4 + every, 4 + 2 * every, 9, 9 + every, 25):
            assert same(ahead(number), made()(number)), number
        torch.manual_seed(7)
        expected = torch.rand(1)
        torch.manual_seed(7)
        ahead(0)
        assert torch.equal(torch.rand(1), expected), "the network's random numbers were used"


@pytest.mark.parametrize(
    "wrong",
    [
        {"chunks": 0},
        {"workers": -1},
        {"ahead": 0},
        {"chunk_s": 0.0},
        {"chunk_s": 0.03},
        {"quiet": 1.1},
        {"quiet_db": -1.0},
    ],
)
def test_batches_that_cannot_be(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        BatchConfig(**wrong)


def test_some_chunks_are_quieter():
    def levels(**settings):
        config = BatchConfig(chunks=30, chunk_s=1.0, workers=0, **settings)
        batches = ChunkBatches(Tones(), Powerset(), config=config, seed=0, numbers=1)
        return batches(0).features.float().mean(dim=(1, 2))

    plain, all_quieter = levels(quiet=0.0), levels(quiet=1.0, quiet_db=30.0)
    some = levels(quiet=0.5, quiet_db=30.0)
    assert plain.min() > -7
    assert all_quieter.mean() < plain.mean() - 1.5
    assert all_quieter.mean() < some.mean() < plain.mean()


def test_accuracy_counts_the_best_order():
    class Says(torch.nn.Module):
        def forward(self, features, *, with_states):
            chosen = torch.tensor([2, 2, 0, 4])
            classes = torch.nn.functional.one_hot(chosen, 7)[None].float().mul(20).log_softmax(2)
            return classes, torch.zeros(1, 1, 24)

    classes = torch.tensor([[1, 1, 1, IGNORED]])
    batch = Batch(torch.zeros(1, 8, 64), classes, torch.full((1, 4), IGNORED))
    loss, measured = PowersetObjective(Powerset())(Says(), batch)
    assert measured["accuracy"] == pytest.approx(2 / 3)
    assert float(loss) == pytest.approx(20 / 3, abs=0.01)


PLAN = SegmentationTrainConfig(
    model=TINY,
    batch=BatchConfig(chunks=4, chunk_s=1.0, workers=1, quiet=0.0),
    fit=FitConfig(
        steps=60, learning_rate=1e-2, warmup_steps=5, validate_every=30, average_decay=0.9
    ),
    threads=1,
)


def reference(count=6):
    """Chunks for validation, made by the same hand as those for training."""
    chunks = []
    for i in range(count):
        wave, activity, _ = Tones().chunk(np.random.default_rng([99, i]))
        features = centred(torch.from_numpy(wave), LogMel())
        chunks.append(ReferenceChunk(features, activity[::2], np.ones(50, np.bool_)))
    return chunks


def test_a_run_learns_and_leaves_weights(tmp_path):
    report = Bars()
    path = train_segmentation(PLAN, Tones(), reference(), tmp_path, report=report)
    assert np.mean(report.losses[-10:]) < 0.6 * np.mean(report.losses[:10])
    error = validate(load_network(path).network, reference(), Powerset())
    assert error["validation_error"] < 0.5
    assert json.loads((tmp_path / "config.json").read_text())["model"]["width"] == 16
    assert (tmp_path / "segmentation" / "metrics.jsonl").exists()
    kept = checkpoint_network(PLAN, tmp_path)
    chunk = reference()[0].features[None]
    assert torch.allclose(kept(chunk), load_network(path).network(chunk), atol=0.05)


def test_voices_are_learnt_along(tmp_path):
    from dataclasses import replace

    seen = []

    class Voices(Bars):
        def bar(self, title, total):
            from contextlib import nullcontext

            return nullcontext(lambda step, measured: seen.append(measured.get("speaker_accuracy")))

    plan = replace(PLAN, speaker_loss=SpeakerLossConfig(weight=0.5))
    vectors = torch.eye(4)[:2]
    path = train_segmentation(plan, Tones(), [], tmp_path, vectors=vectors, report=Voices())
    known = [value for value in seen[-20:] if value is not None]
    assert np.mean(known) > 0.9
    assert load_network(path).network(torch.zeros(1, 8, 64)).shape == (1, 4, 7)


def test_a_stopped_run_goes_on_with_the_same_losses(tmp_path):
    from dataclasses import replace

    fit = replace(PLAN.fit, steps=12, checkpoint_every_s=0.0)
    plan = replace(PLAN, fit=fit, model=replace(TINY, layers=2, dropout=0.2))
    whole, stopped = Bars(), Bars()
    train_segmentation(plan, Tones(), [], tmp_path / "whole", report=whole)

    class Stops(Bars):
        def bar(self, title, total):
            from contextlib import nullcontext

            def moved(step, measured):
                self.losses.append(measured["loss"])
                if step == 7:
                    raise KeyboardInterrupt

            return nullcontext(moved)

    first = Stops()
    with pytest.raises(KeyboardInterrupt):
        train_segmentation(plan, Tones(), [], tmp_path / "stopped", report=first)
    train_segmentation(plan, Tones(), [], tmp_path / "stopped", report=stopped)
    assert first.losses[:6] + stopped.losses == whole.losses


def test_going_on_from_weights(tmp_path):
    from dataclasses import replace

    path = save_network(SegmentationNetwork(TINY), tmp_path)
    plan = SegmentationTrainConfig(init=str(path))
    assert start_network(plan).config == TINY
    assert start_network(plan).training
    with pytest.raises(ConfigError, match="init"):
        start_network(replace(plan, model=TINY))
    with pytest.raises(CheckpointError, match="first validation"):
        checkpoint_network(PLAN, tmp_path)


def test_local_error_by_hand():
    """Two are missed, one in overlap; one is invented; one is given to another."""
    reference = np.array(
        [[1, 0], [1, 0], [1, 1], [0, 1], [0, 1], [0, 0], [0, 0], [1, 0], [0, 1]], np.bool_
    )
    found = np.array(
        [[0, 1], [0, 1], [0, 1], [1, 0], [1, 0], [1, 0], [0, 0], [0, 0], [0, 1]], np.bool_
    )
    assert local_error(found, reference) == LocalError(8, 2, 1, 1)
    assert LocalError(8, 2, 1, 1).rate == pytest.approx(4 / 8)


def test_local_error_of_other_numbers_of_speakers():
    reference = np.ones((10, 4), np.bool_)
    assert local_error(np.zeros((10, 3), np.bool_), reference) == LocalError(40, 40, 0, 0)
    assert local_error(reference[:, :3], reference[:, :0]) == LocalError(0, 0, 30, 0)
    assert local_error(reference[:, :3], reference[:, :1]) == LocalError(10, 0, 20, 0)


def test_chunks_of_a_conversation():
    wave = torch.randn(round(25.5 * 16000), generator=torch.Generator().manual_seed(0))
    turns = [Turn(0.0, 11.0, "a"), Turn(10.5, 25.0, "b")]
    chunks = cut_chunks(wave, turns, uem=[(0.0, 5.0), (24.0, 25.5)])
    assert [len(chunk.features) for chunk in chunks] == [1000, 1000, 550]
    assert [int(chunk.scored.sum()) for chunk in chunks] == [250, 0, 75]
    assert [chunk.activity.sum(axis=0).tolist() for chunk in chunks] == [
        [500, 0],
        [50, 475],
        [0, 250],
    ]
    quiet = cut_chunks(wave * 0.01, turns)
    assert torch.allclose(quiet[0].features, chunks[0].features, atol=1e-3)  # one level
    assert len(cut_chunks(wave[: 20 * 16000 + 8000], turns)) == 2  # half a second is left out


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda p: p.stem)
def test_every_config_is_a_plan_for_a_small_network(path):
    plan = from_mapping(SegmentationTrainConfig, read_toml(path))
    network = SegmentationNetwork(plan.model)
    assert sum(p.numel() for p in network.parameters()) <= 1_500_000
    assert plan.fit.best_by == "validation_error" and plan.fit.steps % plan.fit.validate_every == 0
