"""Small files of sound in many containers, two seconds each, for `recipes.fuzz` to spoil."""

from __future__ import annotations

import io
from fractions import Fraction
from random import Random
from typing import NamedTuple

import av
import numpy as np

from encoder.audio.media.ogg_pages import page_checksum

__all__ = ["PLAYLISTS", "media_files", "with_right_checksums"]

_RATE = 16_000


class _Kind(NamedTuple):
    """How a file is made; `times` is what becomes of the packets' times in seconds."""

    name: str
    codec: str
    rate: int = _RATE
    channels: int = 1
    format: str | None = None
    tracks: int = 1
    picture: bool = False
    times: str = ""


_KINDS = (
    _Kind("wav", "pcm_s16le"), _Kind("stereo.wav", "pcm_s16le", 44_100, 2),
    _Kind("float.wav", "pcm_f32le"), _Kind("bytes.wav", "pcm_u8", 8000),
    _Kind("law.wav", "pcm_alaw", 8000), _Kind("ima.wav", "adpcm_ima_wav", 22_050),
    _Kind("ms.wav", "adpcm_ms", 8000), _Kind("six.wav", "pcm_s24le", 48_000, 6),
    _Kind("w64", "pcm_s16le"), _Kind("rf64", "pcm_s16le", format="wav"),
    _Kind("aiff", "pcm_s16be"), _Kind("caf", "pcm_s16be"), _Kind("au", "pcm_s16be"),
    _Kind("voc", "pcm_u8", 8000), _Kind("sox", "pcm_s32le"), _Kind("flac", "flac"),
    _Kind("stereo.flac", "flac", 44_100, 2), _Kind("ogg", "flac"), _Kind("opus", "libopus", 48_000),
    _Kind("vorbis.ogg", "vorbis", 44_100, 2), _Kind("spx", "flac", format="ogg"),
    _Kind("mp3", "libmp3lame"), _Kind("stereo.mp3", "libmp3lame", 44_100, 2), _Kind("mp2", "mp2"),
    _Kind("aac", "aac", format="adts"), _Kind("m4a", "aac", format="ipod"),
    _Kind("alac.m4a", "alac", format="ipod"), _Kind("mov", "pcm_s16le", picture=True),
    _Kind("mp4", "aac", 48_000, 2, picture=True), _Kind("3gp", "aac", 8000),
    _Kind("webm", "libopus", 48_000), _Kind("mkv", "aac", picture=True),
    _Kind("tracks.mkv", "pcm_s16le", 8000, tracks=3), _Kind("many.mkv", "flac", 8000, tracks=30),
    _Kind("tracks.mp4", "aac", tracks=2), _Kind("avi", "pcm_s16le", picture=True),
    _Kind("sound.avi", "libmp3lame"), _Kind("flv", "aac", 44_100),
    _Kind("mp3.flv", "libmp3lame", 22_050),
    _Kind("wma", "wmav2", 44_100, format="asf"),
    _Kind("wmv", "wmav2", 44_100, format="asf", picture=True),
    _Kind("ts", "aac"), _Kind("film.ts", "mp2", 48_000, picture=True),
    _Kind("mpg", "mp2", 48_000, format="mpeg"), _Kind("ac3", "ac3", 48_000, 2),
    _Kind("eac3", "eac3", 48_000), _Kind("amr", "libopencore_amrnb", 8000), _Kind("tta", "tta"),
    _Kind("wv", "wavpack"), _Kind("nut", "pcm_s16le"), _Kind("g722", "g722"),
    _Kind("gxf.nut", "mp2"),
    _Kind("jump.mkv", "pcm_s16le", times="jump"),
    _Kind("still.mkv", "pcm_s16le", times="still"), _Kind("jump.ts", "mp2", times="jump"),
    _Kind("jump.ogg", "flac", times="jump"),
    _Kind("leap.mkv", "pcm_s16le", times="leap"), _Kind("leap.nut", "pcm_s16le", times="leap"),
    _Kind("jump.m4a", "aac", format="ipod", times="jump"),
    _Kind("leap.wma", "wmav2", 44_100, format="asf", times="leap"),
    _Kind("leap.flv", "aac", 44_100, times="leap"),
)  # fmt: skip

# Texts that make a player open other files: they are refused, whatever becomes of them.
PLAYLISTS = {
    "list.ffconcat": b"ffconcat version 1.0\nfile 'in/good.wav'\nfile 'good.wav'\n",
    "list.m3u8": b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\ngood.wav\n#EXT-X-ENDLIST\n",
    "list.m3u": b"in/good.wav\n",
    "talk.sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\n"
    b"t=0 0\nm=audio 5004 RTP/AVP 0\n",
    "list.mpd": b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    b'mediaPresentationDuration="PT2S"><Period><AdaptationSet mimeType="audio/wav"><Representation '
    b'id="1" bandwidth="256000"><BaseURL>good.wav</BaseURL></Representation></AdaptationSet>'
    b"</Period></MPD>",
}  # fmt: skip


