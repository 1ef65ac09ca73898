"""A kernel over frames stands for the convolution of the wave, as near as stated here.

Errors are mean absolute differences in dB of log-mel cells, after each band's mean is taken away
(as the network's input has it) and without the first 0.2 s.
"""

import math
from pathlib import Path

import numpy as np
import pytest
import scipy.signal
import soundfile
import torch

from encoder.audio.load import load_audio
from encoder.augmentation.room_kernels import ROOM_FRAMES, measured_rooms, room_kernel
from encoder.augmentation.spectral import AugmentConfig, augment
from encoder.data.manifest import Utterance
from encoder.data.noise_corpus import read_acoustics
from encoder.features.log_mel import LogMel

CORPUS = Path(__file__).parents[4] / "shared/corpus"
DB = 10 / math.log(10)
HOP = 160
ROOM_ALONE = AugmentConfig(
    noise=0, babble=0, reverb=0, channel=0, telephone=0, mask=0, measured_room=1.0
)


def generator(seed):
    return torch.Generator().manual_seed(seed)


def speech_like(seed=0, seconds=4.0):
    """(T,) noise with syllables and pauses, and formants that change from syllable to syllable."""
    T = round(seconds * 16_000)
    at = torch.arange(T) / 16_000
    noise = torch.randn(T, generator=generator(seed))
    hertz = torch.fft.rfftfreq(T, 1 / 16_000)
    wave = torch.zeros(T)
    for k, formant in enumerate((400.0, 900.0, 1800.0, 3200.0)):
        shape = 1 / (1 + ((hertz - formant) / 150) ** 2)
        band = torch.fft.irfft(torch.fft.rfft(noise) * shape, n=T)
        wave += band * torch.sin(math.pi * (1.5 + 0.5 * k) * at + k + seed).clamp_min(0.01) ** 2
    return 0.1 * wave / wave.square().mean().sqrt()


def response(t60_s, late_db, seed=1, lead_s=0.013):
    """(T,) the direct sound after `lead_s`, then noise that falls by 60 dB in T60."""
    T = round(1.2 * t60_s * 16_000)
    at = torch.arange(T) / 16_000
    tail = torch.randn(T, generator=generator(seed)) * torch.exp(-math.log(1e3) * at / t60_s)
    tail[:48] = 0  # the first reflection comes after 3 ms
    tail *= 10 ** (late_db / 20) / tail.square().sum().sqrt()
    tail[0] = 1.0
    return torch.cat([torch.zeros(round(lead_s * 16_000)), 0.5 * tail])


def in_room(wave, impulse):
    """(T,) the wave in the room, as loud as the kernel makes it, the direct sound not delayed."""
    size = len(wave) + len(impulse)
    wet = torch.fft.irfft(torch.fft.rfft(wave, n=size) * torch.fft.rfft(impulse, n=size), n=size)
    peak = int(impulse.abs().argmax())
    return wet[peak : peak + len(wave)]


def errors_db(wave, impulse):
    """(of the kernel, of doing nothing)"""
    mel = LogMel()
    dry, wet = mel(wave), in_room(wave, impulse)
    kernel = room_kernel(impulse)
    guess = augment(dry[None], None, ROOM_ALONE, generator=generator(0), rooms=kernel[None])[0]
    wet = mel(wet * (guess.exp().mean() / mel(wet).exp().mean()).sqrt())

    def error(features):
        apart = (features - wet)[20:] * DB
        return float((apart - apart.mean(dim=0)).abs().mean())

    return error(guess), error(dry)


@pytest.mark.parametrize("t60_s", [0.3, 0.6, 1.0])
@pytest.mark.parametrize("late_db", [-3.0, 3.0])
def test_against_the_convolution_of_the_wave(t60_s, late_db):
    kernel, nothing = errors_db(speech_like(), response(t60_s, late_db))
    assert kernel < 3.0
    assert kernel < 0.5 * nothing


