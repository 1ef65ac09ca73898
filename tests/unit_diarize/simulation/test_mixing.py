"""How scripts sound: voices, rooms, lines, noise; and that the labels are true.

Most voices here are tones, each speaker's of their own pitch, loud in pieces and silent between, so
that who is heard can be measured.
"""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from diarize.audio.level import level_out
from diarize.segmentation.silero import SileroSegmenter
from diarize.simulation.acoustics import Acoustics, measured_room
from diarize.simulation.conversation_style import STYLES
from diarize.simulation.mixing import Simulator, render
from diarize.simulation.speaker_bank import SpeakerBank
from diarize.simulation.turn_sampler import FRAME, Script, write_script
from encoder.data.manifest import read_manifest
from encoder.errors import ConfigError
from tests.support.simulated_speech import DRY, RATE, bank, rms, rng

SAMPLE = Path(__file__).parents[3] / "recipes/samples/ami_ES2004a_600_660"
CORPUS = Path(__file__).parents[4] / "shared/corpus"


@pytest.mark.parametrize("t60_s", [0.2, 0.5, 1.0])
def test_reverberation_time_is_measured(t60_s):
    at_s = np.arange(round(1.5 * t60_s * RATE)) / RATE
    tail = rng(3).normal(size=len(at_s)) * np.exp(-np.log(1000) * at_s / t60_s)
    tail[0] = 5.0
    room = measured_room(np.concatenate([np.zeros(500), tail]).astype(np.float32))
    assert room.t60_s == pytest.approx(t60_s, rel=0.15)
    assert np.linalg.norm(room.tail) == pytest.approx(1, rel=1e-4) and len(room.tail) <= 0.75 * RATE
    assert not room.tail[:480].any()


def test_a_click_is_no_room():
    click = np.zeros(8000, np.float32)
    click[100] = 1
    assert measured_room(click) is None and measured_room(click[:200]) is None


def test_rooms_are_of_the_range():
    acoustics = Acoustics()
    times = {acoustics.room((0.3, 0.6), rng(seed)).t60_s for seed in range(40)}
    assert len(times) > 3 and 0.3 <= min(times) <= max(times) <= 0.6
    assert acoustics.room((1.9, 2.0), rng()).t60_s >= 1.9


def test_sounds_have_power_one_where_they_are_not_silent():
    event = (rng(1).normal(0, 3000, RATE)).astype(np.int16)
    steady = (rng(2).normal(0, 500, 15 * RATE)).astype(np.int16)
    acoustics = Acoustics(noise=[event], music=[steady])
    assert Acoustics().sound("noise", RATE, rng()) is None
    for kind in ("noise", "music"):
        wave = acoustics.sound(kind, 20 * RATE, rng(4))
        assert wave.shape == (20 * RATE,)
        assert rms(wave[wave != 0]) == pytest.approx(1, rel=0.01)
    assert np.count_nonzero(acoustics.sound("noise", 20 * RATE, rng(4))) < 15 * RATE
    assert rms(acoustics.hiss(RATE * 30, rng())) == pytest.approx(1, rel=0.1)


# Rendering


