"""How scripts sound: voices, rooms, lines, noise; and that the labels are true.

Most voices here are tones, each speaker's of their own pitch, loud in pieces and silent between, so
that who is heard can be measured.
"""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from diarize.formats.rttm import read_rttm
from diarize.loudness import level_out
from diarize.segmentation.neural.render import Simulator, render
from diarize.segmentation.neural.script import FRAME, Script, write_script
from diarize.segmentation.neural.spoken import LONGEST_PAUSE, Spoken, spoken
from diarize.segmentation.neural.style import STYLES
from diarize.segmentation.neural.surroundings import Acoustics, measured_room
from diarize.segmentation.neural.voices import VoiceBank
from diarize.segmentation.silero import SileroSegmenter
from encoder.errors import ConfigError, CorpusError
from encoder.manifest import Utterance, read_manifest

RATE = 16_000
SAMPLE = Path(__file__).parents[2] / "recipes/samples/ami_ES2004a_600_660"
CORPUS = Path(__file__).parents[3] / "shared/corpus"
DRY = dataclasses.replace(
    STYLES["meeting"], room=0.0, noise=0.0, music=0.0, hiss_db=(80.0, 80.0), level_db=0.0
)


def tone(speaker, samples):
    return 0.1 * np.sin(2 * np.pi * (300 + 137 * speaker) * np.arange(samples) / RATE)


def said(speaker, pieces_s, pause_s=0.15):
    """What `spoken` would give of a speaker whose voice is a tone."""
    waves, pieces, at = [], [], 0
    for seconds in pieces_s:
        size, pause = round(seconds * RATE), round(pause_s * RATE)
        waves += [tone(speaker, size), np.zeros(pause)]
        pieces.append((at, at + size))
        at += size + pause
    wave = np.rint(np.concatenate(waves) * 32767).astype(np.int16)
    return Spoken(wave, np.array(pieces, np.int64), 60.0)


def bank(speakers=6, pieces_s=(0.5, 1.2, 0.3, 2.0, 0.8)):
    rows = ((f"s{k}", f"set{k % 2}", [said(k, pieces_s)]) for k in range(speakers))
    return VoiceBank.of(rows)


def rng(seed=0):
    return np.random.default_rng(seed)


def rms(wave):
    return float(np.sqrt(np.square(wave, dtype=np.float64).mean()))


# What is spoken


