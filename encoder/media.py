"""Media files opened and decoded: the only room that imports PyAV.

`open_media` turns anything a user may name into an open container with one chosen audio
stream; `decode` yields its pieces with the times written in the file; `resample` changes the
rate. What a sample's place on the timeline is, and what a listener is told, is decided in
`encoder.audio`.

Bytes are read through a Python file, never by FFmpeg itself, and every FFmpeg protocol is
refused: a playlist cannot make this toolkit fetch other files or use the network. PyAV keeps
FFmpeg's own log quiet, so nothing is printed.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeAlias

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition

from encoder.errors import AudioError

__all__ = ["Media", "Piece", "Source", "decode", "open_media", "resample"]

Source: TypeAlias = str | os.PathLike[str] | BinaryIO

_READ_BYTES = 1 << 16
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
    """A decoded stretch. `samples` is (C, T) float32 with full scale at 1, C channels."""

    samples: np.ndarray
    rate: int
    at_s: float | None  # time of its first sample on the timeline, None if the file has none
    damaged: bool = False  # something just before it could not be decoded


@contextmanager
def open_media(source: Source) -> Iterator[Media]:
    """Open a path, "-" (standard input) or a binary file object, read from its beginning.

    What cannot be sought in is first copied to a temporary file, as some containers keep their
    table of contents at the end. Raises AudioError for anything that is not media with sound.
    """
    with ExitStack() as stack:
        file, name = _open_file(source, stack)
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
    piece after a damaged place carries `damaged`; damage at the end comes as an empty piece.
    Raises AudioError for a sampling rate that cannot be.
    """
    origin_s: float | None = None
    first_rate = media.stream.rate
    damaged, timed = False, True
    for frames in _frames(media):
        damaged = damaged or frames is None
        for frame in frames or ():
            if frame.samples == 0:
                continue
            if not _RATES[0] <= frame.sample_rate <= _RATES[1]:
                raise AudioError(
                    f"{media.name} claims {frame.sample_rate} samples a second, so its header "
                    f"is damaged: record or export it again"
                )
            at_s = None
            if media.container.format.name == "aac" and frame.sample_rate != first_rate:
                timed = False  # raw AAC has no times; FFmpeg makes them up from the first rate
            if timed and frame.pts is not None and frame.time_base is not None:
                at_s = float(frame.pts * frame.time_base)
                if origin_s is None:  # FFmpeg's start is late for WebM that holds 8 kHz Opus
                    origin_s = max(0.0, min(media.origin_s, at_s))
                at_s -= origin_s
            yield Piece(_as_float(frame), frame.sample_rate, at_s, damaged)
            damaged = False
    if damaged:
        yield Piece(np.zeros((1, 0), np.float32), 0, None, True)


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


def _open_file(source: Source, stack: ExitStack) -> tuple[BinaryIO, str]:
    """A seekable file at its beginning, closed by `stack` if opened here, and its name."""
    file: BinaryIO
    try:
        if isinstance(source, str) and source == "-":
            name = "standard input"
            if sys.stdin is None or sys.stdin.closed or sys.stdin.isatty():
                raise AudioError(
                    f"{name} is a terminal or closed: feed it a media file, as in "
                    "`diarize - < call.mp3`"
                )
            file = sys.stdin.buffer
        elif isinstance(source, (str, os.PathLike)):
            name = repr(str(source))
            if Path(source).is_dir():
                raise AudioError(f"{name} is a folder: give the path of one media file")
            file = stack.enter_context(Path(source).open("rb"))  # noqa: SIM115 - in the stack
        else:
            file, name = source, repr(str(getattr(source, "name", "the given stream")))
        if not file.seekable():
            spool = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - in the stack
            shutil.copyfileobj(file, spool)
            file = spool
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
    except FileNotFoundError as error:
        raise AudioError(f"{name} does not exist: check the path") from error
    except OSError as error:
        raise AudioError(
            f"{name} cannot be read ({error.strerror or error}): check that you may open it"
        ) from error
    if size == 0:
        raise AudioError(f"{name} is empty (0 bytes): record, copy or download it again")
    return file, name


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


def _as_float(frame: AudioFrame) -> np.ndarray:
    """(C, T) float32, whatever the frame's sample format; integers are scaled to [-1, 1)."""
    unsafe = frame.format.is_planar and frame.layout.nb_channels >= _UNSAFE_CHANNELS
    if unsafe or frame.format.name.startswith("s64"):  # which PyAV cannot give to numpy
        frame = _packed(frame)
    data = frame.to_ndarray()
    if not frame.format.is_planar:
        data = data.reshape(frame.samples, -1).T
    if data.dtype.kind == "f":
        return data.astype(np.float32)
    bits = 8 * data.dtype.itemsize
    scaled = data.astype(np.float32) * np.float32(2.0 ** (1 - bits))
    return scaled - np.float32(1) if data.dtype.kind == "u" else scaled


def _packed(frame: AudioFrame) -> AudioFrame:
    """The same samples interleaved; slow, but rare."""
    packer = av.AudioResampler(format="flt", layout=frame.layout, rate=frame.sample_rate)
    (packed,) = packer.resample(frame)
    return packed
