"""Sound made for tests: click tracks of known times, and a writer for any container.

track = clicks([0.31, 1.07], duration_s=2.0, rate=44100, channels=2)   # (C, T) float32
write_media(path, track, 44100, codec="aac")
click_times(wave, near=[0.31, 1.07])                                   # seconds, measured
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1", 16: "hexadecagonal"}
_WIDTH_S = 0.002  # standard deviation of a click's envelope
_PITCH_HZ = 1000.0


def clicks(
    times_s: Iterable[float], *, duration_s: float, rate: int, channels: int = 1
) -> np.ndarray:
    """(C, T) float32 silence with a 1 kHz burst of some 8 ms centred on each time, peak 0.5."""
    track = np.zeros(round(duration_s * rate), np.float32)
    for time_s in times_s:
        first = max(0, int((time_s - 0.02) * rate))
        at_s = np.arange(first, min(track.size, int((time_s + 0.02) * rate))) / rate - time_s
        track[first : first + at_s.size] += 0.5 * _burst(at_s).real
    return np.tile(track, (channels, 1))


def click_times(wave: np.ndarray, near: Sequence[float], *, rate: int = 16000) -> list[float]:
    """Where the click closest to each of `near` (within 0.1 s) really is in `wave` (T,), in s.

    NaN where there is none. The match is by the envelope, so the carrier's phase is no matter.
    """
    shape = _burst(np.arange(-round(0.01 * rate), round(0.01 * rate) + 1) / rate)
    found = []
    for time_s in near:
        first = max(0, round((time_s - 0.11) * rate))
        part = wave[first : round((time_s + 0.11) * rate)]
        match = np.abs(np.correlate(part.astype(complex), shape, mode="same"))
        loud = match.size > 0 and match.max() > 0.1 * np.sum(np.abs(shape) ** 2)
        found.append((first + int(match.argmax())) / rate if loud else float("nan"))
    return found


def _burst(at_s: np.ndarray) -> np.ndarray:
    return np.exp(-0.5 * (at_s / _WIDTH_S) ** 2 + 2j * np.pi * _PITCH_HZ * at_s)


def write_media(
    path: str | Path,
    track: np.ndarray | Iterable[np.ndarray],
    rate: int,
    *,
    codec: str,
    file_format: str | None = None,
    holes: Sequence[tuple[float, float]] = (),
    starts_s: float = 0.0,
    picture_s: float = 0.0,
    muxer: dict[str, str] | None = None,
    encoder: dict[str, str] | None = None,
) -> Path:
    """Encode `track` (C, T) float32 at `rate` into `path`; the suffix chooses the container.

    track: one array, or several that follow each other (for hours that need not fit in memory).
    holes: packets whose time falls into one of these (start_s, end_s) are lost.
    starts_s: added to every timestamp of the sound.
    picture_s: length of a video track beside it, which starts at 0.
    muxer, encoder: FFmpeg's private options.
    """
    path = Path(path)
    parts = iter(_seconds_of(track, rate) if isinstance(track, np.ndarray) else track)
    first = next(parts)
    layout = LAYOUTS[first.shape[0]]
    with av.open(str(path), "w", format=file_format, options=muxer or {}) as container:
        sound = container.add_stream(codec, rate=rate, layout=layout, options=encoder or {})
        context = sound.codec_context
        resampler = av.AudioResampler(format=context.format, layout=layout, rate=rate)
        pictures = _pictures(container, picture_s) if picture_s else []
        packets = []
        at = 0
        for part in itertools.chain([first], parts):
            packed = np.ascontiguousarray(part.T).reshape(1, -1)  # PyAV 18 crashes on eight planes
            frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
            frame.sample_rate, frame.pts, frame.time_base = rate, at, Fraction(1, rate)
            at += part.shape[1]
            for ready in resampler.resample(frame):
                packets += sound.encode(ready)
        for packet in pictures:
            container.mux(packet)
        for packet in packets + sound.encode(None):
            at_s = float(packet.pts * packet.time_base)
            shift = round(starts_s / packet.time_base)
            packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
            if not any(start_s <= at_s < end_s for start_s, end_s in holes):
                container.mux(packet)
    return path


def write_tracks(
    path: Path, tracks: Sequence[np.ndarray], *, titles: Sequence[str] = (), rate: int = 16000
) -> Path:
    """A film of nothing but audio tracks (T,), all of one length, interleaved."""
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("pcm_s16le", rate=rate, layout="mono") for _ in tracks]
        for stream, title in zip(streams, titles, strict=False):
            stream.metadata["title"] = title
        for at in range(0, len(tracks[0]), rate // 10):
            for stream, wave in zip(streams, tracks, strict=True):
                samples = np.round(wave[None, at : at + rate // 10] * 32767).astype(np.int16)
                frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
                frame.sample_rate, frame.pts = rate, at
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode(None))
    return path


def _seconds_of(track: np.ndarray, rate: int) -> list[np.ndarray]:
    return [track[:, at : at + rate] for at in range(0, track.shape[1], rate)]


def _pictures(container: av.container.OutputContainer, duration_s: float) -> list[av.Packet]:
    """The packets of a new video track: small grey frames, ten a second."""
    video = container.add_stream("mpeg4", rate=10)
    video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
    grey = np.full((48, 64, 3), 128, np.uint8)
    packets = []
    for index in range(round(duration_s * 10)):
        frame = av.VideoFrame.from_ndarray(grey, format="rgb24")
        frame.pts, frame.time_base = index, Fraction(1, 10)
        packets += video.encode(frame)
    return packets + video.encode(None)


def rewrite(path: Path, to: Path, *, muxer: dict[str, str] | None = None) -> Path:
    """Copy the sound's packets into another container file without encoding them again."""
    with av.open(str(path)) as old, av.open(str(to), "w", options=muxer or {}) as new:
        stream = new.add_stream_from_template(old.streams.audio[0])
        for packet in old.demux(old.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)
    return to


def cut_file(path: Path, keep: float) -> Path:
    """Leave only the first `keep` (0..1) of the file's bytes."""
    data = path.read_bytes()
    path.write_bytes(data[: round(len(data) * keep)])
    return path


def damage_file(path: Path, at: float, size: int, *, seed: int = 0) -> Path:
    """Overwrite `size` bytes at the share `at` (0..1) of the file with noise."""
    data = bytearray(path.read_bytes())
    first = round(len(data) * at)
    data[first : first + size] = np.random.default_rng(seed).bytes(size)
    path.write_bytes(data)
    return path
