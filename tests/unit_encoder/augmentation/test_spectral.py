"""Each change does to the power what its docstring promises, and no change does nothing."""

import math

import pytest
import torch

from encoder.augmentation.spectral import AugmentConfig, augment

OFF = {name: 0.0 for name in ("noise", "babble", "reverb", "channel", "telephone", "mask")}
M = 64


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def speech(B=6, F=100, seed=0):
    """Log-mel crops with the range of real ones."""
    return torch.randn(B, F, M, generator=generator(seed)) * 2 - 3


def change(x, behind=None, seed=0, speakers=None, silent=False, rooms=None, **settings):
    behind = speech(len(x), x.shape[1], seed=9) if behind is None else behind
    config = AugmentConfig(**{**OFF, **settings})
    return augment(
        x,
        None if silent else behind,
        config,
        generator=generator(seed),
        speakers=speakers,
        rooms=rooms,
    )


def mel(hertz):
    return 2595 * math.log10(1 + hertz / 700)


def centre_hertz(band):
    at = mel(20) + (band + 1) * (mel(7600) - mel(20)) / (M + 1)
    return 700 * (10 ** (at / 2595) - 1)


def test_nothing_chosen_changes_nothing():
    x = torch.log(speech().sub(8).exp() + 1e-6)  # as in a bank: the floor is in it
    assert x.min() < -13
    torch.testing.assert_close(change(x), x, atol=1e-5, rtol=0)


def test_without_noise_everything_else_happens():
    x = speech().clamp_min(-5)
    plain = change(x, silent=True, noise=1.0)
    torch.testing.assert_close(plain, x, atol=1e-4, rtol=0)
    for name in ("babble", "reverb", "channel", "telephone", "mask"):
        assert not torch.allclose(change(x, silent=True, **{name: 1.0}), x, atol=0.01), name


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 10.0, 20.0])
def test_noise_comes_at_the_snr_asked_for(snr_db):
    x, noise = speech(), speech(seed=1)
    mixed = change(x, noise, noise=1.0, noise_snr_db=(snr_db, snr_db)).exp().double()
    added = mixed - x.exp().double()
    measured = 10 * torch.log10(x.exp().mean(dim=(1, 2)) / added.mean(dim=(1, 2)))
    torch.testing.assert_close(
        measured, torch.full((6,), snr_db).double(), atol=0.02, rtol=0
    )  # fmt: skip
    pair = torch.stack([added[0].flatten(), noise[0].exp().double().flatten()])
    assert torch.corrcoef(pair)[0, 1] > 0.999  # the shape is the noise's own


@pytest.mark.parametrize("snr_db", [8.0, 20.0])
def test_babble_is_the_two_rows_before_at_the_snr_asked_for(snr_db):
    x = speech()
    added = change(x, babble=1.0, babble_snr_db=(snr_db, snr_db)).exp() - x.exp()
    measured = 10 * torch.log10(x.exp().mean(dim=(1, 2)) / added.mean(dim=(1, 2)))
    torch.testing.assert_close(measured, torch.full((6,), snr_db), atol=0.05, rtol=0)
    voices = x[2].exp() + x[1].exp()  # behind row 3
    assert torch.corrcoef(torch.stack([added[3].flatten(), voices.flatten()]))[0, 1] > 0.999


@pytest.mark.parametrize(
    ("speakers", "behind"),
    [
        ([0], [[]]),
        ([0, 0, 0], [[], [], []]),
        ([0, 1, 0, 1], [[3], [0], [1], [2]]),
        ([5, 7, 9, 5, 7, 9], [[5, 4], [0, 5], [1, 0], [2, 1], [3, 2], [4, 3]]),
        (None, [[5, 4], [0, 5], [1, 0], [2, 1], [3, 2], [4, 3]]),
        ([0, 1], [[1], [0]]),
    ],
)
def test_nobody_is_heard_behind_themselves(speakers, behind):
    B = len(behind)
    x = speech(B=B)
    labels = None if speakers is None else torch.tensor(speakers)
    out = change(x, speakers=labels, babble=1.0, babble_snr_db=(10.0, 10.0))
    for row, others in enumerate(behind):
        added = out[row].exp() - x[row].exp()
        if not others:
            assert added.abs().max() < 1e-4 * x[row].exp().max()
            continue
        voices = sum(x[other].exp() for other in others)
        pair = torch.stack([added.flatten(), voices.flatten()])
        assert torch.corrcoef(pair)[0, 1] > 0.999
        measured = 10 * torch.log10(x[row].exp().mean() / added.mean())
        assert measured == pytest.approx(10, abs=0.05)


