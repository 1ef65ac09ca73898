"""Pieces joined byte by byte are heard one after the other, and no second is lost unsaid."""

from __future__ import annotations

import re

import numpy as np
import pytest

from encoder.audio.load import SAMPLE_RATE, load_audio
from encoder.audio.media.decoding import Piece
from encoder.audio.timestamps import Notes, _placed, _Recent
from tests.support.synth import click_times, clicks, write_media
from tests.unit_encoder.audio.test_timestamps import make_frame

PIECE_S = 4.0
TIMES_S = [0.37 + index * 0.9 for index in range(4)]
KINDS = [
    ("flac", "flac", 44100, None),
    ("oga", "flac", 44100, "ogg"),
    ("opus", "libopus", 48000, "ogg"),
    ("webm", "libopus", 48000, None),
    ("mkv", "aac", 44100, None),
    ("mka", "pcm_s16le", 16000, "matroska"),
    ("ts", "aac", 44100, None),
    ("mts", "mp2", 44100, "mpegts"),
    ("mpg", "mp2", 44100, "mpeg"),
    ("vob", "ac3", 48000, "vob"),
    ("mp3", "libmp3lame", 44100, None),
    ("aac", "aac", 44100, None),
    ("ac3", "ac3", 48000, None),
    ("amr", "libopencore_amrnb", 8000, None),
    ("wav", "pcm_s16le", 16000, None),
    ("w64", "pcm_s16le", 16000, None),
    ("aiff", "pcm_s16be", 16000, None),
    ("au", "pcm_s16be", 16000, None),
    ("caf", "pcm_s16le", 16000, None),
    ("avi", "mp3", 44100, None),
    ("flv", "aac", 44100, None),
    ("mp4", "aac", 44100, None),
    ("tta", "tta", 16000, None),
    ("voc", "pcm_u8", 16000, None),
    ("sox", "pcm_s32le", 16000, None),
    ("wv", "wavpack", 16000, None),
]


def load(path):
    sentences = []
    return load_audio(path, on_warning=sentences.append).numpy(), sentences


def piece(path, *, codec, rate, file_format=None, seed=0, channels=1):
    noise = 0.003 * np.random.default_rng(seed).standard_normal((channels, round(PIECE_S * rate)))
    track = clicks(TIMES_S, duration_s=PIECE_S, rate=rate, channels=channels)
    return write_media(
        path, track + noise.astype(np.float32), rate, codec=codec, file_format=file_format
    )


def joined(path, parts):
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def heard_in_all(wave, parts):
    """Every click of every piece is where its piece begins plus where it is in the piece."""
    alone_s = [len(load(part)[0]) / SAMPLE_RATE for part in parts]
    # What an encoder needs to warm up is removed at the beginning alone, if nobody counts it.
    more_s = (len(wave) / SAMPLE_RATE - sum(alone_s)) / (len(parts) - 1)
    assert 0 <= round(more_s, 2) < 0.1
    begin_s = 0.0
    for part in parts:
        alone, _ = load(part)
        there = np.array(click_times(alone, TIMES_S))
        found = np.array(click_times(wave, [begin_s + time_s for time_s in TIMES_S]))
        np.testing.assert_allclose(found - begin_s, there, atol=0.06)
        begin_s += len(alone) / SAMPLE_RATE + more_s


@pytest.mark.parametrize("same", [False, True], ids=["three", "thrice"])
@pytest.mark.parametrize(("suffix", "codec", "rate", "file_format"), KINDS)
def test_joined_pieces_are_all_heard(tmp_path, suffix, codec, rate, file_format, same):
    parts = [
        piece(tmp_path / f"{n}.{suffix}", codec=codec, rate=rate, file_format=file_format, seed=n)
        for n in range(3)
    ]
    parts = [parts[0]] * 3 if same else parts
    wave, _ = load(joined(tmp_path / f"x.{suffix}", parts))
    heard_in_all(wave, parts)


def test_files_of_different_kinds_are_heard_one_after_the_other(tmp_path):
    parts = [
        piece(tmp_path / "0.wav", codec="pcm_s16le", rate=16000),
        piece(tmp_path / "1.wav", codec="pcm_alaw", rate=8000, channels=2),
        piece(tmp_path / "2.mp4", codec="aac", rate=44100),
    ]
    wave, sentences = load(joined(tmp_path / "x.wav", parts))
    heard_in_all(wave, parts)
    assert [re.search(r"joined to it at (\d+\.\d) s", s)[1] for s in sentences] == ["4.0", "8.0"]


@pytest.mark.parametrize("first", ["mp4", "tta", "avi", "w64", "mkv"])
@pytest.mark.parametrize("second", ["oga", "flac", "avi", "voc", "tta"])
def test_what_follows_may_be_of_any_kind(tmp_path, first, second):
    kinds = {suffix: (codec, rate, form) for suffix, codec, rate, form in KINDS}
    parts = []
    for n, suffix in enumerate((first, second)):
        codec, rate, form = kinds[suffix]
        path = tmp_path / f"{n}.{suffix}"
        parts.append(piece(path, codec=codec, rate=rate, file_format=form, seed=n))
    wave, sentences = load(joined(tmp_path / f"x.{first}", parts))
    heard_in_all(wave, parts)
    assert "has another file joined to it at 4." in sentences[0]


