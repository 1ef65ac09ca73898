"""A recording at one level, read in blocks as often as needed, in bounded memory.

The level of a recording is known only at its end, and what follows reads it twice more: once to
segment it, once to embed it. It is decoded once. Its samples wait in memory if they are few, else
in a temporary file, 230 MB for an hour; where there is no room for that, it is decoded again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from shutil import disk_usage
from tempfile import SpooledTemporaryFile, gettempdir
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diarize.audio.level import LevelMeter
from encoder.audio.high_pass import HighPass
from encoder.audio.load import (
    Track,
    reopenable,
    samples_to_seconds,
    seconds_to_samples,
    stream_audio,
)
from encoder.audio.media.sources import Source
from encoder.errors import AudioError

__all__ = ["Recording", "Sound", "open_recording"]

BLOCK = seconds_to_samples(30.0)
IN_MEMORY = 64 << 20  # bytes: 17 minutes
LEFT_FREE = 256 << 20  # bytes of the disk that are not ours


class Recording:
    """A wave of any length that is read in blocks, as often as needed, at one level.

    Args:
        length: samples at 16 kHz.
        gain: what the blocks are multiplied by.
        read: gives the wave anew in blocks (T,) at each call.
    """

    def __init__(self, length: int, gain: float, read: Callable[[], Iterator[Tensor]]) -> None:
        self.length = length
        self.gain = gain
        self._read = read

    def blocks(self, on_progress: Callable[[int], None] | None = None) -> Iterator[Tensor]:
        """The wave in blocks (T,), from its beginning.

        Args:
            on_progress: is given the number of samples that the caller has done with.

        Returns:
            An iterator over blocks (T,) float32 of any lengths, times the gain.
        """
        done = 0
        for block in self._read():
            yield block * self.gain
            done += len(block)
            if on_progress:
                on_progress(done)


# A media file, "-", a binary file, a wave (T,) at 16 kHz, or a recording made elsewhere.
Sound: TypeAlias = Source | Tensor | NDArray[np.floating] | Recording


@contextmanager
def open_recording(
    audio: Sound,
    *,
    channel: int | None = None,
    track: Track = None,
    on_warning: Callable[[str], None],
    on_progress: Callable[[float], None],
) -> Iterator[Recording]:
    """Decode a media file, "-" for standard input, or take a wave (T,), which stays where it is.

    Of a media file `channel` and `track` are taken, as `stream_audio` has them. A `Recording` stays
    as it is: its `read` may make the sound up or fetch it from anywhere.
    on_progress: is given the seconds read so far. AudioError for sound that cannot be read.
    """
    if isinstance(audio, Recording):
        yield audio
        return
    if isinstance(audio, np.ndarray):
        if audio.dtype.kind != "f":
            raise AudioError(
                f"the wave is an array of {audio.dtype}: give floats in [-1, 1], at 16 kHz"
            )
        audio = torch.from_numpy(np.ascontiguousarray(audio, np.float32))
    if isinstance(audio, Tensor):
        wave = audio.detach().to("cpu", torch.float32)
        if wave.dim() != 1:
            raise ValueError(f"a recording must be a wave (T,), not of shape {tuple(wave.shape)}")
        meter, read = LevelMeter(), partial(_pieces, wave)
        for piece in read():
            meter.add(piece)
        yield _levelled(len(wave), meter, read, on_warning)
        return
    with ExitStack() as stack:
        source = stack.enter_context(reopenable(audio))
        decode = partial(
            stream_audio, source, block_s=samples_to_seconds(BLOCK), channel=channel, track=track
        )
        file = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - in the stack
        stack.callback(_close, file)
        spool = _Spool(file)
        meter, length = LevelMeter(), 0
        for block in decode(on_warning=on_warning):
            meter.add(block)
            length += len(block)
            spool.keep(block)
            on_progress(samples_to_seconds(length))
        again = partial(decode, on_warning=lambda sentence: None)  # given already
        yield _levelled(length, meter, spool.read if spool.has_all else again, on_warning)


def _levelled(
    length: int,
    meter: LevelMeter,
    read: Callable[[], Iterator[Tensor]],
    on_warning: Callable[[str], None],
) -> Recording:
    """The recording at its level, without what drowns the voice."""
    if not meter.drowned:
        return Recording(length, meter.gain, read)
    on_warning("offset, rumble or hum below 60 Hz is louder than the voice: it was taken away")
    return Recording(length, meter.gain, lambda: map(HighPass().add, read()))


def _pieces(wave: Tensor) -> Iterator[Tensor]:
    return iter(wave.split(BLOCK))


class _Spool:
    """Blocks that are kept in a temporary file as long as there is room, and then given up."""

    def __init__(self, file: SpooledTemporaryFile[bytes]) -> None:
        self.has_all = True
        self._file = file
        self._size = 0

    def keep(self, block: Tensor) -> None:
        """Keep a block (T,) if all before it were kept."""
        if not self.has_all:
            return
        data = block.numpy().data.cast("B")
        self._size += len(data)
        try:
            if self._size > IN_MEMORY and disk_usage(gettempdir()).free < LEFT_FREE + len(data):
                raise OSError("others need the rest of the disk")
            self._file.write(data)
            self._file.flush()
        except OSError:
            self.has_all = False
            _close(self._file)  # a full disk is no place to wait

    def read(self) -> Iterator[Tensor]:
        """The blocks, from the first."""
        self._file.seek(0)
        while data := self._file.read(4 * BLOCK):
            yield torch.frombuffer(bytearray(data), dtype=torch.float32)


def _close(file: SpooledTemporaryFile[bytes]) -> None:
    with suppress(OSError):  # where there was no room, closing tries once more
        file.close()
