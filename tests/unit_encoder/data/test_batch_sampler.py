"""Batches are a function of seed and step, and hold what they say.

Item i of the bank below is a ramp in band i and constant elsewhere, so that a normalised crop
still tells which item it came from: only band i varies.
"""

import numpy as np
import pytest
import torch

from encoder.augmentation.spectral import AugmentConfig
from encoder.data.batch_sampler import CropBatches, SamplerConfig
from encoder.data.feature_bank import FeatureBank, Item
from encoder.errors import CorpusError

# speaker, session, frames, speed
ROWS = [
    ("ann", "a1", 90, 1.0), ("ann", "a2", 90, 1.0), ("ann", "a2", 70, 1.0),
    ("bob", "b1", 80, 1.0), ("bob", "b1", 200, 1.0),
    ("cat", "c1", 65, 1.0), ("cat", "c2", 85, 1.0), ("cat", "c3", 75, 1.0),
    ("dan", "d1", 59, 1.0),  # too short
    ("eve", "e1", 100, 1.1), ("eve", "e2", 100, 1.0),  # one of them at another speed
]  # fmt: skip
BANDS = len(ROWS)


def bank_of(rows):
    starts = np.cumsum([0, *(frames for _, _, frames, _ in rows)])
    features = np.zeros((starts[-1], BANDS), np.float16)
    items = []
    for i, (speaker, session, frames, speed) in enumerate(rows):
        features[starts[i] : starts[i + 1], i] = np.arange(frames) / 8
        items.append(Item(int(starts[i]), frames, speaker, "d", session, speed, f"name{i}"))
    return FeatureBank(features, items)


QUIET = AugmentConfig(noise=0, babble=0, reverb=0, channel=0, telephone=0, mask=0)


def batches(seed=1, noise=None, teacher=None, augmentation=QUIET, bank=None, rooms=None, **sampler):
    defaults = {"speakers": 3, "utterances": 2, "crop_frames": (64,), "speeds": (1.0,)}
    config = SamplerConfig(**{**defaults, **sampler})
    return CropBatches(
        bank or bank_of(ROWS),
        noise,
        sampler=config,
        augmentation=augmentation,
        seed=seed,
        teacher=teacher,
        rooms=rooms,
    )


def items_of(batch):
    return batch.features.square().mean(dim=1).argmax(dim=1).tolist()


def equal(one, other):
    return all(
        torch.equal(getattr(one, name), getattr(other, name))
        for name in ("features", "speakers", "sessions")
    )


@pytest.mark.parametrize("noise", [None, bank_of(ROWS[:2])], ids=["plain", "augmented"])
def test_a_batch_depends_on_seed_and_step_alone(noise):
    straight = batches(noise=noise, augmentation=AugmentConfig())
    run = [straight(step) for step in range(4)]
    torch.manual_seed(99)  # the global generator must not matter
    fresh = batches(noise=noise, augmentation=AugmentConfig())
    assert all(equal(fresh(step), run[step]) for step in (3, 1, 0, 2, 3))
    assert not equal(run[0], run[1])
    assert not equal(batches(seed=2, noise=noise, augmentation=AugmentConfig())(0), run[0])


def test_speakers_labels_and_takes():
    source = batches()
    assert source.speakers == ["ann", "bob", "cat", "eve"]
    session_names = {}
    for step in range(50):
        batch = source(step)
        assert batch.features.shape == (6, 64, BANDS)
        assert len(set(batch.speakers.tolist())) == 3
        assert all((batch.speakers == k).sum() in (0, 2) for k in range(4))
        for item, k, session in zip(
            items_of(batch), batch.speakers.tolist(), batch.sessions.tolist(), strict=True
        ):
            assert ROWS[item][0] == source.speakers[k]
            assert session_names.setdefault(session, ROWS[item][1]) == ROWS[item][1]
    assert len(set(session_names.values())) == len(session_names) == 7


def test_every_usable_item_is_drawn_and_no_other():
    source = batches()
    drawn = {i for step in range(100) for i in items_of(source(step))}
    assert drawn == {0, 1, 2, 3, 4, 5, 6, 7, 10}


def test_different_takes_come_first():
    source = batches(speakers=4, utterances=3)
    for step in range(30):
        batch = source(step)
        for k, sessions in enumerate((2, 1, 3, 1)):
            assert len(set(batch.sessions[batch.speakers == k].tolist())) == sessions


def test_neighbours_are_other_speakers():
    for step in range(20):
        speakers = batches()(step).speakers
        assert (speakers != speakers.roll(1)).all()
        assert (speakers != speakers.roll(2)).all()


def test_more_speakers_than_there_are():
    assert batches(speakers=50)(0).features.shape[0] == 4 * 2