@pytest.mark.parametrize(
    "tag",
    [
        b"TAG" + b"a" * 125,
        b"ID3\x04\0\0\0\0\x02\x00" + b"RIFF" * 64,
        b"APETAGEX"
        + (2000).to_bytes(4, "little")
        + (32).to_bytes(4, "little")
        + bytes(4)
        + b"\0\0\0\xa0"
        + bytes(8)
        + b"x" * 32,
        bytes(3000),
    ],
    ids=["ID3v1", "ID3v2", "APE", "zeros"],
)
def test_tags_behind_the_sound_are_no_sound_and_files_behind_tags_are(tmp_path, tag):
    whole = piece(tmp_path / "0.wav", codec="pcm_s16le", rate=16000)
    path = tmp_path / "x.wav"
    path.write_bytes(whole.read_bytes() + tag)
    wave, sentences = load(path)
    assert (len(wave), sentences) == (PIECE_S * SAMPLE_RATE, [])
    if any(tag):
        path.write_bytes(whole.read_bytes() + tag + whole.read_bytes())
        assert len(load(path)[0]) == 2 * PIECE_S * SAMPLE_RATE


def test_what_is_joined_but_cannot_be_read_is_said(tmp_path):
    whole = piece(tmp_path / "0.wav", codec="pcm_s16le", rate=16000)
    path = tmp_path / "x.wav"
    path.write_bytes(whole.read_bytes() + b"\x00\x00\x00\x20ftypM4A " + bytes(100_000))
    wave, sentences = load(path)
    assert len(wave) == PIECE_S * SAMPLE_RATE
    assert len(sentences) == 1 and "another file at 4.0 s, which cannot be read" in sentences[0]


@pytest.mark.parametrize("stamp", ["standing", "back in the middle"])
def test_times_that_make_no_sense_lose_nothing(stamp):
    """A recorder that stamps every packet with 0, or whose clock is set back by two seconds."""
    times_s = (
        [0.0] * 300 if stamp == "standing" else [i * 0.02 - 2.0 * (i > 200) for i in range(300)]
    )
    notes = Notes("x")
    pieces = [Piece(make_frame(160, seed=i, channels=1), t) for i, t in enumerate(times_s)]
    heard = np.concatenate([wave for wave, _ in _placed(iter(pieces), None, notes, 10**6)])
    assert heard.size == 300 * 160
    assert ["clock that jumps" in sentence for sentence in notes.sentences()] == [True]


def test_sound_that_comes_twice_is_heard_once_and_named():
    frames = [make_frame(160, seed=i, channels=1) for i in range(300)]
    times_s = [i * 0.02 for i in range(300)]
    pieces = [Piece(frame, t) for frame, t in zip(frames, times_s, strict=True)]
    notes = Notes("x")
    again = [*pieces[:200], *pieces[150:]]
    heard = np.concatenate([wave for wave, _ in _placed(iter(again), None, notes, 10**6)])
    assert heard.size == 300 * 160
    assert "1.0 s of it are left out" in next(notes.sentences())


@pytest.mark.parametrize(("bytes_there", "silence_s"), [(4_000, 0.0), (10_000_000, 3000.0)])
def test_a_hole_is_filled_only_if_the_file_is_large_enough_for_it(bytes_there, silence_s):
    """Four kilobytes once claimed nine hours of silence."""
    pieces = [Piece(make_frame(160, channels=1), t) for t in (0.0, 3000.0)]
    notes = Notes("x")
    heard = sum(wave.size for wave, _ in _placed(iter(pieces), None, notes, bytes_there))
    assert heard / 8000 == pytest.approx(silence_s, abs=0.1)
    assert ("silence stand in" if silence_s else "clock that jumps") in next(notes.sentences())


@pytest.mark.parametrize(("begin_s", "said"), [(30.0, False), (200.0, True)])
def test_a_clock_that_begins_late_is_said(begin_s, said):
    """Sound may start after the picture; minutes later is a damaged header's doing."""
    pieces = [Piece(make_frame(160, channels=1), begin_s)]
    notes = Notes("x")
    heard = sum(wave.size for wave, _ in _placed(iter(pieces), None, notes, 10**6))
    assert heard / 8000 == pytest.approx(begin_s, abs=0.1)
    assert any("silence stand in" in sentence for sentence in notes.sentences()) == said


def test_frames_of_one_sample_are_remembered_in_blocks():
    """Else each jump of a clock would gather tens of thousands of pieces."""
    recent = _Recent()
    samples = np.random.default_rng(0).normal(size=20_000).astype(np.float32)
    for at in range(samples.size):
        recent.add(samples[at : at + 1], 8000)
    assert len(recent._blocks) <= 4
    for back, size in ((8000, 100), (100, 100), (5000, 5000), (10, 100), (6000, 4500)):
        expected = samples[samples.size - back :][:size]
        np.testing.assert_array_equal(recent.part(back, size), expected)
    assert recent.part(30_000, 5).size == recent.part(0, 5).size == 0
