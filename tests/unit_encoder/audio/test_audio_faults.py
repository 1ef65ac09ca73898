"""Damaged media is used as far as it goes, with a sentence; what is no media is refused."""

import contextlib
import io
import os
import re
from pathlib import Path

import av
import numpy as np
import pytest

from encoder.audio.load import SAMPLE_RATE, AudioWarning, load_audio, probe_duration, stream_audio
from encoder.errors import AudioError
from tests.support.synth import click_times, clicks, cut_file, damage_file, rewrite, write_media

DURATION_S = 20.0
TIMES_S = [index + 0.37 for index in range(20)]
FRONT = {"movflags": "faststart"}  # the table of contents before the sound


def make(path, *, codec, rate=44100, muxer=None, **more):
    noise = 0.003 * np.random.default_rng(0).standard_normal((1, round(DURATION_S * rate)))
    track = clicks(TIMES_S, duration_s=DURATION_S, rate=rate) + noise.astype(np.float32)
    return write_media(path, track, rate, codec=codec, muxer=muxer, **more)


def load(path):
    sentences = []
    return load_audio(path, on_warning=sentences.append).numpy(), sentences


def clicks_found(wave, times_s=TIMES_S):
    """The clicks that are there, by the times they ought to have."""
    found = zip(times_s, click_times(wave, times_s), strict=True)
    return {ought: found_s for ought, found_s in found if not np.isnan(found_s)}


PROMISING = [
    ("wav", "pcm_s16le", 44100, None),
    ("wav", "pcm_mulaw", 8000, None),
    ("flac", "flac", 44100, None),
    ("mp3", "libmp3lame", 44100, None),
    ("m4a", "aac", 44100, FRONT),
    ("mkv", "aac", 44100, None),
    ("webm", "libopus", 48000, None),
]


@pytest.mark.parametrize(("suffix", "codec", "rate", "muxer"), PROMISING)
def test_a_file_cut_off_is_used_to_its_end_and_says_so(tmp_path, suffix, codec, rate, muxer):
    path = make(tmp_path / f"x.{suffix}", codec=codec, rate=rate, muxer=muxer)
    wave, sentences = load(path)
    assert sentences == []

    cut, sentences = load(cut_file(path, 0.6))

    assert 11.0 < len(cut) / SAMPLE_RATE < 13.0
    same = len(cut) - 2000
    np.testing.assert_allclose(cut[:same], wave[:same], atol=1e-6)
    end_s, missing_s = map(
        float, re.search(r"stops at (\d+\.\d) s but .* (\d+\.\d) s more", sentences[-1]).groups()
    )
    assert len(sentences) == 1 and str(path) in sentences[0]
    assert end_s == pytest.approx(len(cut) / SAMPLE_RATE, abs=0.06)
    assert end_s + missing_s == pytest.approx(DURATION_S, abs=0.15)


def test_without_a_callback_it_is_a_python_warning(tmp_path):
    path = cut_file(make(tmp_path / "x.flac", codec="flac", rate=8000), 0.5)
    with pytest.warns(AudioWarning, match="it was cut off"):
        load_audio(path)


def test_what_was_not_asked_for_is_not_warned_about(tmp_path):
    path = cut_file(make(tmp_path / "x.flac", codec="flac", rate=8000), 0.5)
    sentences = []
    load_audio(path, duration_s=5.0, on_warning=sentences.append)
    assert sentences == []


def test_a_length_estimated_from_the_bit_rate_is_no_promise(tmp_path):
    # variable rate without the header that counts frames: FFmpeg's estimate is far off
    loud = 0.3 * np.random.default_rng(0).standard_normal((1, 44100 * 3))
    track = np.concatenate([np.zeros((1, 44100 * 17)), loud], axis=1).astype(np.float32)
    counted = write_media(tmp_path / "x.mp3", track, 44100, codec="libmp3lame", encoder={"q": "2"})
    plain = {"write_xing": "0", "id3v2_version": "0"}
    path = rewrite(counted, tmp_path / "plain.mp3", muxer=plain)
    wave, sentences = load(path)
    assert sentences == []
    assert len(wave) / SAMPLE_RATE == pytest.approx(DURATION_S, abs=0.1)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFF000])
def test_a_wav_streamed_without_its_size_is_whole(tmp_path, size):
    path = make(tmp_path / "x.wav", codec="pcm_s16le", rate=16000)
    data = bytearray(path.read_bytes())
    at = data.index(b"data") + 4
    data[at : at + 4] = size.to_bytes(4, "little")
    path.write_bytes(data)
    wave, sentences = load(path)
    assert (len(wave), sentences) == (DURATION_S * SAMPLE_RATE, [])


