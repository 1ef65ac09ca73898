"""An open media file's packets to frames with their times, and frames to arrays.

`decode` yields the frames of one track with the times written in the file; `samples_of` makes
arrays of them, many at a time; `resample` changes the rate.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream

from encoder.errors import AudioError

if TYPE_CHECKING:
    from encoder.audio.media.opening import Media

__all__ = ["Piece", "decode", "kind_of", "resample", "samples_of"]

_DTYPES = {
    name: np.dtype(dtype)
    for name, dtype in {
        "u8": "u1", "s16": "i2", "s32": "i4", "s64": "i8", "flt": "f4", "dbl": "f8",
    }.items()
}  # fmt: skip
# From so many channels on PyAV 18 reads past the last plane of a planar frame, and crashes.
_UNSAFE_CHANNELS = 8
_RATES = (1000, 1_000_000)  # Hz; anything else is nonsense in a header
_FRAMED = frozenset(["mpegts", "mpeg", "matroska", "mov", "asf", "flv", "avi", "ogg"])
_MAX_READ_FAILURES = 3  # in a row; some demuxers repeat the same error for ever


class Piece(NamedTuple):
    """A decoded frame and its place."""

    frame: AudioFrame | None  # None: the sound ends in something damaged
    at_s: float | None  # time of its first sample on the timeline, None if the file has none
    lost: int = 0  # packets just before it that could not be read or decoded, or only in part


def decode(media: Media) -> Iterator[Piece]:
    """Yield the track's pieces in the file's order; what cannot be decoded is left out.

    Encoder delay and padding that the container declares are already removed by FFmpeg. The
    piece after a damaged place says how much was `lost`; damage at the end comes as a piece without
    a frame. Raises AudioError for a sampling rate that cannot be.
    """
    origin_s: float | None = None
    first_rate = media.stream.rate
    raw_aac = media.container.format.name == "aac"
    lost, timed = 0, True
    least, latest = 1 << 62, 0  # bytes of a packet
    for frames, size, is_whole in _frames(media):
        if size:
            least, latest = min(least, latest or size), size
        if not frames:
            lost += not is_whole
        for frame in frames:
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
            yield Piece(frame, at_s, lost)
            lost = int(not is_whole)
    if lost or (_has_equal_packets(media) and latest < least):
        yield Piece(None, None, max(1, lost))


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


def _has_equal_packets(media: Media) -> bool:
    """Whether a short last packet is one that was cut off: some decoders do not complain of it."""
    bare = media.container.format.name in ("ac3", "eac3", "dts", "mp3")
    return bare and media.stream.codec_context.name.startswith(("ac3", "eac3", "dca", "mp2"))


def _frames(media: Media) -> Iterator[tuple[list[AudioFrame], int, bool]]:
    """Yield what each packet decodes to, its bytes, and whether it could be decoded in full."""
    # Where packets are cut out of a stream of samples, the last one is short, and called corrupt.
    framed = bool(_FRAMED & set(media.container.format.name.split(",")))
    failures = 0
    while failures < _MAX_READ_FAILURES:
        try:
            for packet in media.container.demux(media.stream):
                failures = 0
                frames = _decoded(media.stream, packet)
                is_whole = frames is not None and not (framed and packet.is_corrupt)
                yield frames or [], packet.size, is_whole
            return
        except IndexError:
            return  # PyAV at the very end of a file in which a stream appeared on the way
        except (av.FFmpegError, OSError):
            failures += 1
            yield [], 0, False
    yield _decoded(media.stream, None) or [], 0, True


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
