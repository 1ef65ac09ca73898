"""Each change does to the power what its docstring promises, and no change does nothing."""

import math

import pytest
import torch

from encoder.augment import AugmentConfig, augment

OFF = {name: 0.0 for name in ("noise", "babble", "reverb", "channel", "telephone", "mask")}
M = 64


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def speech(B=6, F=100, seed=0):
    """Log-mel crops with the range of real ones."""
    return torch.randn(B, F, M, generator=generator(seed)) * 2 - 3


def change(x, behind=None, seed=0, **settings):
    behind = speech(len(x), x.shape[1], seed=9) if behind is None else behind
    return augment(x, behind, AugmentConfig(**{**OFF, **settings}), generator=generator(seed))


def mel(hertz):
    return 2595 * math.log10(1 + hertz / 700)


def centre_hertz(band):
    at = mel(20) + (band + 1) * (mel(7600) - mel(20)) / (M + 1)
    return 700 * (10 ** (at / 2595) - 1)


def test_nothing_chosen_changes_nothing_but_the_floor():
    x = speech()
    torch.testing.assert_close(change(x), torch.log(x.exp() + 1e-6), atol=1e-5, rtol=0)
    loud = x.clamp_min(-3)
    torch.testing.assert_close(change(loud), loud, atol=1e-4, rtol=0)


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
    everything = AugmentConfig(**dict.fromkeys(OFF, 1.0))
    x = torch.full((B, F, M), level)
    out = augment(x, torch.full_like(x, behind), everything, generator=generator())
    assert out.shape == x.shape
    assert out.isfinite().all()