@pytest.mark.parametrize(
    ("suffix", "codec", "rate", "muxer", "bytes_lost"),
    [
        ("flac", "flac", 44100, None, 3000),
        ("m4a", "aac", 44100, FRONT, 2000),
        ("mkv", "aac", 44100, {"cluster_time_limit": "1000"}, 2000),
        ("webm", "libopus", 48000, {"cluster_time_limit": "1000"}, 2000),
        ("ts", "aac", 44100, None, 3000),
    ],
)
def test_after_damage_the_sound_is_back_in_its_place(
    tmp_path, suffix, codec, rate, muxer, bytes_lost
):
    path = make(tmp_path / f"x.{suffix}", codec=codec, rate=rate, muxer=muxer)
    whole = clicks_found(load(path)[0])
    assert len(whole) == 20
    wave, sentences = load(damage_file(path, 0.5, bytes_lost))
    assert any("is damaged at" in s or "lacks sound at" in s for s in sentences)
    found = clicks_found(wave)
    assert len(found) >= 17
    for ought_s, found_s in found.items():
        assert found_s == pytest.approx(whole[ought_s], abs=0.004)


def test_damaged_mp3_loses_only_what_is_damaged(tmp_path):
    # an MP3 holds no times: what follows moves up by the frames lost, 26 ms each
    path = damage_file(make(tmp_path / "x.mp3", codec="libmp3lame"), 0.5, 300)
    wave, sentences = load(path)
    assert len(sentences) == 1 and "is damaged at 10.0 s" in sentences[0]
    found = clicks_found(wave)
    assert len(found) >= 19
    assert all(ought_s - 0.06 < found_s <= ought_s + 0.001 for ought_s, found_s in found.items())


@pytest.mark.parametrize(("suffix", "codec"), [("mkv", "aac"), ("webm", "libopus"), ("ts", "aac")])
def test_lost_packets_leave_silence_of_their_length(tmp_path, suffix, codec):
    whole = make(tmp_path / f"y.{suffix}", codec=codec, rate=48000)
    path = make(tmp_path / f"x.{suffix}", codec=codec, rate=48000, holes=[(5.0, 8.0), (12.0, 12.5)])
    before = clicks_found(load(whole)[0])
    wave, sentences = load(path)
    assert len(sentences) == 1
    assert re.search(r"lacks sound at 5\.0 s \(the first of 2 places\): 3\.5 s", sentences[0])
    assert not wave[round(5.3 * SAMPLE_RATE) : round(7.7 * SAMPLE_RATE)].any()
    found = clicks_found(wave)
    assert len(found) == 16
    for ought_s, found_s in found.items():
        assert found_s == pytest.approx(before[ought_s], abs=0.002)


def test_sound_laid_over_sound_is_played_once(tmp_path):
    # one second of packets is written again with the same times
    path = make(tmp_path / "x.mkv", codec="pcm_s16le", rate=16000)
    twice = tmp_path / "twice.mkv"
    with av.open(str(path)) as old, av.open(str(twice), "w") as new:
        stream = new.add_stream_from_template(old.streams.audio[0])
        packets = [packet for packet in old.demux() if packet.pts is not None]
        times = [float(packet.pts * packet.time_base) for packet in packets]
        again = [packet for packet, at_s in zip(packets, times, strict=True) if 6.0 <= at_s < 7.0]
        later = [packet for packet, at_s in zip(packets, times, strict=True) if at_s >= 7.0]
        copies = [(bytes(packet), packet.pts) for packet in again]
        for packet in [p for p in packets if p not in later]:
            packet.stream = stream
            new.mux(packet)
        for data, pts in copies:
            copy = av.Packet(data)
            copy.stream, copy.pts, copy.dts = stream, pts, again[-1].dts
            copy.time_base = again[-1].time_base
            new.mux(copy)
        for packet in later:
            packet.stream = stream
            new.mux(packet)
    wave, _ = load(twice)
    found = clicks_found(wave)
    assert len(found) == 20
    assert list(found.values()) == pytest.approx(TIMES_S, abs=0.002)
    assert len(wave) / SAMPLE_RATE == pytest.approx(DURATION_S, abs=0.01)


def test_a_rate_that_changes_on_the_way_keeps_time(tmp_path):
    parts = [
        make(tmp_path / "a.aac", codec="aac", rate=44100),
        make(tmp_path / "b.aac", codec="aac", rate=16000),
    ]
    lengths = [len(load(part)[0]) for part in parts]
    path = tmp_path / "x.aac"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    wave, _ = load(path)
    assert len(wave) == pytest.approx(sum(lengths), abs=1200)
    later = [lengths[0] / SAMPLE_RATE + time_s for time_s in TIMES_S]
    assert len(clicks_found(wave, TIMES_S + later)) == 40


def test_samples_that_are_no_numbers_are_silence(tmp_path):
    track = np.full((2, 32000), 0.25, np.float32)
    path = write_media(tmp_path / "x.wav", track, 16000, codec="pcm_f32le")
    data = bytearray(path.read_bytes())
    samples = np.frombuffer(data, np.float32, 64000, data.index(b"data") + 8)  # L R L R ...
    samples[[2000, 2001, 40000]] = [np.nan, np.inf, -np.inf]
    path.write_bytes(data)
    wave, sentences = load(path)
    assert len(sentences) == 1 and "no numbers at 0.0 s (the first of 2 places)" in sentences[0]
    assert wave[1000] == 0.0 and wave[20000] == 0.125
    assert np.count_nonzero(wave == 0.25) == 32000 - 2


