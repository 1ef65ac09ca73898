"""Sound in: any media file to a wave, mono float32 in [-1, 1] at 16 kHz.

Sample i of a wave is what a player plays i/16000 s after it starts the file. So an encoder's
warm-up is removed, sound that starts after the picture has silence before it, a hole in the
timestamps becomes silence, sound that comes twice is kept once, and pieces that were joined follow
one another. Between such jumps samples are counted, not timestamps followed: a container that
rounds its times to a millisecond does not make the clock tremble, and two hours do not drift.

Channels are mixed by their plain mean, whatever their places; FFmpeg's own mix would weigh them.

    file -> decode -> mix and place on the timeline -> resample -> cut -> blocks
"""

from __future__ import annotations

import itertools
import math
import os
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, closing
from fractions import Fraction
from operator import itemgetter
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import torch

from encoder.audio.media.container import UnreadableError
from encoder.audio.media.decoding import resample
from encoder.audio.media.opening import open_media
from encoder.audio.media.sources import Source, name_of, reopenable
from encoder.audio.timestamps import Notes, align
from encoder.common.units import SAMPLE_RATE, samples_to_seconds, seconds_to_samples
from encoder.errors import AudioError, ConfigError

__all__ = [
    "SAMPLE_RATE",
    "AudioWarning",
    "Track",
    "load_audio",
    "probe_duration",
    "readable_tracks",
    "reopenable",
    "samples_to_seconds",
    "seconds_to_samples",
    "stream_audio",
]


Track: TypeAlias = int | Literal["mix"] | None


class AudioWarning(UserWarning):
    """A media file that could be used, but not as it claims to be."""