def test_crops_are_contiguous_anywhere_in_the_item_and_short_items_repeat():
    source = batches(crop_frames=(62, 95))
    lengths = set()
    for step in range(40):
        batch = source(step)
        F = batch.features.shape[1]
        lengths.add(F)
        for row, item in zip(batch.features, items_of(batch), strict=True):
            rises = row[:, item].diff()
            falls = (rises < 0).sum()
            assert falls == (-(-F // ROWS[item][2]) - 1)  # as often as it starts again
            assert torch.allclose(rises[rises > 0], rises.max(), rtol=0.05)
    assert lengths == {62, 95}


def test_crops_start_everywhere():
    source = batches()
    long_item = 4  # 200 frames: its crops start at 0 ... 136, where the ramp is at 0 ... 17
    offsets = {
        source._crop(source.bank, long_item, 64, np.random.default_rng(s))[0, long_item].item()
        for s in range(400)
    }
    assert min(offsets) < 0.5
    assert 16.5 < max(offsets) <= 17


def test_features_are_normalised():
    features = batches()(0).features
    assert features.mean(dim=1).abs().max() < 1e-4
    torch.testing.assert_close(features.square().mean(dim=(1, 2)), torch.ones(6), atol=0.05, rtol=0)


@pytest.mark.parametrize("rows", [[], ROWS[:3], ROWS[8:]], ids=["none", "one", "one-usable"])
def test_one_speaker_is_not_enough(rows):
    config = SamplerConfig(speeds=(1.0,))
    with pytest.raises(CorpusError, match=r"at least 2 speakers, the corpus has [01]"):
        CropBatches(bank_of([*rows, ("x", "x", 10, 1.0)]), None, sampler=config,
                    augmentation=AugmentConfig(), seed=0)  # fmt: skip


def test_the_teachers_vector_is_that_of_the_row():
    vectors = {f"name{i}": torch.eye(BANDS)[i] for i in range(BANDS)}
    batch = batches(teacher=vectors)(0)
    assert batch.teacher.argmax(dim=1).tolist() == items_of(batch)
    assert batches()(0).teacher is None


def test_without_noise_the_rest_of_the_augmentation_happens():
    masked = batches(augmentation=AugmentConfig(mask=1.0, channel=1.0))(0)
    assert not torch.allclose(masked.features, batches()(0).features, atol=0.1)


def with_calls(rows, calls):
    """The bank and, behind each utterance in `calls`, a copy of it with the ramp in band 0 too."""
    bank = bank_of(rows)
    parts, items, start = [], [], 0
    for i, item in enumerate(bank.items):
        frames = np.array(bank.features[item.start : item.start + item.frames])
        copies = [(frames, "")]
        if i in calls:
            copies.append((np.roll(frames, 1, axis=1), "telephone:mulaw"))
        for features, channel in copies:
            parts.append(features)
            items.append(item._replace(start=start, channel=channel))
            start += len(features)
    return FeatureBank(np.concatenate(parts), items)


def test_telephone_copies_stand_for_their_utterance_as_often_as_asked():
    """The copy of item i is a ramp in band i + 1; here only even items have one."""
    bank = with_calls(ROWS, {0, 2, 6})
    vectors = {f"name{i}": torch.eye(BANDS)[i] for i in range(BANDS)}
    source = batches(bank=bank, telephone=0.3, teacher=vectors)
    heard = {0: [], 1: []}
    for step in range(300):
        batch = source(step)
        named = batch.teacher.argmax(dim=1).tolist()
        for band, item, k in zip(items_of(batch), named, batch.speakers.tolist(), strict=True):
            assert source.speakers[k] == ROWS[item][0]
            assert band - item in ((0, 1) if item in (0, 2, 6) else (0,))
            if item in (0, 2, 6):
                heard[band - item].append(item)
    share = len(heard[1]) / (len(heard[0]) + len(heard[1]))
    assert abs(share - 0.3) < 0.08
    assert set(heard[1]) == {0, 2, 6}


def test_copies_change_nothing_where_they_are_not_asked_for():
    bank = with_calls(ROWS, {0, 2, 6})
    for step in range(20):
        assert equal(batches(bank=bank)(step), batches()(step))
        assert equal(batches(telephone=0.5)(step), batches()(step))  # none in this bank


def test_rooms_reach_the_augmentation():
    config = AugmentConfig(**{**vars(QUIET), "measured_room": 1.0})
    echo = torch.zeros(1, 30, BANDS)
    echo[0, [0, 29]] = 1.0  # a copy 0.29 s later
    heard = batches(augmentation=config, rooms=echo)(0)
    assert not torch.allclose(heard.features, batches()(0).features, atol=0.1)
    assert equal(batches(augmentation=config)(0), batches()(0))


def test_chosen_speakers_come_first_and_the_rest_is_filled_up():
    some = batches(speakers=3)
    everyone = len(some.speakers)
    for step in range(20):
        chosen = [step % everyone, (step + 2) % everyone]
        speakers = some.choose(step, speakers=torch.tensor(chosen)).speakers.tolist()
        assert speakers[:2] == chosen and len(set(speakers)) == 3
    assert equal(some.choose(7, speakers=()), some(7))  # nothing chosen is what it always was
    assert len(set(some.choose(0, speakers=range(everyone)).speakers.tolist())) == 3
