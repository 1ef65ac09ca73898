"""Every container, rate and channel count gives the same wave, its clicks where they were put."""

import io
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from encoder.audio.load import (
    SAMPLE_RATE,
    load_audio,
    probe_duration,
    samples_to_seconds,
    seconds_to_samples,
    stream_audio,
)
from encoder.errors import AudioError, ConfigError
from tests.support.synth import click_times, clicks, write_media

ROOT = Path(__file__).parents[3]
TIMES_S = [0.31, 0.875, 1.07, 1.66]
DURATION_S = 1.8
LOSSLESS_S, LOSSY_S = 1 / SAMPLE_RATE, 0.0005

RATES = [8000, 11025, 16000, 22050, 44100, 48000]
# suffix, codec, rates, channels, samples by which it may be longer (an encoder's last frame)
FORMATS = [
    ("wav", "pcm_s16le", [*RATES, 96000], [1, 2, 6], 0),
    ("wav", "pcm_s16le", [44100], [8, 16], 0),
    ("wav", "pcm_u8", [22050], [1], 0),
    ("wav", "pcm_s24le", [44100], [1, 2], 0),
    ("wav", "pcm_s32le", [48000], [1], 0),
    ("wav", "pcm_s64le", [16000], [1], 0),
    ("wav", "pcm_f32le", [16000, 44100], [2], 0),
    ("wav", "pcm_f64le", [22050], [1], 0),
    ("wav", "pcm_mulaw", [8000], [1, 2], 0),
    ("wav", "pcm_alaw", [8000], [1], 0),
    ("flac", "flac", RATES, [1, 2, 6, 8], 0),
    ("mp3", "libmp3lame", RATES, [1, 2], 40),
    ("m4a", "aac", RATES, [1, 2, 6], 1024),
    ("mp4", "aac", [44100], [2, 8], 1024),
    ("mkv", "aac", RATES, [1, 2], 1024),
    ("mkv", "flac", [44100, 48000], [6], 0),
    ("mkv", "pcm_s16le", [44100], [2], 0),
    ("webm", "libopus", [8000, 16000, 48000], [1, 2, 6, 8], 0),
    ("opus", "libopus", [48000], [1, 2], 0),
    ("ogg", "libopus", [8000, 16000, 24000, 48000], [1, 6], 0),
    ("ogg", "vorbis", RATES, [2], 128),
]
CASES = [
    pytest.param(suffix, codec, rate, channels, longer, id=f"{suffix}-{codec}-{rate}-{channels}")
    for suffix, codec, rates, channel_counts, longer in FORMATS
    for rate in rates
    for channels in channel_counts
]


def refuse(sentence: str) -> None:
    raise AssertionError(f"a good file was warned about: {sentence}")


@pytest.mark.parametrize(("suffix", "codec", "rate", "channels", "longer"), CASES)
def test_clicks_stay_where_they_were_put(tmp_path, suffix, codec, rate, channels, longer):
    track = clicks(TIMES_S, duration_s=DURATION_S, rate=rate, channels=channels)
    encoder = {"strict": "experimental"} if codec == "vorbis" else {}
    path = write_media(tmp_path / f"x.{suffix}", track, rate, codec=codec, encoder=encoder)

    wave = load_audio(path, on_warning=refuse)

    assert wave.dtype == torch.float32 and wave.ndim == 1
    assert float(wave.abs().max()) == pytest.approx(0.5, abs=0.1)
    tolerance_s = LOSSLESS_S if longer == 0 and codec != "libopus" else LOSSY_S
    assert click_times(wave.numpy(), TIMES_S) == pytest.approx(TIMES_S, abs=tolerance_s)
    longer_s = longer / rate
    excess = len(wave) - DURATION_S * SAMPLE_RATE
    assert -1 <= excess <= longer_s * SAMPLE_RATE + 1
    assert probe_duration(path) == pytest.approx(DURATION_S, abs=0.15)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000, 96000])
