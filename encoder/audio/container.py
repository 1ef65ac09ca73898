"""Media files opened and decoded: the only room that imports PyAV.

`open_media` turns anything a user may name into an open container with one chosen audio
stream; `decode` yields its frames with the times written in the file; `samples_of` makes arrays
of them, many at a time; `resample` changes the rate. What a sample's place on the timeline is,
and what is warned of, is decided in `encoder.audio.load`.

Bytes are read through a Python file, never by FFmpeg itself, and every FFmpeg protocol is
refused: a playlist cannot make this toolkit fetch other files or use the network. PyAV keeps
FFmpeg's own log quiet, so nothing is printed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition

from encoder.audio.sources import Source, open_source
from encoder.errors import AudioError

__all__ = ["Media", "Piece", "decode", "kind_of", "open_media", "resample", "samples_of"]

_READ_BYTES = 1 << 16
_DTYPES = {
    name: np.dtype(dtype)
    for name, dtype in {
        "u8": "u1", "s16": "i2", "s32": "i4", "s64": "i8", "flt": "f4", "dbl": "f8",
    }.items()
}  # fmt: skip
# From so many channels on PyAV 18 reads past the last plane of a planar frame, and crashes.
_UNSAFE_CHANNELS = 8
_RATES = (1000, 1_000_000)  # Hz; anything else is nonsense in a header
_MAX_READ_FAILURES = 3  # in a row; some demuxers repeat the same error for ever


@dataclass(frozen=True)
class Media:
    """An open container, the audio stream to be read, and what its header says."""

    name: str  # as it is written in messages
    file: BinaryIO
    container: InputContainer
    stream: AudioStream
    origin_s: float  # the file's timestamp that players show as 0

    @property
    def length_s(self) -> float | None:
        """How long the container says it plays; may be an estimate from its bit rate."""
        duration = self.container.duration
        return None if duration is None else max(0.0, duration / av.time_base)


class Piece(NamedTuple):
    """A decoded frame and its place."""

    frame: AudioFrame | None  # None: the sound ends in something damaged
    at_s: float | None  # time of its first sample on the timeline, None if the file has none
    damaged: bool = False  # something just before it could not be decoded


@contextmanager
def open_media(source: Source) -> Iterator[Media]:
    """Open a path, "-" (standard input) or a binary file object, read from its beginning.

    What cannot be sought in is first copied (`encoder.audio.sources`). Raises AudioError for
    anything that is not media with sound.
    """
    with ExitStack() as stack:
        file, name = open_source(source, stack)
        try:
            container = stack.enter_context(
                av.open(
                    file,
                    mode="r",
                    buffer_size=_READ_BYTES,
                    metadata_errors="replace",
                    options={"protocol_whitelist": "none"},
                )
            )
        except (av.FFmpegError, OSError) as error:
            raise AudioError(
                f"{name} cannot be read as media ({error.strerror}): give an audio or video file "
                f"that a player can play, or convert it to WAV"
            ) from error
        stream = container.streams.best("audio")
        if stream is None:
            raise AudioError(f"{name} has no sound in it: give a file with an audio track")
        if not isinstance(stream, AudioStream) or stream.codec_context is None:
            raise AudioError(
                f"{name} holds sound of a kind that cannot be decoded here: convert it to WAV"
            )
        yield Media(name, file, container, stream, _origin_s(container))


def decode(media: Media) -> Iterator[Piece]:
    """Yield the stream's pieces in the file's order; what cannot be decoded is left out.

    Encoder delay and padding that the container declares are already removed by FFmpeg. The
    piece after a damaged place carries `damaged`; damage at the end comes as a piece without a
    frame. Raises AudioError for a sampling rate that cannot be.
    """
    origin_s: float | None = None
    first_rate = media.stream.rate
    raw_aac = media.container.format.name == "aac"
    damaged, timed = False, True
    for frames in _frames(media):
        damaged = damaged or frames is None
        for frame in frames or ():
            if frame.samples == 0:
                continue
            rate, pts = frame.sample_rate, frame.pts
            if not _RATES[0] <= rate <= _RATES[1]:
                raise AudioError(
                    f"{media.name} claims {rate} samples a second, so its header "
                    f"is damaged: record or export it again"
                )
            at_s = None
            if raw_aac and rate != first_rate:
                timed = False  # raw AAC has no times; FFmpeg makes them up from the first rate
            if timed and pts is not None and (tick_s := frame.time_base) is not None:
                at_s = pts * tick_s.numerator / tick_s.denominator
                if origin_s is None:  # FFmpeg's start is late for WebM that holds 8 kHz Opus
                    origin_s = max(0.0, min(media.origin_s, at_s))
                at_s -= origin_s
            yield Piece(frame, at_s, damaged)
            damaged = False
    if damaged:
        yield Piece(None, None, True)


def kind_of(frame: AudioFrame) -> tuple[str, int, int]:
    """Sample format, channels C and rate: what frames must share to be joined."""
    return frame.format.name, frame.layout.nb_channels, frame.sample_rate


def samples_of(frames: Sequence[AudioFrame]) -> np.ndarray:
    """Frames of one kind end to end, (C, T) float32; whole numbers are scaled to [-1, 1)."""
    name, C, _ = kind_of(frames[0])
    if name.endswith("p") and C >= _UNSAFE_CHANNELS:
        frames, name = [_packed(frame) for frame in frames], "flt"
    dtype = _DTYPES[name.removesuffix("p")]
    sizes = [frame.samples for frame in frames]
    if name.endswith("p"):
        planes = [frame.planes for frame in frames]
        data = np.empty((C, sum(sizes)), dtype)
        for c, channel in enumerate(data):
            parts = zip(planes, sizes, strict=True)
            np.concatenate([_array(part[c], dtype, size) for part, size in parts], out=channel)
    else:
        packed = zip(frames, sizes, strict=True)
        data = np.concatenate([_array(f.planes[0], dtype, size * C) for f, size in packed])
        data = data.reshape(-1, C).T
    samples_CT = data.astype(np.float32, copy=False)
    if dtype.kind == "f":
        return samples_CT
    samples_CT *= np.float32(2.0 ** (1 - 8 * dtype.itemsize))
    if dtype.kind == "u":
        samples_CT -= np.float32(1)
    return samples_CT


def resample(waves: Iterable[np.ndarray], rate: int, to_rate: int) -> Iterator[np.ndarray]:
    """Bring mono (T,) float32 pieces from `rate` to `to_rate`, flushing the filter's tail.

    The filter is that of swresample: linear phase, its delay compensated, so that sample 0 stays
    sample 0. The number of samples may differ from the exact ratio by a few at the end.
    """
    if rate == to_rate:
        yield from waves
        return
    resampler = av.AudioResampler(format="flt", layout="mono", rate=to_rate)
    for wave in waves:
        frame = AudioFrame.from_ndarray(wave[None], format="flt", layout="mono")
        frame.sample_rate = rate
        yield from (out.to_ndarray()[0] for out in resampler.resample(frame))
    yield from (out.to_ndarray()[0] for out in resampler.resample(None))


def _origin_s(container: InputContainer) -> float:
    """The earliest start of sound or moving pictures, but never before the timestamp 0.

    Negative times are what an encoder needs to warm up and are not shown; a cover picture has
    the time 0 whatever the sound has.
    """
    starts = [
        float(stream.start_time * stream.time_base)
        for stream in (*container.streams.audio, *container.streams.video)
        if stream.start_time is not None
        and stream.time_base is not None
        and not stream.disposition & Disposition.attached_pic
    ]
    return max(0.0, min(starts, default=0.0))


def _frames(media: Media) -> Iterator[list[AudioFrame] | None]:
    """Yield what each packet decodes to; None for one that could not be read or decoded."""
    failures = 0
    while failures < _MAX_READ_FAILURES:
        try:
            for packet in media.container.demux(media.stream):
                failures = 0
                yield _decoded(media.stream, packet)
            return
        except IndexError:
            return  # PyAV at the very end of a file in which a stream appeared on the way
        except (av.FFmpegError, OSError):
            failures += 1
            yield None
    yield _decoded(media.stream, None)


def _decoded(stream: AudioStream, packet: Any) -> list[AudioFrame] | None:
    try:
        return stream.codec_context.decode(packet)
    except av.FFmpegError:
        return None


def _array(plane: Any, dtype: np.dtype, size: int) -> np.ndarray:
    return np.frombuffer(plane, dtype, size)  # without the padding behind them


def _packed(frame: AudioFrame) -> AudioFrame:
    """The same samples interleaved; slow, but rare."""
    packer = av.AudioResampler(format="flt", layout=frame.layout, rate=frame.sample_rate)
    (packed,) = packer.resample(frame)
    return packed