def test_pieces_are_tight_level_and_a_short_pause_apart():
    T = 4 * RATE
    wave = rng().normal(0, 1e-4, T).astype(np.float32)
    for start_s, end_s in ((0.50, 1.20), (1.30, 1.50), (2.80, 3.60)):
        at = slice(round(start_s * RATE), round(end_s * RATE))
        wave[at] += 0.02 * rng(1).normal(size=at.stop - at.start).astype(np.float32)
    voiced = np.zeros(T // 512, np.float32)
    for start_s, end_s in ((0.42, 1.60), (2.74, 3.70)):  # vague, as Silero is
        voiced[round(start_s * RATE / 512) : round(end_s * RATE / 512)] = 0.9
    found = spoken(wave, voiced, hop=512)
    seconds = np.diff(found.pieces, axis=1).ravel() / RATE
    # 20 ms at each end; what Silero takes for one is one, with its short pause.
    assert seconds == pytest.approx([1.04, 0.84], abs=0.011)
    assert found.pieces[0, 0] == 0 and (found.pieces % FRAME == 0).all()
    assert found.pieces[1, 0] - found.pieces[0, 1] == LONGEST_PAUSE
    assert len(found.wave) % FRAME == 0 and len(found.wave) - found.pieces[-1, 1] == LONGEST_PAUSE
    (start, end) = found.pieces[1]
    assert rms(found.wave[start:end] / 32767) == pytest.approx(10 ** (-23 / 20), rel=0.1)
    assert found.clean and found.snr_db > 40


def test_a_noisy_utterance_is_known_by_it():
    T = 3 * RATE
    wave = rng().normal(0, 0.02, T).astype(np.float32)
    wave[RATE : 2 * RATE] += rng(1).normal(0, 0.04, RATE).astype(np.float32)
    voiced = np.zeros(T // 512, np.float32)
    voiced[31:62] = 1
    found = spoken(wave, voiced, hop=512)
    assert not found.clean and found.snr_db == pytest.approx(7, abs=1)


def test_silence_says_nothing():
    assert spoken(np.zeros(RATE, np.float32), np.ones(31, np.float32), hop=512) is None
    noise = rng().normal(0, 0.1, RATE).astype(np.float32)
    assert spoken(noise, np.zeros(31, np.float32), hop=512) is None


# Voices


@pytest.mark.parametrize("samples", [160, 3200, 8000, 16_000, 40_000, 160_000, 1_000_000])
def test_a_turn_is_as_long_as_asked_and_ends_with_a_piece_where_one_fits(samples):
    voices = bank()
    own = voices.pieces[voices.first[2] : voices.first[3]]
    low, high = own[0, 0], voices.pieces[voices.first[3], 0]
    # Ends of pieces as seen from the start of each, by walking round and round.
    reach = [
        end + lap * (high - low) - start
        for start in own[:, 0]
        for lap in range(samples // (high - low) + 2)
        for end in own[:, 1]
        if end + lap * (high - low) > start
    ]
    least = samples - min(0.2 * samples, 0.4 * RATE)
    fitting = [r for r in reach if least <= r <= samples]
    for seed in range(10):
        wave, active = voices.draw(2, samples, rng(seed))
        assert wave.shape == (samples,) and wave.dtype == np.float32
        assert active.shape == (samples // FRAME,) and active[0]
        last = int(active.sum())
        assert active[:last].all()  # pauses within are short
        if fitting:
            assert last * FRAME in fitting
            assert not wave[last * FRAME + 320 :].any()
        else:
            assert active.all()
        if samples >= 8000:
            assert rms(wave[: last * FRAME]) == pytest.approx(0.0707, rel=0.25)


def test_turns_differ_and_repeat_by_seed():
    voices = bank(pieces_s=tuple(np.linspace(0.3, 2.0, 12)))
    drawn = [voices.draw(0, 32_000, rng(seed))[0].tobytes() for seed in (1, 1, 2, 3, 4)]
    assert drawn[0] == drawn[1] and len(set(drawn)) > 2


def test_company_is_of_different_people():
    voices = bank(speakers=8)
    for seed in range(20):
        members = voices.company(4, rng(seed))
        assert len(set(members.tolist())) == 4
        same = voices.company(4, rng(seed), one_set=True)
        assert len({voices.sets[k] for k in same}) == 1
    assert len({voices.sets[k] for k in voices.company(5, rng(), one_set=True)}) == 2
    assert len(voices.company(20, rng())) == 8


def test_who_said_too_little_is_left_out():
    short = [said(1, (0.4, 0.5, 0.5))]
    voices = VoiceBank.of([("short", "a", short), ("long", "a", [said(2, (1.0,)), *short])])
    assert voices.speakers == ["long"] and voices.first.tolist() == [0, 4]
    with pytest.raises(CorpusError, match=r"no speaker has 1\.5 s"):
        VoiceBank.of([("short", "a", short)])


@pytest.fixture
def meeting(tmp_path):
    """The utterances of two speakers of the sample, and a silent one."""
    sound, _ = soundfile.read(f"{SAMPLE}.flac", dtype="float32")
    turns = read_rttm(f"{SAMPLE}.rttm")[SAMPLE.name]
    rows = []
    for number, turn in enumerate(t for t in turns if t.duration_s > 2):
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, sound[round(turn.start_s * RATE) : round(turn.end_s * RATE)], RATE)
        rows.append(Utterance(path, turn.speaker, "ami", "train", str(number), turn.duration_s))
    soundfile.write(tmp_path / "silence.wav", np.zeros(5 * RATE), RATE)
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    rows += [
        Utterance(tmp_path / f"{name}.wav", name, "x", "train", name, 5.0)
        for name in ("silence", "broken")
    ]
    return rows


def test_a_bank_is_heard_once_and_then_kept(meeting, tmp_path, monkeypatch):
    sentences, steps = [], []
    voices = VoiceBank.from_corpus(
        meeting,
        cache=tmp_path / "kept",
        on_left_out=sentences.append,
        on_progress=lambda done, total: steps.append((done, total)),
    )
    names = {u.speaker for u in meeting} - {"silence", "broken"}
    assert set(voices.speakers) <= names and len(voices.speakers) >= 2
    assert steps[-1][0] == steps[-1][1] == len(names) + 2
    assert len(sentences) == 1 and "broken.wav" in sentences[0]
    (kept,) = (tmp_path / "kept").iterdir()
    for utterance in meeting:
        utterance.path.unlink()
    monkeypatch.chdir(tmp_path)  # the same files by another name
    near = [dataclasses.replace(u, path=Path(u.path.name)) for u in meeting]
    again = VoiceBank.from_corpus(near, cache=tmp_path / "kept")
    for name in ("wave", "pieces", "first"):
        assert np.array_equal(getattr(voices, name), getattr(again, name))
    assert (again.speakers, again.sets) == (voices.speakers, voices.sets)
    for damaged in (kept.read_bytes()[:1000], b"", b"\x80\x04"):
        kept.write_bytes(damaged)  # then it is heard anew, and here nothing is left to hear
        with pytest.raises(CorpusError):
            VoiceBank.from_corpus(meeting, cache=tmp_path / "kept")


def test_no_more_of_a_speaker_than_asked(meeting):
    little = VoiceBank.from_corpus(meeting, seconds_per_speaker=4.0)
    spoken_s = np.diff(little.pieces, axis=1).sum() / RATE
    assert 1.5 <= spoken_s / len(little.speakers) <= 4.1


# Surroundings


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


def test_sounds_have_power_one_where_they_are_heard():
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


def test_who_is_labelled_is_heard():
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


def test_a_room_is_heard_after_the_turn_and_not_labelled():
    wet = dataclasses.replace(DRY, room=1.0, t60_s=(0.8, 1.0), late_db=(0.0, 0.0))
    dry, behind = one_turn(DRY), one_turn(wet)
    assert np.array_equal(dry.activity, behind.activity) and dry.activity.sum() == 100
    part = slice(round(2.05 * RATE), round(2.3 * RATE))
    ratios = [rms(c.wave[part]) / rms(c.wave[RATE : 2 * RATE]) for c in (dry, behind)]
    assert ratios[0] < 1e-3 and ratios[1] > 0.05
    assert rms(behind.wave[: RATE // 2]) < 1e-3 * rms(behind.wave[RATE : 2 * RATE])


def test_the_tail_is_a_convolution():
    from diarize.segmentation.neural import render as module

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
        wave, activity = simulator.chunk(rng(seed))
        assert wave.shape == (160_000,) and wave.dtype == np.float32 and np.isfinite(wave).all()
        assert np.abs(wave).max() <= 0.971 and wave.any()
        assert activity.dtype == bool and activity.shape[0] == 1000
        assert activity.any(axis=0).all()
        columns.append(activity.shape[1])
        began += activity[0].any()
    counts = np.bincount(columns, minlength=5)
    assert counts[0] >= 1 and counts[1] >= 10 and counts[2] >= 30 and counts[3:].sum() >= 10
    assert began > 60  # chunks lie in the middle of talk


def test_a_chunk_depends_on_its_seed_alone():
    simulator = Simulator(bank(), Acoustics(), [STYLES["meeting"]], chunk_s=4.0)
    first = [simulator.chunk(rng(seed)) for seed in (1, 2)]
    for (wave, activity), seed in zip(first[::-1], (2, 1), strict=True):
        again = simulator.chunk(rng(seed))
        assert np.array_equal(wave, again[0]) and np.array_equal(activity, again[1])
    assert not np.array_equal(first[0][0], first[1][0]) and len(first[0][0]) == 64_000


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
    voices = VoiceBank.from_corpus(utterances, seconds_per_speaker=15.0)
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
