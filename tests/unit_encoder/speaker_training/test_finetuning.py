"""Holding utterances back, and fine-tuning from end to end on made-up voices."""

import contextlib
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from encoder.augmentation.spectral import AugmentConfig
from encoder.data.batch_sampler import SamplerConfig
from encoder.data.manifest import Utterance
from encoder.errors import CorpusError
from encoder.features.log_mel import FeatureConfig
from encoder.hub.weights_file import load_weights, save_weights
from encoder.models.rescnn import ResCNN, ResCNNConfig
from encoder.speaker_training.config import SoftmaxPhase, TrainConfig, TripletPhase
from encoder.speaker_training.finetuning import Candidate, best_of, finetune, hold_back
from encoder.training.loop import FitConfig


def utterance(speaker, number, session=None):
    name = f"{speaker}/{number}.wav"
    return Utterance(Path(name), speaker, "mine", "train", session or name, 2.0, name)


class Quiet:
    """A Reporter that keeps the sentences."""

    def __init__(self):
        self.said = []

    def say(self, sentence):
        self.said.append(sentence)

    warn = say

    def bar(self, title, total):
        return contextlib.nullcontext(lambda done, measured: None)


def test_a_quarter_and_at_least_two_are_held_back():
    some = [utterance("a", n) for n in range(16)] + [utterance("b", n) for n in range(5)]
    kept, aside = hold_back([*some, utterance("c", 0), utterance("c", 1)])
    held = [u.speaker for u in aside]
    assert (held.count("a"), held.count("b"), held.count("c")) == (4, 2, 0)
    assert len(kept) + len(aside) == 23 and not {u.name for u in kept} & {u.name for u in aside}


def test_what_is_held_back_does_not_depend_on_order():
    some = [utterance(s, n) for s in "ab" for n in range(8)]
    assert {u.name for u in hold_back(some)[1]} == {u.name for u in hold_back(some[::-1])[1]}


def test_whole_takes_go_together():
    some = [utterance(s, n, session=f"{s}{n // 3}") for s in "ab" for n in range(12)]
    _, aside = hold_back(some)
    for speaker in "ab":
        assert len({u.session for u in aside if u.speaker == speaker}) == 1


def test_one_speaker_with_enough_is_too_few():
    with pytest.raises(CorpusError, match="1 of 2 speakers"):
        hold_back([*(utterance("a", n) for n in range(9)), utterance("b", 0)])


def plan_for(init, steps):
    sampler = SamplerConfig(speakers=3, utterances=2, crop_frames=(60,))
    fit = FitConfig(steps=steps, learning_rate=1e-3, warmup_steps=1, validate_every=100)
    still = AugmentConfig(noise=0.0, babble=0.0, reverb=0.0, channel=0.0, telephone=0.0, mask=0.0)
    return TrainConfig(
        init=str(init),
        threads=1,
        augmentation=still,
        softmax=SoftmaxPhase(teacher_weight=1.0, sampler=sampler, fit=fit),
        triplet=TripletPhase(teacher_weight=1.0, sampler=sampler, fit=fit),
    )


@pytest.fixture(scope="module")
def voices(tmp_path_factory):
    """Three 'speakers' of six utterances: buzzes of their own pitch."""
    folder = tmp_path_factory.mktemp("mine")
    rng = np.random.default_rng(1)
    t = np.arange(16_000) / 16_000
    for number, name in enumerate(("anna", "ben", "cleo")):
        (folder / name).mkdir()
        for n in range(6):
            pitch = 90 + 25 * number + rng.normal() * 3
            wave = np.sign(np.sin(2 * np.pi * pitch * t)) * 0.1 + rng.normal(size=16_000) * 0.02
            soundfile.write(folder / name / f"{n}.wav", wave, 16_000)
    return folder


def test_finetuning_compares_three_and_keeps_the_best(voices, tmp_path):
    torch.manual_seed(0)
    model = ResCNN(ResCNNConfig(channels=(4, 8), blocks=1, embedding_size=8))
    init = save_weights(model, FeatureConfig(), tmp_path, name="start")
    done = finetune(
        plan_for(init, 12),
        voices,
        tmp_path / "run",
        general=None,
        cache=tmp_path / "banks",
        name="deepspeaker-mine",
        report=Quiet(),
    )
    assert [c.name for c in done.candidates] == ["before", "halfway", "after"]
    assert all(0 <= rate <= 1 for c in done.candidates for rate in c.own.values())
    assert all(c.general == {} for c in done.candidates)
    assert sum(done.kept.own.values()) == min(sum(c.own.values()) for c in done.candidates)
    assert (done.weights is None) == (done.kept.name == "before")
    written = list((tmp_path / "run").glob("deepspeaker-mine-*"))
    assert written == ([] if done.weights is None else [done.weights])
    assert all(load_weights(path).model.config.channels == (4, 8) for path in written)


def test_the_best_on_the_own_voices_is_kept_and_a_tie_changes_nothing():
    def candidate(name, short, long):
        return Candidate(name, {"1.6 s": short, "3 s": long}, {"1.6 s": 0.0, "3 s": 0.0})

    before, halfway, after = (candidate(n, 0.2, 0.1) for n in ("before", "halfway", "after"))
    assert best_of([before, halfway, after]) is before
    better = candidate("after", 0.05, 0.2)
    assert best_of([before, halfway, better]) is better