def test_snr_range_is_kept_and_used():
    x, noise = speech(B=200, F=10), speech(B=200, F=10, seed=1)
    added = change(x, noise, noise=0.5, noise_snr_db=(0.0, 20.0)).exp() - x.exp()
    hit = added.mean(dim=(1, 2)) > 1e-4
    assert 70 < hit.sum() < 130
    measured = 10 * torch.log10((x.exp().mean(dim=(1, 2)) / added.mean(dim=(1, 2)))[hit])
    assert -0.1 < measured.min() < 3
    assert 17 < measured.max() < 20.1


@pytest.mark.parametrize("t60_s", [0.15, 0.3, 0.9])
def test_a_reverb_tail_falls_by_60_db_in_t60(t60_s):
    power = torch.full((4, 80, M), 1e-12)
    power[:, 10] = 1e4
    out = change(power.log(), reverb=1.0, t60_s=(t60_s, t60_s)).exp()
    assert out[:, :10].max() < 0.01  # nothing before the sound
    tail_db = 10 * torch.log10(out[:, 11:21, 0])
    per_second = (tail_db[:, -1] - tail_db[:, 0]) / 0.09
    torch.testing.assert_close(per_second, torch.full((4,), -60 / t60_s), rtol=0.02, atol=0)
    late_db = 10 * torch.log10((out.sum(dim=1)[:, 0] - 1e4) / 1e4)
    assert ((late_db > -12.1) & (late_db < 3.1)).all()
    assert late_db.std() > 0.1


def test_channel_is_one_curve_over_bands_for_all_frames():
    x = speech().clamp_min(-5)
    curve_db = (change(x, channel=1.0, channel_db=8.0) - x) * 10 / math.log(10)
    assert curve_db.std(dim=1).max() < 0.05  # the same for all frames
    assert curve_db.abs().max() <= 8 * (1 + 1 / 2 + 1 / 3 + 1 / 4)
    assert curve_db.mean(dim=1).abs().max(dim=1).values.min() > 0.5
    assert curve_db.mean(dim=1).diff(dim=1).abs().max() < 2  # smooth from band to band


def test_telephone_keeps_its_band_and_empties_the_rest():
    x = speech().clamp_min(-5)
    out = change(x, telephone=1.0)
    for band in range(M):
        hertz = centre_hertz(band)
        if hertz < 270 or hertz > 3700:
            floor = x.amin(dim=(1, 2))[:, None].expand(-1, x.shape[1])
            torch.testing.assert_close(out[:, :, band], floor, atol=1e-3, rtol=0)
        elif 330 < hertz < 3200:
            torch.testing.assert_close(out[:, :, band], x[:, :, band], atol=1e-3, rtol=0)