def test_resampling_keeps_a_tone_to_the_last_sample(tmp_path, rate):
    # the oracle: the same tone drawn at 16 kHz; a delay of a tenth of a sample would show
    pitch_hz, size = 700.0, rate + rate // 7
    tone = 0.6 * np.sin(2 * np.pi * pitch_hz * np.arange(size) / rate)
    path = write_media(tmp_path / "x.wav", np.float32(tone)[None], rate, codec="pcm_f32le")
    wave = load_audio(path).numpy()

    expected = 0.6 * np.sin(2 * np.pi * pitch_hz * np.arange(len(wave)) / SAMPLE_RATE)
    assert len(wave) == int(size * SAMPLE_RATE / rate + 0.5)
    assert np.abs(wave - expected)[100:-100].max() < 2e-3
    assert np.abs(wave - expected)[-100:].max() < 0.2


def test_16_khz_samples_come_through_unchanged(tmp_path):
    noise = np.random.default_rng(0).integers(-32768, 32768, 40000).astype(np.float32) / 32768
    path = write_media(tmp_path / "x.flac", noise[None], 16000, codec="flac")
    np.testing.assert_array_equal(load_audio(path).numpy(), noise)


def test_channels_are_mixed_by_their_plain_mean(tmp_path):
    # FFmpeg's own downmix would drop the fourth channel of 5.1, the low-frequency one
    track = np.zeros((6, 16000), np.float32)
    track[3] = clicks([0.5], duration_s=1.0, rate=16000)[0]
    path = write_media(tmp_path / "x.wav", track, 16000, codec="pcm_f32le")
    np.testing.assert_allclose(load_audio(path).numpy(), track[3] / 6, atol=1e-7)
    np.testing.assert_array_equal(load_audio(path, channel=3).numpy(), track[3])
    assert not load_audio(path, channel=2).any()


@pytest.mark.parametrize(("suffix", "codec"), [("wav", "pcm_s16le"), ("m4a", "aac")])
def test_one_channel_can_be_taken(tmp_path, suffix, codec):
    left, right = [0.31, 1.07], [0.66, 1.41]
    track = np.concatenate([clicks(t, duration_s=1.8, rate=44100) for t in (left, right)])
    path = write_media(tmp_path / f"x.{suffix}", track, 44100, codec=codec)
    for channel, times_s, others_s in ((0, left, right), (1, right, left)):
        wave = load_audio(path, channel=channel).numpy()
        assert click_times(wave, times_s) == pytest.approx(times_s, abs=LOSSY_S)
        assert np.isnan(click_times(wave, others_s)).all()
    mix = load_audio(path).numpy()
    assert click_times(mix, left + right) == pytest.approx(left + right, abs=LOSSY_S)
    with pytest.raises(AudioError, match=r"no channel 2: it has 2, so give one of 0 to 1"):
        load_audio(path, channel=2)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_sound_that_starts_after_the_picture_has_silence_before_it(tmp_path, suffix):
    track = clicks([0.31, 1.07], duration_s=1.5, rate=44100)
    path = write_media(
        tmp_path / f"x.{suffix}", track, 44100, codec="aac", starts_s=1.25, picture_s=3.0
    )
    wave = load_audio(path, on_warning=refuse).numpy()
    assert click_times(wave, [1.56, 2.32]) == pytest.approx([1.56, 2.32], abs=0.001)
    assert len(wave) / SAMPLE_RATE == pytest.approx(2.75, abs=0.03)


def test_a_file_of_sound_alone_starts_at_its_first_sample(tmp_path):
    track = clicks([0.31, 1.07], duration_s=1.5, rate=48000)
    path = write_media(tmp_path / "x.mkv", track, 48000, codec="flac", starts_s=5.0)
    sentences = []
    wave = load_audio(path, on_warning=sentences.append).numpy()
    assert len(sentences) == 1 and "begins at 5.0 s of its own clock" in sentences[0]
    assert click_times(wave, [0.31, 1.07]) == pytest.approx([0.31, 1.07], abs=0.001)