def media_files() -> dict[str, bytes]:
    """The files by name; those whose encoder this build of FFmpeg lacks are left out."""
    found = {}
    for number, kind in enumerate(_KINDS):
        try:
            found[kind.name if "." in kind.name else f"x.{kind.name}"] = _made(kind, number)
        except (av.FFmpegError, ValueError, KeyError):  # no such encoder or container here
            continue
    return found


def with_right_checksums(content: bytes) -> bytes:
    """Ogg pages with the checksum of what they hold, so that a change gets past it."""
    data, at = bytearray(content), content.find(b"OggS")
    while at >= 0 and at + 27 <= len(data):
        segments = data[at + 26]
        end = at + 27 + segments + sum(data[at + 27 : at + 27 + segments])
        if end > len(data):
            break
        data[at + 22 : at + 26] = page_checksum(bytes(data[at:end])).to_bytes(4, "little")
        at = data.find(b"OggS", end)
    return bytes(data)


def voice(hz: float, seconds: float, rate: int = _RATE) -> np.ndarray:
    """(T,) a buzz that comes and goes, with a little noise: speech to a detector of energy."""
    at_s = np.arange(round(seconds * rate)) / rate
    buzz = np.sign(np.sin(2 * np.pi * hz * at_s)) * (np.sin(2 * np.pi * 1.3 * at_s) > -0.6)
    hiss = np.random.default_rng(round(hz)).normal(size=at_s.size)
    return (0.2 * buzz + 0.004 * hiss).astype(np.float32)


def _made(kind: _Kind, number: int) -> bytes:
    file = io.BytesIO()
    suffix = kind.name.rpartition(".")[2]
    options = {"rf64": "always"} if kind.name == "rf64" else {}
    file.name = f"x.{suffix}"
    with av.open(
        file, "w", format=kind.format or _FORMATS.get(suffix, suffix), options=options
    ) as out:
        streams, packets = [], []
        layout = {1: "mono", 2: "stereo", 6: "5.1"}[kind.channels]
        for _ in range(kind.tracks):
            stream = out.add_stream(kind.codec, rate=kind.rate, layout=layout)
            if kind.codec == "vorbis":
                stream.codec_context.options = {"strict": "experimental"}
            streams.append(stream)
        picture = _picture(out) if kind.picture else []
        for track, stream in enumerate(streams):
            seconds = 2.0 if kind.tracks < 10 else 0.3
            wave = voice(100.0 + 31 * track + number, seconds, kind.rate)
            packets += _encoded(stream, np.tile(wave, (kind.channels, 1)), kind.rate, layout)
        for packet in sorted([*picture, *packets], key=_begin_s):
            out.mux(_moved(packet, kind.times))
    return file.getvalue()


_FORMATS = {
    "mkv": "matroska", "m4a": "ipod", "ts": "mpegts", "mpg": "mpeg", "opus": "ogg", "wma": "asf",
    "wmv": "asf",
}  # fmt: skip


def _encoded(
    stream: av.AudioStream, wave_CT: np.ndarray, rate: int, layout: str
) -> list[av.Packet]:
    packed = np.ascontiguousarray(wave_CT.T).reshape(1, -1)
    resampler = av.AudioResampler(
        format=stream.codec_context.format, layout=layout, rate=rate,
        frame_size=stream.codec_context.frame_size or 1024,
    )  # fmt: skip
    frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
    frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
    packets = []
    for ready in [*resampler.resample(frame), *resampler.resample(None)]:
        packets += stream.encode(ready)
    return packets + stream.encode(None)


def _picture(out: av.container.OutputContainer) -> list[av.Packet]:
    suffix = out.format.name
    video = out.add_stream("mpeg1video" if suffix == "mpegts" else "mpeg4", rate=25)
    video.width, video.height, video.pix_fmt = 32, 32, "yuv420p"
    packets = []
    for number in range(10):
        frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 99, np.uint8), format="rgb24")
        frame.pts, frame.time_base = number, Fraction(1, 25)
        packets += video.encode(frame)
    return packets + video.encode(None)


def _begin_s(packet: av.Packet) -> float:
    return 0.0 if packet.dts is None else float(packet.dts * packet.time_base)


def _moved(packet: av.Packet, how: str) -> av.Packet:
    """A packet of the second second with other times."""
    if how and packet.pts is not None and _begin_s(packet) > 1.0:
        tick = packet.time_base
        seconds = {"jump": 30.0, "leap": 40_000.0, "still": 1.0 - _begin_s(packet)}
        shift = round(seconds[how] / tick)
        packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
    return packet


def stretched(rng: Random, content: bytes) -> bytes:
    """Ogg pages with other times, and right checksums."""
    data, at, places = bytearray(content), content.find(b"OggS"), []
    while at >= 0:
        places.append(at)
        at = content.find(b"OggS", at + 4)
    for at in rng.sample(places, min(len(places), rng.choice([1, 1, 3]))):
        time = rng.choice([0, 1, 1 << 20, 1 << 31, 1 << 40, (1 << 63) - 1, (1 << 64) - 1])
        data[at + 6 : at + 14] = time.to_bytes(8, "little")[: len(data[at + 6 : at + 14])]
    return with_right_checksums(bytes(data))