@pytest.mark.corpus
def test_measured_rooms_and_real_voices():
    if not CORPUS.is_dir():
        pytest.skip("the corpus is not beside the repository (../shared/corpus)")
    rooms = {u.path for u in read_acoustics(CORPUS, kinds=("rir",)) if u.dataset.startswith("open")}
    voices = sorted((CORPUS / "voices/librispeech").glob("*/*.opus"))[::250]
    both = []
    for path in sorted(rooms)[::8]:
        for voice in voices:
            both.append(errors_db(load_audio(voice)[:64_000], load_audio(path)))
            kernel, nothing = both[-1]
            assert kernel < 5.0, (path.name, voice.name)
            assert kernel < 0.5 * nothing, (path.name, voice.name)
    assert len(both) >= 20
    kernel, nothing = np.mean(both, axis=0)
    assert kernel < 3.0
    assert kernel < 0.35 * nothing


def test_the_direct_sound_alone_changes_nothing():
    for lead in (0, 5, 1000):
        kernel = room_kernel(torch.nn.functional.pad(torch.tensor([-0.3]), (lead, 50)))
        torch.testing.assert_close(kernel[0], torch.ones(64), atol=1e-4, rtol=0)
        assert kernel[1:].abs().max() < 1e-6


@pytest.mark.parametrize("lag", [1.0, 7.0, 7.5, 98.0])
def test_an_echo_comes_at_its_lag_with_its_energy(lag):
    impulse = torch.zeros(20_000)
    impulse[500], impulse[500 + round(lag * HOP)] = 1.0, 0.5
    kernel = room_kernel(impulse)
    assert kernel.shape == (ROOM_FRAMES, 64)
    shares = {math.floor(lag): 1 - lag % 1, math.floor(lag) + 1: lag % 1}
    for at in range(2, ROOM_FRAMES):
        expected = 0.25 * shares.get(at, 0.0)
        torch.testing.assert_close(kernel[at], torch.full((64,), expected), atol=2e-3, rtol=0)
    if lag > 2:
        torch.testing.assert_close(kernel.sum(dim=0), torch.full((64,), 1.25), atol=3e-3, rtol=0)


def test_a_band_that_the_room_swallows():
    """A low-pass tail: the late energy is in the low bands alone."""
    impulse = response(0.4, 0.0)
    hertz = torch.fft.rfftfreq(len(impulse), 1 / 16_000)
    low = torch.fft.irfft(torch.fft.rfft(impulse) * (hertz < 1000), n=len(impulse))
    low[round(0.013 * 16_000)] += 0.5
    late = room_kernel(low)[5:].sum(dim=0)
    assert late[:20].mean() > 100 * late[40:].mean()


def test_files_become_kernels_or_are_left_out(tmp_path):
    low_pass = scipy.signal.butter(6, 200, fs=16_000, output="sos")
    waves = {
        "hall.wav": response(0.4, 0.0).numpy(),
        "silent.wav": np.zeros(8000),
        "filter.wav": scipy.signal.sosfilt(low_pass, np.eye(1, 8000)[0]),
    }
    for name, wave in waves.items():
        soundfile.write(tmp_path / name, wave, 16_000, "FLOAT")
    (tmp_path / "broken.wav").write_bytes(b"RIFF and nothing more")
    names = ["hall.wav", "hall.wav", "silent.wav", "broken.wav", "absent.wav", "filter.wav"]
    files = [Utterance(tmp_path / n, "rir", "d", "noise", n, 0.0) for n in names]
    said = []
    rooms = measured_rooms([u.path for u in files], frames=50, on_left_out=said.append)
    assert rooms.shape == (1, 50, 64)
    torch.testing.assert_close(rooms[0], room_kernel(response(0.4, 0.0), frames=50))
    assert [name for sentence in said for name in names[2:] if name in sentence] == names[2:]
    assert "weaker in some bands" in said[-1]
    assert measured_rooms([]).shape == (0, ROOM_FRAMES, 64)