def test_a_cover_picture_does_not_move_the_sound(tmp_path):
    plain = write_media(
        tmp_path / "x.mp3", clicks(TIMES_S, duration_s=1.8, rate=44100), 44100, codec="libmp3lame"
    )
    path = tmp_path / "cover.mp3"
    with av.open(str(plain)) as old, av.open(str(path), "w") as new:
        sound = new.add_stream_from_template(old.streams.audio[0])
        cover = new.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
        picture = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
        packets = cover.encode(picture) + cover.encode(None)
        for packet in old.demux(old.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = sound
                packets.append(packet)
        for packet in packets:
            new.mux(packet)
    wave = load_audio(path, on_warning=refuse).numpy()
    assert click_times(wave, TIMES_S) == pytest.approx(TIMES_S, abs=LOSSY_S)


@pytest.mark.parametrize(("suffix", "codec"), [("wav", "pcm_s16le"), ("mp3", "libmp3lame")])
def test_blocks_and_parts_are_cut_from_one_wave(tmp_path, suffix, codec):
    noise = np.random.default_rng(1).standard_normal((2, 44100 * 3)).astype(np.float32) * 0.1
    path = write_media(tmp_path / f"x.{suffix}", noise, 44100, codec=codec)
    whole = load_audio(path)
    for block_s in (0.01, 0.37, 1.0, 2.0, 30.0):
        blocks = list(stream_audio(path, block_s=block_s))
        assert all(len(block) == seconds_to_samples(block_s) for block in blocks[:-1])
        assert torch.equal(torch.cat(blocks), whole)
    for start_s, duration_s in ((0.0, 0.5), (0.123456, 1.0), (2.5, 30.0), (1.0, None)):
        part = load_audio(path, start_s=start_s, duration_s=duration_s)
        first = seconds_to_samples(start_s)
        last = None if duration_s is None else first + seconds_to_samples(duration_s)
        assert torch.equal(part, whole[first:last])


@pytest.mark.parametrize("suffix", ["m4a", "mp3", "ogg"])
def test_a_pipe_gives_the_same_wave_as_the_file(tmp_path, suffix):
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: int) -> int:
            raise io.UnsupportedOperation("a pipe cannot be sought in")

    codec = {"m4a": "aac", "mp3": "libmp3lame", "ogg": "libopus"}[suffix]
    track = clicks(TIMES_S, duration_s=DURATION_S, rate=48000)
    path = write_media(tmp_path / f"x.{suffix}", track, 48000, codec=codec)
    whole, data = load_audio(path), path.read_bytes()
    pipe = Pipe(data)
    assert probe_duration(pipe) is None
    assert torch.equal(load_audio(pipe), whole)
    stream = io.BytesIO(data)
    stream.read(100)  # a file object is read from its beginning, and left open
    assert torch.equal(load_audio(stream), whole)
    assert probe_duration(stream) == probe_duration(path)


def test_standard_input_is_read_and_nothing_is_printed(tmp_path):
    track = clicks(TIMES_S, duration_s=DURATION_S, rate=44100)
    path = write_media(tmp_path / "x.m4a", track, 44100, codec="aac")
    script = "from encoder.audio.load import load_audio; load_audio('-').numpy().tofile('out.f32')"
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=path.read_bytes(),
        capture_output=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    wave = np.fromfile(tmp_path / "out.f32", np.float32)
    np.testing.assert_array_equal(wave, load_audio(path).numpy())


@pytest.mark.parametrize(
    "setting",
    [
        {"channel": -1},
        {"start_s": -0.5},
        {"start_s": float("nan")},
        {"duration_s": 0.0},
        {"duration_s": float("inf")},
        {"block_s": 0.0},
        {"block_s": -1.0},
    ],
)
def test_impossible_settings_are_refused_before_anything_is_opened(setting):
    (name,) = setting
    with pytest.raises(ConfigError, match=name):
        stream_audio("no such file.wav", **setting)


@given(st.integers(min_value=-(10**10), max_value=10**10))
def test_a_sample_survives_the_way_to_seconds_and_back(sample):
    assert seconds_to_samples(samples_to_seconds(sample)) == sample


@given(st.integers(min_value=-(10**8), max_value=10**8))
def test_half_a_sample_is_rounded_up(sample):
    between_s = float(f"{(2 * sample + 1) * 3125}e-8")  # sample + 1/2, as a person writes it
    assert seconds_to_samples(between_s) == sample + 1


def test_seconds_that_are_no_time_are_refused():
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="finite"):
            seconds_to_samples(value)