def test_samples_beyond_full_scale_are_clipped(tmp_path):
    track = np.float32([[0.5, 3.0, -7.0, 1.0] * 8000])
    path = write_media(tmp_path / "x.wav", track, 16000, codec="pcm_f32le")
    np.testing.assert_array_equal(load(path)[0], np.float32([0.5, 1.0, -1.0, 1.0] * 8000))


def header_only(path):
    make(path, codec="pcm_s16le", rate=16000)
    path.write_bytes(path.read_bytes()[:44])


def picture_only(path):
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=10)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
        for packet in video.encode(frame) + video.encode(None):
            container.mux(packet)


def cut_before_its_index(path):
    cut_file(make(path, codec="aac", rate=16000), 0.9)


def unknown_codec(path):
    make(path, codec="pcm_s16le", rate=16000)
    data = bytearray(path.read_bytes())
    data[20:22] = b"\x99\x99"  # the format's number
    path.write_bytes(data)


def absurd_rate(path):
    make(path, codec="pcm_s16le", rate=16000)
    data = bytearray(path.read_bytes())
    data[24:28] = (2_000_000_000).to_bytes(4, "little")
    path.write_bytes(data)


def playlist(path):
    make(path.parent / "other.ts", codec="aac", rate=16000)
    path.write_text(
        "#EXTM3U\n#EXT-X-TARGETDURATION:20\n#EXTINF:20,\n"
        f"{path.parent / 'other.ts'}\n#EXT-X-ENDLIST\n"
    )


def noise(path):
    path.write_bytes(np.random.default_rng(0).bytes(50000))


UNUSABLE = [
    ("missing.wav", lambda path: None, "does not exist: check the path"),
    ("folder.wav", lambda path: path.mkdir(), "is a folder: give the path of one media file"),
    ("empty.mp3", lambda path: path.write_bytes(b""), r"is empty \(0 bytes\): record, copy or"),
    ("text.txt", lambda path: path.write_text("hello\n" * 200), "has no sound in it: give a file"),
    ("noise.bin", noise, "cannot be read as media .*: give an audio or video file"),
    ("header.wav", header_only, ": (give an audio or video|record or export)"),
    ("picture.mp4", picture_only, "has no sound in it: give a file with an audio track"),
    ("index.mp4", cut_before_its_index, "cannot be read as media"),
    ("codec.wav", unknown_codec, "of a kind that cannot be decoded here: convert it to WAV"),
    ("rate.wav", absurd_rate, "claims 2000000000 samples a second, so its header is damaged"),
    ("list.m3u8", playlist, "cannot be read as media"),
    ("http://localhost/x.wav", lambda path: None, "does not exist"),
    ("zero\0.wav", lambda path: None, r"cannot be read \(embedded null"),
]


@pytest.mark.parametrize(("name", "prepare", "sentence"), UNUSABLE, ids=[c[0] for c in UNUSABLE])
def test_what_cannot_be_used_is_refused_in_one_sentence(tmp_path, capfd, name, prepare, sentence):
    path = tmp_path / name if "://" not in name else name
    prepare(path)
    with pytest.raises(AudioError, match=sentence) as caught:
        load_audio(path)
    assert repr(str(path)) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_file_that_may_not_be_opened_is_refused(tmp_path):
    path = make(tmp_path / "x.wav", codec="pcm_s16le", rate=8000)
    path.chmod(0)
    if os.geteuid() == 0:  # root may read anything: be nobody for a moment
        os.seteuid(65534)
    try:
        with pytest.raises(AudioError, match=r"cannot be read \(Permission denied\): check that"):
            load_audio(path)
    finally:
        if os.getuid() == 0:
            os.seteuid(0)


def test_a_stream_without_a_name_is_still_named(tmp_path):
    with pytest.raises(AudioError, match=r"'the given stream' is empty"):
        load_audio(io.BytesIO())
    with pytest.raises(AudioError, match=r"'the given stream' is empty"):
        probe_duration(io.BytesIO())


def test_a_start_after_the_end_is_refused(tmp_path):
    path = make(tmp_path / "x.wav", codec="pcm_s16le", rate=8000)
    with pytest.raises(AudioError, match=r"ends at 20\.000 s, before the start asked for, 20\.500"):
        load_audio(path, start_s=20.5)


def test_a_stream_left_early_closes_its_file(tmp_path):
    path = make(tmp_path / "x.wav", codec="pcm_s16le", rate=8000)
    blocks = stream_audio(path, block_s=1.0)
    next(blocks)
    assert str(path) in files_open()
    blocks.close()
    assert str(path) not in files_open()


def files_open():
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("this system does not list open files in /proc")
    paths = []
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the listing's own descriptor is gone by now
            paths.append(str(link.readlink()))
    return paths
