"""A recording at one level, read in blocks as often as needed, in bounded memory.

The level of a recording is known only at its end, and what follows reads it twice more: once to
segment it, once to embed it. It is decoded once. Its samples wait in memory if they are few, else
in a temporary file, 230 MB for an hour; where there is no room for that, it is decoded again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO

import numpy as np
import torch
from torch import Tensor

from diarize.audio.level import LevelMeter
from encoder.audio.load import reopenable, samples_to_seconds, seconds_to_samples, stream_audio
from encoder.errors import AudioError

__all__ = ["Recording", "open_recording"]

BLOCK = seconds_to_samples(30.0)
IN_MEMORY = 64 << 20  # bytes: 17 minutes


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


@contextmanager
def open_recording(
    audio: str | Path | Tensor | Recording,
    *,
    channel: int | None = None,
    on_warning: Callable[[str], None],
    on_progress: Callable[[float], None],
) -> Iterator[Recording]:
    """Decode a media file, "-" for standard input, or take a wave (T,), which stays where it is.

    A `Recording` stays as it is: its `read` may make the sound up or fetch it from anywhere.
    on_progress: is given the seconds read so far. AudioError for sound that cannot be read.
    """
    if isinstance(audio, Recording):
        yield audio
        return
    if isinstance(audio, Tensor):
        wave = audio.detach().to("cpu", torch.float32)
        if wave.dim() != 1:
            raise ValueError(f"a recording must be a wave (T,), not of shape {tuple(wave.shape)}")
        meter = LevelMeter()
        for piece in _pieces(wave):
            meter.add(piece)
        yield Recording(len(wave), meter.gain, partial(_pieces, wave))
        return
    if isinstance(audio, np.ndarray):
        raise AudioError("the recording is a numpy array: give `torch.from_numpy` of it")
    with ExitStack() as stack:
        source = stack.enter_context(reopenable(audio))
        decode = partial(stream_audio, source, block_s=samples_to_seconds(BLOCK), channel=channel)
        file = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - in the stack
        stack.callback(_close, file)
        spool: IO[bytes] | None = file
        meter, length = LevelMeter(), 0
        for block in decode(on_warning=on_warning):
            meter.add(block)
            length += len(block)
            spool = _kept(spool, block.numpy().data)
            on_progress(samples_to_seconds(length))
        again = partial(decode, on_warning=lambda sentence: None)  # given already
        yield Recording(length, meter.gain, again if spool is None else partial(_spooled, spool))


def _pieces(wave: Tensor) -> Iterator[Tensor]:
    return iter(wave.split(BLOCK))


def _kept(spool: IO[bytes] | None, data: memoryview) -> IO[bytes] | None:
    """The spool with the data, or None as soon as there is no room."""
    try:
        if spool is not None:
            spool.write(data)
            spool.flush()
    except OSError:
        return None
    return spool


def _close(spool: SpooledTemporaryFile[bytes]) -> None:
    with suppress(OSError):  # where there was no room, closing tries once more
        spool.close()


def _spooled(spool: IO[bytes]) -> Iterator[Tensor]:
    spool.seek(0)
    while data := spool.read(4 * BLOCK):
        yield torch.frombuffer(bytearray(data), dtype=torch.float32)