def load_audio(
    source: Source,
    *,
    channel: int | None = None,
    track: Track = None,
    start_s: float = 0.0,
    duration_s: float | None = None,
    on_warning: Callable[[str], None] | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> torch.Tensor:
    """Read a media file into one wave.

    Args:
        source: A path, "-" for standard input, or a binary file object (read from its beginning).
        channel: Take this one, counted from 0, instead of the mean of all.
        track: Take this audio track, counted from 0, or "mix" for the mean of all; by default the
            best one that is not silent throughout.
        start_s: Where the part that is wanted begins, in seconds.
        duration_s: How long it is, in seconds; less if the file ends before. None: to the end.
        on_warning: Is given a sentence for damage, holes, files cut off and tracks that were not
            read; by default each becomes an `AudioWarning`.
        on_progress: Is given the seconds read so far, block by block.

    Returns:
        (T,) float32 wave in [-1, 1] at 16 kHz.

    Raises:
        ConfigError: A setting cannot be used.
        AudioError: The source is missing, unreadable, not media, without sound or without that
            channel, or ends before `start_s`.
    """
    samples = bytearray()  # grows in place: the wave is never held twice
    for block in stream_audio(
        source,
        channel=channel,
        track=track,
        start_s=start_s,
        duration_s=duration_s,
        on_warning=on_warning,
    ):
        samples += block.numpy().data.cast("B")
        if on_progress:
            on_progress(samples_to_seconds(len(samples) // 4))
    return torch.frombuffer(samples, dtype=torch.float32)


def stream_audio(
    source: Source,
    *,
    block_s: float = 30.0,
    channel: int | None = None,
    track: Track = None,
    start_s: float = 0.0,
    duration_s: float | None = None,
    on_warning: Callable[[str], None] | None = None,
) -> Iterator[torch.Tensor]:
    """Read a media file as consecutive blocks of one wave, in bounded memory.

    Args:
        source: A path, "-" for standard input, or a binary file object (read from its beginning).
        block_s: Length of every block but the last, in seconds.
        channel: Take this one, counted from 0, instead of the mean of all.
        track: Take this audio track, counted from 0, or "mix" for the mean of all; by default the
            best one that is not silent throughout.
        start_s: Where the part that is wanted begins, in seconds.
        duration_s: How long it is, in seconds; less if the file ends before. None: to the end.
        on_warning: Is given a sentence for damage, holes, files cut off and tracks that were not
            read; by default each becomes an `AudioWarning`.

    Returns:
        An iterator over (T,) float32 waves in [-1, 1] at 16 kHz.

    Raises:
        ConfigError: At once, for a setting that cannot be used.
        AudioError: At the first block, for a source that is missing, unreadable, not media, without
            sound or without that channel; and where it ends before `start_s`.
    """
    if channel is not None and channel < 0:
        raise ConfigError(f"channel {channel} cannot be: channels are counted from 0")
    if isinstance(track, str) and track != "mix":
        raise ConfigError(f"track {track!r} cannot be: give a number, counted from 0, or 'mix'")
    if isinstance(track, int) and track < 0:
        raise ConfigError(f"track {track} cannot be: tracks are counted from 0")
    if not (math.isfinite(start_s) and start_s >= 0):
        raise ConfigError(f"start_s {start_s} cannot be: give the seconds to leave out, 0 or more")
    for name, length_s in (("block_s", block_s), ("duration_s", duration_s)):
        if length_s is None:
            continue
        if not math.isfinite(length_s) or seconds_to_samples(length_s) < 1:
            raise ConfigError(f"{name} {length_s} cannot be: give more than 0 seconds")
    start = seconds_to_samples(start_s)
    stop = None if duration_s is None else start + seconds_to_samples(duration_s)
    return _stream(
        source, seconds_to_samples(block_s), channel, track, start, stop, on_warning or _warn
    )


def probe_duration(source: Source) -> float | None:
    """Seconds that the container's header claims, for progress bars; None where it is silent.

    Not to be relied on: it may be an estimate, and a damaged file may hold less. A pipe is left
    untouched and gives None. Raises AudioError as `stream_audio` does.
    """
    if isinstance(source, (str, os.PathLike)):
        try:
            is_pipe = source == "-" or Path(source).is_fifo()
        except OSError:
            is_pipe = False  # opening it will say what is wrong
    else:
        is_pipe = not source.seekable()
    if is_pipe:
        return None
    with open_media(source, listen=False) as media:
        return media.length_s


def readable_tracks(source: Source) -> list[int]:
    """The numbers of the audio tracks that can be decoded here, from 0.

    Raises AudioError as `stream_audio` does.
    """
    with open_media(source, listen=False) as media:
        return [number for number, there in enumerate(media.readable_tracks) if there]


def _stream(
    source: Source,
    block: int,
    channel: int | None,
    track: Track,
    start: int,
    stop: int | None,
    on_warning: Callable[[str], None],
) -> Iterator[torch.Tensor]:
    sentences: list[str] = []
    with ExitStack() as stack:
        if isinstance(track, str):
            waves = _mixed(stack.enter_context(reopenable(source)), channel, block, sentences)
        else:
            waves = _track(source, channel, track, sentences)
        stack.enter_context(closing(waves))
        for samples in _rechunk(_cut(waves, start, stop, name_of(source)), block):
            yield torch.from_numpy(samples)
    for sentence in sentences:
        on_warning(sentence)


def _track(
    source: Source, channel: int | None, track: int | None, sentences: list[str]
) -> Generator[np.ndarray, None, None]:
    """One track at 16 kHz; `sentences` has what is to be said of it when it is closed."""
    with reopenable(source) as source:
        yield from _at_house_rate(_joined_files(source, channel, track, sentences))


def _joined_files(
    source: Source, channel: int | None, track: int | None, sentences: list[str]
) -> Iterator[tuple[np.ndarray, int]]:
    """Mono arrays with their rates, of one file, or of several that were joined to one."""
    begin: int | None = 0
    end_s = 0.0
    while begin is not None:
        at = begin
        try:
            with open_media(source, track=track, begin=at) as media:
                notes = Notes(media.name, after_s=end_s)
                if at:
                    notes.add("joined", 0.0)
                begin = media.next_at
                try:
                    end_s += yield from align(media, channel, notes)
                finally:
                    sentences += [*media.remarks, *notes.sentences()]
        except AudioError as error:
            if at == 0 or isinstance(error, UnreadableError):
                raise
            sentences.append(
                f"{name_of(source)} goes on with another file at {end_s:.1f} s, which cannot be "
                "read: it is left out"
            )
            return


def _mixed(
    source: Source, channel: int | None, block: int, sentences: list[str]
) -> Generator[np.ndarray, None, None]:
    """The mean of all tracks that can be decoded, as long as the longest."""
    with open_media(source, listen=False) as media:
        readable = media.readable_tracks
        tracks = [number for number, there in enumerate(readable) if there]
        if left_out := len(readable) - len(tracks):
            sentences.append(
                f"{media.name} has {len(readable)} audio tracks, of which {left_out} cannot be "
                "decoded here and are not in the mix"
            )
    with ExitStack() as stack:
        parts = [
            _rechunk(stack.enter_context(closing(_track(source, channel, n, sentences))), block)
            for n in tracks
        ]
        for waves in itertools.zip_longest(*parts):
            mix = np.zeros(max(wave.size for wave in waves if wave is not None), np.float32)
            for wave in waves:
                if wave is not None:
                    mix[: wave.size] += wave
            yield mix / np.float32(len(tracks))


def _warn(sentence: str) -> None:
    warnings.warn(sentence, AudioWarning, stacklevel=2)


def _at_house_rate(pieces: Iterable[tuple[np.ndarray, int]]) -> Iterator[np.ndarray]:
    """Resample each run of one rate to 16 kHz and clip; after n seconds it has given 16000 n."""
    due, made = Fraction(0), 0
    for rate, run in itertools.groupby(pieces, key=itemgetter(1)):
        counter = _Counter(wave for wave, _ in run)
        held = np.zeros(0, np.float32)
        # The filter's last few samples are held back until it is known how many belong here.
        for wave in resample(_rechunk(counter, rate), rate, SAMPLE_RATE):
            yield np.clip(held, -1.0, 1.0)
            made += held.size
            held = wave
        due += Fraction(counter.samples * SAMPLE_RATE, rate)
        rest = max(0, math.floor(due + Fraction(1, 2)) - made)
        held = np.pad(held[:rest], (0, max(0, rest - held.size)))
        yield np.clip(held, -1.0, 1.0)
        made += rest


class _Counter:
    """Passes waves on and knows how many samples they had."""

    def __init__(self, waves: Iterable[np.ndarray]) -> None:
        self._waves = waves
        self.samples = 0

    def __iter__(self) -> Iterator[np.ndarray]:
        for wave in self._waves:
            self.samples += wave.size
            yield wave


def _cut(
    waves: Iterable[np.ndarray], start: int, stop: int | None, name: str
) -> Iterator[np.ndarray]:
    """Keep the samples start <= i < stop; AudioError where there are none."""
    at = 0
    for wave in waves:
        part = wave[max(0, start - at) : None if stop is None else stop - at]
        at += wave.size
        if part.size:
            yield part
        if stop is not None and at >= stop:
            return
    if at == 0:
        raise AudioError(f"{name} holds no sound that can be decoded: record or export it again")
    if at <= start:
        raise AudioError(
            f"{name} ends at {samples_to_seconds(at):.3f} s, before the start asked for, "
            f"{samples_to_seconds(start):.3f} s: give an earlier start"
        )


def _rechunk(waves: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """The same samples in arrays of `size`, the last one shorter."""
    chunk, filled = np.empty(size, np.float32), 0
    for wave in waves:
        at = 0
        while at < wave.size:
            part = wave[at : at + size - filled]
            chunk[filled : filled + part.size] = part
            filled, at = filled + part.size, at + part.size
            if filled == size:
                yield chunk
                chunk, filled = np.empty(size, np.float32), 0
    if filled:
        yield chunk[:filled]
