"""Sound that used to go missing without a word: cancelled, cut off, unreadable, headerless."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import threading

import numpy as np
import pytest

from encoder.audio.load import SAMPLE_RATE, load_audio
from encoder.audio.media_files import MEDIA_SUFFIXES, media_below
from encoder.errors import AudioError
from tests.support.synth import cut_file, write_media

SECONDS = 6


def noise(rate, channels=1, seed=0):
    track = np.random.default_rng(seed).standard_normal((channels, SECONDS * rate))
    return (0.1 * track).astype(np.float32)


def load(source, **more):
    sentences = []
    return load_audio(source, on_warning=sentences.append, **more).numpy(), sentences


# Channels


@pytest.mark.parametrize("hiss", [0.0, 0.003])
def test_channels_that_cancel_each_other_out_are_not_mixed(tmp_path, hiss):
    left = noise(16000)[0]
    track = np.stack([left, -left + hiss * noise(16000, seed=1)[0]])
    path = write_media(tmp_path / "x.flac", track, 16000, codec="flac")
    wave, sentences = load(path)
    np.testing.assert_allclose(np.abs(wave), np.abs(left), atol=0.002 + hiss)
    assert len(sentences) == 1 and "cancel each other out at 0.0 s" in sentences[0]
    assert "for 6.0 s one channel was heard" in sentences[0]


@pytest.mark.parametrize("channels", [2, 6])
@pytest.mark.parametrize("kind", ["same", "unlike", "one silent", "all silent"])
def test_other_channels_are(tmp_path, channels, kind):
    track = noise(16000, channels)
    if kind == "same":
        track[:] = track[0]
    if kind == "one silent":
        track[1:] = 0
    if kind == "all silent":
        track[:] = 0
    path = write_media(tmp_path / "x.wav", track, 16000, codec="pcm_f32le")
    wave, sentences = load(path)
    np.testing.assert_allclose(wave, track.mean(axis=0), atol=1e-6)
    assert sentences == []


# Files cut off


@pytest.mark.parametrize(
    ("suffix", "codec", "rate", "file_format", "muxer"),
    [
        ("aiff", "pcm_s16be", 16000, None, {}),
        ("aifc", "pcm_s16le", 16000, "aiff", {}),
        ("au", "pcm_s16be", 16000, None, {}),
        ("caf", "pcm_s16le", 16000, None, {}),
        ("w64", "pcm_s16le", 16000, None, {}),
        ("wav", "pcm_s16le", 16000, None, {"rf64": "always"}),
        ("wav", "adpcm_ms", 16000, None, {}),
        ("wav", "adpcm_ima_wav", 16000, None, {}),
        ("voc", "pcm_u8", 16000, None, {}),
        ("avi", "mp3", 44100, None, {}),
        ("flv", "aac", 44100, None, {}),
        ("tta", "tta", 16000, None, {}),
        ("opus", "libopus", 48000, "ogg", {}),
        ("oga", "flac", 44100, "ogg", {}),
        ("ts", "aac", 44100, None, {}),
        ("mpg", "mp2", 44100, "mpeg", {}),
        ("ac3", "ac3", 48000, None, {}),
        ("mp2", "mp2", 44100, None, {}),
        ("aac", "aac", 44100, None, {}),
        ("amr", "libopencore_amrnb", 8000, None, {}),
        ("nut", "pcm_s16le", 16000, None, {}),
        ("nut", "mp2", 44100, None, {}),
        ("sox", "pcm_s32le", 16000, None, {}),
        ("smjpeg", "pcm_s16le", 16000, "smjpeg", {}),
        ("mxf", "pcm_s16le", 48000, "mxf_opatom", {}),
    ],
)
def test_a_cut_is_said_and_a_whole_file_says_nothing(
    tmp_path, suffix, codec, rate, file_format, muxer
):
    path = write_media(
        tmp_path / f"x.{suffix}", noise(rate), rate,
        codec=codec, file_format=file_format, muxer=muxer,
    )  # fmt: skip
    assert load(path)[1] == []
    wave, sentences = load(cut_file(path, 0.6173))
    assert 2.5 < len(wave) / SAMPLE_RATE < 4.2
    assert any(words in sentences[-1] for words in ("cut off", "is damaged"))


@pytest.mark.parametrize("packet", [1, 192, 204])
def test_a_torn_transport_stream_is_told_by_its_own_packets(tmp_path, packet):
    """A multiple of 204 may be torn all the same."""
    path = write_media(tmp_path / "x.ts", noise(44100), 44100, codec="mp2")
    assert load(path)[1] == []
    data = path.read_bytes()
    size = next(n for n in range(len(data) // 2, len(data)) if n % packet == 0 and n % 188)
    path.write_bytes(data[:size])
    assert any("cut off" in sentence for sentence in load(path)[1])


@pytest.mark.parametrize(
    ("suffix", "codec", "rate"), [("oga", "flac", 44100), ("opus", "libopus", 48000)]
)
@pytest.mark.parametrize("place", [-5000, -30, "head"])
def test_a_damaged_last_page_is_said(tmp_path, suffix, codec, rate, place):
    """FFmpeg passes over a page with a wrong checksum, and nothing comes after the last one."""
    path = write_media(tmp_path / f"x.{suffix}", noise(rate), rate, codec=codec, file_format="ogg")
    wave, sentences = load(path)
    assert sentences == []
    data = bytearray(path.read_bytes())
    if place == "head":
        place = data.rindex(b"OggS") + 7
    data[place] ^= 4
    path.write_bytes(data)
    shorter, sentences = load(path)
    assert len(shorter) < len(wave)
    assert any("damaged near its end" in text or "times go on" in text for text in sentences)


def test_bytes_lost_from_the_last_pages_are_said(tmp_path):
    """FFmpeg takes such a stream to end with its last whole page."""
    path = write_media(tmp_path / "x.opus", noise(48000), 48000, codec="libopus", file_format="ogg")
    data = path.read_bytes()
    at = data.rindex(b"OggS")
    path.write_bytes(data[: at - 6000] + data[at - 1900 :])
    assert any("damaged near its end" in sentence for sentence in load(path)[1])


def test_joined_mp3_promises_nothing(tmp_path):
    """FFmpeg sets the count of frames aside, and so its length is an estimate."""
    parts = [
        write_media(tmp_path / f"{n}.mp3", noise(44100, n + 1), 44100, codec="libmp3lame")
        for n in range(2)
    ]
    path = tmp_path / "x.mp3"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    wave, sentences = load(path)
    assert len(wave) / SAMPLE_RATE == pytest.approx(2 * SECONDS, abs=0.2)
    assert not any("header promises" in sentence for sentence in sentences)


def test_what_share_was_lost_is_counted(tmp_path):
    path = write_media(tmp_path / "x.aac", noise(44100), 44100, codec="aac")
    data = bytearray(path.read_bytes())
    for at in range(len(data) // 3, len(data) // 2, 90):
        data[at] ^= 255
    path.write_bytes(data)
    _, (sentence, *_) = load(path)
    lost, packets = (int(word) for word in sentence.split(": ")[1].split()[:3:2])
    assert 0 < lost < packets


# Places that fail


class Failing(io.BytesIO):
    """A disk that breaks at a byte."""

    name = "x.wav"
    breaks_at = 100_000

    def read(self, size=-1):
        if self.tell() >= self.breaks_at:
            raise OSError(errno.EIO, "Input/output error")
        return super().read(size)


@pytest.mark.parametrize("breaks_at", [0, 20, 100_000])
def test_a_disk_that_fails_is_not_the_end_of_the_sound(tmp_path, capfd, breaks_at):
    path = write_media(tmp_path / "x.wav", noise(16000), 16000, codec="pcm_s16le")
    file = Failing(path.read_bytes())
    file.breaks_at = breaks_at
    with pytest.raises(AudioError, match=r"cannot be read any further \(Input/output error\)"):
        load_audio(file)
    assert capfd.readouterr() == ("", "")


def test_a_pipe_that_has_nothing_yet_has_not_ended(tmp_path):
    path = write_media(tmp_path / "x.flac", noise(16000), 16000, codec="flac")
    expected, _ = load(path)
    end, start = os.pipe()
    os.set_blocking(end, False)
    gate = threading.Event()

    def feed():
        data = path.read_bytes()
        with os.fdopen(start, "wb") as pipe:
            pipe.write(data[:1000])
            pipe.flush()
            gate.wait(0.2)
            pipe.write(data[1000:])

    feeder = threading.Thread(target=feed)
    feeder.start()
    with os.fdopen(end, "rb") as pipe:
        wave, sentences = load(pipe)
    feeder.join()
    np.testing.assert_array_equal(wave, expected)
    assert sentences == []


def test_what_pyav_stumbles_over_prints_nothing(tmp_path, capfd):
    """A header that sends the reader before the beginning of the file, or far behind its end."""
    sound = write_media(tmp_path / "x.caf", noise(16000), 16000, codec="pcm_s16le").read_bytes()
    film = write_media(tmp_path / "x.m4a", noise(16000), 16000, codec="aac").read_bytes()
    (tmp_path / "y.caf").write_bytes(sound + film)
    wave, sentences = load(tmp_path / "y.caf")
    assert len(wave) / SAMPLE_RATE == pytest.approx(2 * SECONDS, abs=0.1)
    assert len(sentences) == 1 and "another file joined to it" in sentences[0]
    (tmp_path / "z.caf").write_bytes(sound[:60] + b"\xff" * 8 + sound[68:])
    with contextlib.suppress(AudioError):
        load(tmp_path / "z.caf")
    assert capfd.readouterr() == ("", "")


# Files without a header, and without a known ending


@pytest.mark.parametrize(
    ("suffix", "codec", "law"),
    [("ul", "mulaw", "mu-law"), ("ulaw", "mulaw", "mu-law"), ("al", "alaw", "A-law"),
     ("alaw", "alaw", "A-law")],
)  # fmt: skip
def test_telephone_sound_without_a_header_is_8_khz(tmp_path, suffix, codec, law):
    track = noise(8000)
    path = tmp_path / f"call.{suffix}"
    write_media(path, track, 8000, codec=f"pcm_{codec}", file_format=codec)
    wave, sentences = load(path)
    assert len(wave) == SECONDS * SAMPLE_RATE
    assert len(sentences) == 1 and f"read as {law} at 8000 Hz" in sentences[0]
    with path.open("rb") as file:
        assert len(load(file)[0]) == SECONDS * SAMPLE_RATE


@pytest.mark.parametrize("suffix", ["pcm", "raw", "sw", "s16", "ub", "f32"])
def test_other_sound_without_a_header_is_no_guess(tmp_path, suffix):
    path = tmp_path / f"call.{suffix}"
    path.write_bytes((noise(8000)[0] * 32767).astype("<i2").tobytes())
    with pytest.raises(AudioError, match=r"without a header.*ffmpeg -f s16le -ar 8000 -ac 1 -i IN"):
        load_audio(path)


def test_a_wav_of_any_name_is_a_wav(tmp_path):
    path = write_media(tmp_path / "x.wav", noise(16000), 16000, codec="pcm_s16le")
    for suffix in ("ul", "raw", "pcm"):
        other = path.rename(tmp_path / f"x.{suffix}")
        assert (len(load(other)[0]), load(other)[1]) == (SECONDS * SAMPLE_RATE, [])
        path = other


def test_every_readable_file_of_a_folder_is_found_and_the_others_are_given(tmp_path):
    sound = write_media(tmp_path / "a.wav", noise(16000), 16000, codec="pcm_s16le").read_bytes()
    endings = "wave aifc mp2 m4b spx gsm mts ogv 3g2 vob snd asf tta MP3".split()  # noqa: SIM905
    for ending in endings:
        (tmp_path / f"b.{ending}").touch()  # known by its ending: not opened
    assert {f".{ending.lower()}" for ending in endings} <= MEDIA_SUFFIXES
    for name in ("recorder.dat", "no_ending", "x.2026-11-30"):
        (tmp_path / name).write_bytes(sound)
    (tmp_path / "notes.txt").write_bytes(sound)  # an ending that says it is none
    (tmp_path / "list.playlist").write_text("#EXTM3U\na.wav\n")
    (tmp_path / "noise.bin").write_bytes(np.random.default_rng(0).bytes(5000))
    others = []
    found = [path.name for path in media_below(tmp_path, on_other=others.append)]
    expected = ["a.wav", *(f"b.{e}" for e in endings), "no_ending", "recorder.dat", "x.2026-11-30"]
    assert sorted(found) == sorted(expected)
    assert sorted(path.name for path in others) == ["list.playlist", "noise.bin", "notes.txt"]
