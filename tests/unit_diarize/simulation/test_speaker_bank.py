"""What speakers say in simulated conversations: pieces of their utterances, kept in a bank."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import soundfile

from diarize.formats.rttm import read_rttm
from diarize.simulation.speaker_bank import SpeakerBank
from diarize.simulation.speech_trimming import LONGEST_PAUSE, trim_speech
from diarize.simulation.turn_sampler import FRAME
from encoder.data.manifest import Utterance
from encoder.errors import CorpusError
from tests.support.simulated_speech import RATE, bank, rms, rng, said

SAMPLE = Path(__file__).parents[3] / "recipes/samples/ami_ES2004a_600_660"
CORPUS = Path(__file__).parents[4] / "shared/corpus"


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
    found = trim_speech(wave, voiced, hop=512)
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
    found = trim_speech(wave, voiced, hop=512)
    assert not found.clean and found.snr_db == pytest.approx(7, abs=1)


def test_silence_says_nothing():
    assert trim_speech(np.zeros(RATE, np.float32), np.ones(31, np.float32), hop=512) is None
    noise = rng().normal(0, 0.1, RATE).astype(np.float32)
    assert trim_speech(noise, np.zeros(31, np.float32), hop=512) is None


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
    voices = SpeakerBank.of([("short", "a", short), ("long", "a", [said(2, (1.0,)), *short])])
    assert voices.speakers == ["long"] and voices.first.tolist() == [0, 4]
    with pytest.raises(CorpusError, match=r"no speaker has 1\.5 s"):
        SpeakerBank.of([("short", "a", short)])


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


def test_a_bank_is_read_once_and_then_kept(meeting, tmp_path, monkeypatch):
    sentences, steps = [], []
    voices = SpeakerBank.from_corpus(
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
    again = SpeakerBank.from_corpus(near, cache=tmp_path / "kept")
    for name in ("wave", "pieces", "first"):
        assert np.array_equal(getattr(voices, name), getattr(again, name))
    assert (again.speakers, again.sets) == (voices.speakers, voices.sets)
    for damaged in (kept.read_bytes()[:1000], b"", b"\x80\x04"):
        kept.write_bytes(damaged)  # then it is heard anew, and here nothing is left to hear
        with pytest.raises(CorpusError):
            SpeakerBank.from_corpus(meeting, cache=tmp_path / "kept")


def test_no_more_of_a_speaker_than_asked(meeting):
    little = SpeakerBank.from_corpus(meeting, seconds_per_speaker=4.0)
    spoken_s = np.diff(little.pieces, axis=1).sum() / RATE
    assert 1.5 <= spoken_s / len(little.speakers) <= 4.1


# Surroundings