def test_masks_are_one_stretch_of_time_and_one_of_bands():
    x = speech(B=50).clamp_min(-5)
    out = change(x, mask=1.0)
    changed = (out - x).abs() > 1e-3
    rows, bands = changed.float().mean(dim=2) > 0.9, changed.float().mean(dim=1) > 0.9
    for stretch, widest in ((rows, 100 // 8), (bands, M // 8)):
        starts = stretch.float().diff(dim=1, prepend=torch.zeros(50, 1)).clamp_min(0).sum(dim=1)
        assert starts.max() == 1
        assert 1 <= stretch.sum(dim=1).max() <= widest
    inside = rows[:, :, None] | bands[:, None, :]
    assert torch.equal(changed & ~inside, torch.zeros_like(changed))
    mean = x.mean(dim=(1, 2), keepdim=True).expand_as(x)
    torch.testing.assert_close(out[inside], mean[inside], atol=1e-3, rtol=0)


def test_the_generator_decides_everything():
    x, noise, config = speech(), speech(seed=1), AugmentConfig()
    torch.manual_seed(1)
    first = augment(x, noise, config, generator=generator(5))
    torch.manual_seed(2)
    assert torch.equal(first, augment(x, noise, config, generator=generator(5)))
    assert not torch.equal(first, augment(x, noise, config, generator=generator(6)))


@pytest.mark.parametrize("B", [1, 2, 5])
@pytest.mark.parametrize("F", [1, 7, 160])
@pytest.mark.parametrize(("level", "behind"), [(-14.0, -14.0), (-14.0, 8.0), (8.0, -14.0)])
def test_always_finite_even_in_silence(B, F, level, behind):
    everything = AugmentConfig(**dict.fromkeys(OFF, 1.0), measured_room=0.5, level=0.5)
    x = torch.full((B, F, M), level)
    noise, rooms = torch.full_like(x, behind), torch.rand(2, 9, M, generator=generator())
    out = augment(x, noise, everything, generator=generator(), rooms=rooms)
    assert out.shape == x.shape
    assert out.isfinite().all()


def by_hand(power, kernel):
    """y[f] = sum over lags of kernel[lag] x[f - lag], band by band."""
    F, _ = power.shape
    out = torch.zeros_like(power)
    for f in range(F):
        for lag in range(min(f + 1, len(kernel))):
            out[f] += kernel[lag] * power[f - lag]
    return out


@pytest.mark.parametrize(("F", "L"), [(30, 7), (5, 40), (1, 1)])
def test_a_measured_room_is_a_convolution_over_frames_in_each_band(F, L):
    x = speech(B=3, F=F).clamp_min(-5)
    room = torch.rand(1, L, M, generator=generator(3)) * 0.3
    out = change(x, rooms=room, measured_room=1.0)
    for row, heard in zip(x, out, strict=True):
        expected = by_hand((row.exp() - 1e-6).double(), room[0].double()) + 1e-6
        torch.testing.assert_close(heard.double(), expected.log(), atol=1e-4, rtol=0)


def test_silence_before_a_loud_sound_stays_silent_in_a_room():
    x = torch.full((1, 60, M), math.log(1e-6))
    x[:, 40] = 9.0
    out = change(x, rooms=torch.ones(1, 20, M), measured_room=1.0)
    torch.testing.assert_close(out[:, :40], x[:, :40], atol=1e-3, rtol=0)
    assert out[:, 41:59].min() > 8.9


def test_rooms_are_drawn_as_often_as_asked_and_take_the_place_of_the_synthetic_tail():
    x = speech(B=300, F=8).clamp_min(-5)
    gains = torch.tensor([2.0, 4.0, 8.0])
    rooms = gains[:, None, None].expand(3, 1, M)  # one lag: a gain tells which room it was
    out = change(x, rooms=rooms, measured_room=0.4, reverb=1.0)
    gain = (out - x).exp()
    in_room = [((gain / g - 1).abs() < 0.01).flatten(1).all(dim=1) for g in gains]
    counts = [int(chosen.sum()) for chosen in in_room]
    assert all(20 < count < 62 for count in counts)
    assert 90 < sum(counts) < 150
    others = ~torch.stack(in_room).any(dim=0)
    assert (gain[others] > 1 + 1e-4).all()  # these have the synthetic tail


def test_no_rooms_or_none_asked_for():
    x, room = speech(), torch.ones(1, 5, M)
    plain = change(x)
    assert torch.equal(change(x, rooms=room), plain)
    assert torch.equal(change(x, measured_room=1.0), plain)
    assert torch.equal(change(x, rooms=room[:0], measured_room=1.0), plain)


@pytest.mark.parametrize("level_db", [-30.0, -3.0, 6.0])
def test_level_moves_the_sound_and_not_the_floor(level_db):
    x = speech().clamp_min(-5)
    x[:, 50:] = math.log(1e-6)
    out = change(x, level=1.0, level_db=(level_db, level_db))
    torch.testing.assert_close(out[:, 50:], x[:, 50:], atol=1e-4, rtol=0)
    expected = 10 ** (level_db / 10) * (x[:, :50].exp().double() - 1e-6) + 1e-6
    torch.testing.assert_close(out[:, :50].double(), expected.log(), atol=1e-3, rtol=0)


def test_level_is_drawn():
    x = speech(B=200, F=4).clamp_min(-2)
    moved = (change(x, level=0.5, level_db=(-20.0, 0.0)) - x).mean(dim=(1, 2)) * 10 / math.log(10)
    hit = moved.abs() > 1e-3
    assert 70 < hit.sum() < 130
    assert -20 <= moved[hit].min() < -18
    assert -2 < moved[hit].max() <= 0