def heard(wave, speaker):
    """(F,) amplitude of the speaker's tone in each 10 ms."""
    hertz = 300 + 137 * speaker
    at = np.arange(len(wave)) / RATE
    product = wave * np.exp(-2j * np.pi * hertz * at)
    smooth = np.convolve(product, np.ones(5 * FRAME) / (5 * FRAME), mode="same")
    return 2 * np.abs(smooth[: len(wave) // FRAME * FRAME].reshape(-1, FRAME)).mean(axis=1)


def test_who_is_labelled_speaks():
    voices = bank(speakers=3, pieces_s=(0.5, 1.0, 0.7))
    script = write_script(DRY, speakers=3, length=60 * RATE + 77, rng=rng(2))
    found = render(script, voices, [2, 0, 1], acoustics=Acoustics(), style=DRY, rng=rng(5))
    assert found.wave.shape == (60 * RATE + 77,) and found.activity.shape == (6000, 3)
    assert np.abs(found.wave).max() <= 0.97
    for column, speaker in enumerate((2, 0, 1)):
        loud = heard(found.wave, speaker)
        active = found.activity[:, column]
        # Pauses within a turn are labelled as speech, and sides of 30 ms are not told.
        inner = np.convolve(active, np.ones(7), mode="same") == 7
        outer = np.convolve(active, np.ones(7), mode="same") > 0
        assert active.sum() > 200
        level = np.median(loud[inner])
        assert (loud[inner] > 0.3 * level).mean() > 0.75
        assert (loud[~outer] < 0.2 * level).mean() > 0.99


def test_turns_are_the_activity_in_seconds():
    voices = bank(speakers=3)
    script = Script(
        np.array([(0, 0, RATE), (1, RATE // 2, 2 * RATE), (0, 3 * RATE, 4 * RATE)]), 5 * RATE
    )
    found = render(script, voices, [1, 2], acoustics=Acoustics(), style=DRY, rng=rng())
    again = np.zeros_like(found.activity)
    for turn in found.turns:
        column = ["s1", "s2"].index(turn.speaker)
        again[round(turn.start_s * 100) : round(turn.end_s * 100), column] = True
    assert np.array_equal(again, found.activity) and found.turns == sorted(found.turns)
    assert [t.start_s for t in found.turns] == [0.0, 0.5, 3.0]
    for turn, end_s in zip(found.turns, (1.0, 2.0, 4.0), strict=True):
        assert end_s - 0.4 <= turn.end_s <= end_s


def one_turn(style, *, acoustics=None, seconds=4.0, seed=0):
    """A turn from 1 s to 2 s, and what comes behind it."""
    script = Script(np.array([(0, RATE, 2 * RATE)]), round(seconds * RATE))
    voices = bank(pieces_s=(1.0, 1.0))
    return render(
        script, voices, [0], acoustics=acoustics or Acoustics(), style=style, rng=rng(seed)
    )


def test_a_room_sounds_after_the_turn_and_is_not_labelled():
    wet = dataclasses.replace(DRY, room=1.0, t60_s=(0.8, 1.0), late_db=(0.0, 0.0))
    dry, behind = one_turn(DRY), one_turn(wet)
    assert np.array_equal(dry.activity, behind.activity) and dry.activity.sum() == 100
    part = slice(round(2.05 * RATE), round(2.3 * RATE))
    ratios = [rms(c.wave[part]) / rms(c.wave[RATE : 2 * RATE]) for c in (dry, behind)]
    assert ratios[0] < 1e-3 and ratios[1] > 0.05
    assert rms(behind.wave[: RATE // 2]) < 1e-3 * rms(behind.wave[RATE : 2 * RATE])


def test_the_tail_is_a_convolution():
    from diarize.simulation import mixing as module

    wave, kernel = (rng(s).normal(size=n).astype(np.float32) for s, n in ((1, 5000), (2, 900)))
    expected = np.convolve(wave, kernel)[:5000]
    assert module._convolved(wave, kernel) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("snr_db", [0.0, 20.0])
def test_noise_is_as_far_below_speech_as_asked(snr_db):
    style = dataclasses.replace(DRY, hiss_db=(snr_db, snr_db))
    found = one_turn(style, seconds=20.0)
    noise = rms(found.wave[3 * RATE :])
    both = rms(found.wave[RATE : 2 * RATE])
    speech_db = 10 * np.log10(max(both**2 - noise**2, 1e-12) / noise**2)
    assert speech_db == pytest.approx(snr_db, abs=1.5)


def test_a_telephone_has_a_band():
    style = dataclasses.replace(DRY, telephone=1.0, hiss_db=(0.0, 0.0))
    for found in (one_turn(style), one_turn(dataclasses.replace(style, room=1.0))):
        power = np.square(np.abs(np.fft.rfft(found.wave)))
        hertz = np.fft.rfftfreq(len(found.wave), 1 / RATE)
        assert power[hertz > 4200].mean() < 1e-4 * power[(hertz > 500) & (hertz < 3000)].mean()


def test_a_codec_keeps_the_time():
    style = dataclasses.replace(DRY, telephone=1.0, codec=1.0)
    found = one_turn(style, seed=3)
    level = rms(found.wave[RATE + 800 : 2 * RATE - 800])
    assert rms(found.wave[: RATE - 800]) < 0.1 * level
    assert rms(found.wave[2 * RATE + 1600 :]) < 0.1 * level


def test_music_plays_behind_broadcasts():
    music = (rng(2).normal(0, 3000, 15 * RATE)).astype(np.int16)
    style = dataclasses.replace(DRY, music=1.0, music_db=(10.0, 10.0))
    levels = [
        rms(one_turn(style, acoustics=Acoustics(music=[music]), seed=s).wave[3 * RATE :])
        for s in range(12)
    ]
    assert 3 <= sum(level > 1e-3 for level in levels) < 12  # now and then, not always


# Chunks


def test_chunks_have_a_column_for_each_who_speaks():
    simulator = Simulator(bank(12), Acoustics(), list(STYLES.values()))
    columns, began = [], 0
    for seed in range(120):
        wave, activity, voices = simulator.chunk(rng(seed))
        assert len(voices) == len(set(voices.tolist())) == activity.shape[1]
        assert wave.shape == (160_000,) and wave.dtype == np.float32 and np.isfinite(wave).all()
        assert np.abs(wave).max() <= 0.971 and wave.any()
        assert activity.dtype == bool and activity.shape[0] == 1000
        assert activity.any(axis=0).all()
        columns.append(activity.shape[1])
        began += activity[0].any()
    counts = np.bincount(columns, minlength=5)
    assert counts[0] >= 1 and counts[1] >= 10 and counts[2] >= 30 and counts[3:].sum() >= 10
    assert began > 60  # chunks lie in the middle of talk


def test_where_nobody_speaks_it_may_be_as_loud_as_speech():
    simulator = Simulator(bank(speakers=2), Acoustics(), [DRY], chunk_s=1.0)
    chunks = [simulator.chunk(rng(seed)) for seed in range(600)]
    silent_db = [20 * np.log10(rms(c.wave) + 1e-9) for c in chunks if not c.activity.any()]
    loud = [level for level in silent_db if level > -35]
    assert 10 < len(loud) < len(silent_db) - 10


def test_a_chunk_depends_on_its_seed_alone():
    simulator = Simulator(bank(), Acoustics(), [STYLES["meeting"]], chunk_s=4.0)
    first = [simulator.chunk(rng(seed)) for seed in (1, 2)]
    for chunk, seed in zip(first[::-1], (2, 1), strict=True):
        again = simulator.chunk(rng(seed))
        assert all(np.array_equal(one, other) for one, other in zip(chunk, again, strict=True))
    assert not np.array_equal(first[0][0], first[1][0]) and len(first[0][0]) == 64_000


def test_voices_are_numbers_in_the_bank():
    """A chunk of one tone tells which speaker's it is."""
    simulator = Simulator(bank(), Acoustics(), [dataclasses.replace(DRY, speakers=(1, 1))])
    seen = set()
    for seed in range(20):
        wave, _, voices = simulator.chunk(rng(seed))
        if len(voices) == 1:
            hertz = np.abs(np.fft.rfft(wave)).argmax() * RATE / len(wave)
            assert abs(hertz - (300 + 137 * voices[0])) < 20
            seen.add(int(voices[0]))
    assert len(seen) > 2


def test_a_bank_of_one_still_makes_chunks():
    simulator = Simulator(bank(1), Acoustics(), [STYLES["meeting"]])
    assert {simulator.chunk(rng(seed))[1].shape[1] for seed in range(20)} == {0, 1}


def test_a_simulator_that_can_make_nothing_is_refused():
    with pytest.raises(ConfigError, match="without styles"):
        Simulator(bank(), Acoustics(), [])
    with pytest.raises(ConfigError, match=r"chunk_s is 0\.001"):
        Simulator(bank(), Acoustics(), [DRY], chunk_s=0.001)


@pytest.mark.corpus
def test_labels_of_real_voices_agree_with_silero():
    if not CORPUS.is_dir():
        pytest.skip("the corpus is not on this machine")
    utterances = [u for u in read_manifest(CORPUS / "voices/manifest.tsv") if u.split == "heldout"]
    utterances = [u for u in utterances if u.dataset in ("librispeech", "vctk", "speechocean762")]
    voices = SpeakerBank.from_corpus(utterances, seconds_per_speaker=15.0)
    acoustics = Acoustics()
    quiet = dataclasses.replace(DRY, hiss_db=(40.0, 45.0))
    script = write_script(quiet, speakers=4, length=180 * RATE, rng=rng(1))
    members = voices.company(4, rng(2))
    found = render(script, voices, members, acoustics=acoustics, style=quiet, rng=rng(3))
    speech = found.activity.any(axis=1)
    silero = np.zeros_like(speech)
    for start, end in SileroSegmenter()(level_out(torch.from_numpy(found.wave))).regions:
        silero[start // FRAME : end // FRAME] = True
    assert (speech & ~silero).sum() < 0.06 * speech.sum()  # it closes pauses up to 0.5 s
    assert (silero & ~speech).sum() < 0.10 * speech.sum()


def test_turns_go_on_through_pauses():
    """Silence of a third of a second and more inside a turn, which is labelled speech."""
    often = dataclasses.replace(DRY, hesitations=30.0, ln_hesitation=(-0.7, 0.2))
    never = dataclasses.replace(DRY, hesitations=0.0)

    def longest_pause(style, seed):
        script = Script(np.array([(0, 0, 8 * RATE)]), 9 * RATE)
        made = render(script, bank(), [0], acoustics=Acoustics(), style=style, rng=rng(seed))
        spoken = made.activity[:, 0].nonzero()[0]
        assert (np.diff(spoken) == 1).all()  # one turn
        power = np.square(made.wave.reshape(-1, 160)).mean(axis=1)[spoken]
        edges = np.flatnonzero(np.diff(np.concatenate([[1], power > 1e-3 * power.max(), [1]])))
        return max((b - a for a, b in zip(edges[::2], edges[1::2], strict=True)), default=0)

    with_pauses = [longest_pause(often, seed) for seed in range(8)]
    assert sum(pause >= 33 for pause in with_pauses) >= 4
    assert max(longest_pause(never, seed) for seed in range(8)) < 30
