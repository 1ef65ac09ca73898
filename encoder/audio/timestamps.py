"""Where each sample of a media file lies on the timeline that a player shows.

The timestamps in the file say so, but not to the letter. Samples are counted, and the count is
believed as long as the timestamps stay near it: a container that rounds them to a millisecond
does not make the clock tremble, and two hours do not drift. A jump ahead is a hole, filled with
silence; a short step back is sound laid over sound, kept once; a wild jump is a clock set
anew, and the sound goes on. MP3 and raw AAC hold no times: where bytes of them are lost, what
follows moves up. Whatever is found wrong is noted, for one sentence a kind.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from encoder.audio.container import Media, Piece, decode, kind_of, samples_of
from encoder.audio.header_duration import declared_duration_s
from encoder.errors import AudioError

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame

__all__ = ["Notes", "align"]

_JITTER_S = 0.050  # timestamps this close to the counted clock are taken as agreeing with it
_EXACT_S = 0.003  # ... after damage, where lost packets must not shift what follows
_OVERLAP_S = 5.0  # a step back by more is a clock set anew, not sound laid over sound
_HOLE_S = 3600.0  # a step ahead by more is one too, not sound missing
_CUT_OFF_S = 0.5  # how much sound may be missing at the end before it is worth a warning
_SILENCE_SIZE = 16384
_RUN_SIZE = 32768  # samples
_MANY_CHANNELS = 8  # from here on numpy adds them in another order


class Notes:
    """What was found wrong with a file: how often, how much, and where first."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._found: dict[str, tuple[float, int, float]] = {}

    def add(self, kind: str, at_s: float, amount: float = 0.0) -> None:
        """Note a trouble at `at_s`; `amount` adds up over the troubles of its kind."""
        first_s, times, total = self._found.get(kind, (at_s, 0, 0.0))
        self._found[kind] = (first_s, times + 1, total + amount)

    def sentences(self) -> Iterator[str]:
        """One sentence for each kind of trouble."""
        for kind, (first_s, times, total) in self._found.items():
            places = "" if times == 1 else f" (the first of {times} places)"
            yield _SENTENCES[kind].format(
                name=self.name, at=f"{first_s:.1f} s{places}", total=total
            )


_SENTENCES = {
    "damage": "{name} is damaged at {at}: what could not be decoded there is left out",
    "hole": "{name} lacks sound at {at}: {total:.1f} s of silence stand in for it",
    "clock": "{name} has a clock that jumps at {at}: its sound goes on there without a break",
    "number": "{name} has samples that are no numbers at {at}: they are taken as silence",
    "cut": "{name} stops at {at} but its header promises {total:.1f} s more: it was cut off, "
    "and what is there is used",
}


def align(media: Media, channel: int | None, notes: Notes) -> Iterator[tuple[np.ndarray, int]]:
    """Yield mono arrays (T,) with their rates that lie end to end from the timeline's 0."""
    end_s, torn = yield from _placed(decode(media), channel, notes)
    header_s = declared_duration_s(media)
    if header_s is not None and header_s - end_s > _CUT_OFF_S:
        notes.add("cut", end_s, header_s - end_s)
    elif torn:
        notes.add("damage", end_s)


def _placed(
    pieces: Iterable[Piece], channel: int | None, notes: Notes
) -> Generator[tuple[np.ndarray, int], None, tuple[float, bool]]:
    """`align` for any pieces; returns where they end, and whether in something damaged.

    Each piece is placed by itself, and those that follow one another are joined, as a call of numpy
    costs more than a frame's arithmetic. Never beyond a whole second of sound, at which the
    resampler reads: nothing is decoded earlier than it would be piece by piece.
    """
    base_s, count, rate = 0.0, 0, 1  # `count` samples at `rate` since the second `base_s`
    shift_s = 0.0  # added to the file's times after its clock was set anew
    slack_s = 0.0  # the first piece is put where its time says, to the sample
    torn = False
    run = _Run(channel, notes)
    for frame, at_s, damaged in pieces:
        now_s = base_s + count / rate
        torn = frame is None
        if frame is None:  # at the end, where a file cut off is usually damaged as well
            break
        ahead_s = 0.0 if at_s is None else at_s + shift_s - now_s
        if not damaged and frame.sample_rate == rate and abs(ahead_s) <= slack_s:
            if not run.continues_with(frame):
                yield run.mono(), rate
            run.add(frame, now_s)
            seconds, count = count // rate, count + frame.samples
            if count // rate > seconds or run.is_full:
                yield run.mono(), rate
            if at_s is not None:
                slack_s = _JITTER_S
            continue
        if run.frames:
            yield run.mono(), rate
        if damaged:
            notes.add("damage", now_s)
            slack_s = min(slack_s, _EXACT_S)
        run.add(frame, now_s)
        mono = run.mono()
        if frame.sample_rate != rate:
            base_s, count, rate = now_s, 0, frame.sample_rate
        if at_s is not None:
            if not -_OVERLAP_S <= ahead_s <= _HOLE_S:
                notes.add("clock", now_s)
                shift_s, ahead_s = shift_s - ahead_s, 0.0
            if ahead_s > slack_s:
                if now_s > 0 and ahead_s > _JITTER_S:
                    notes.add("hole", now_s, ahead_s)
                for silence in _silence(round(ahead_s * rate)):
                    yield silence, rate
                    count += silence.size
            elif ahead_s < -slack_s:
                mono = mono[round(-ahead_s * rate) :]
            slack_s = _JITTER_S if mono.size else _EXACT_S
        yield mono, rate
        count += mono.size
    if run.frames:
        yield run.mono(), rate
    return base_s + count / rate, torn


class _Run:
    """Frames of one kind that lie end to end, and the seconds at which they begin."""

    def __init__(self, channel: int | None, notes: Notes) -> None:
        self.frames: list[AudioFrame] = []
        self._begin_s: list[float] = []
        self._kind: tuple[str, int, int] | None = None
        self._samples = 0
        self._channel = channel
        self._notes = notes

    @property
    def is_full(self) -> bool:
        """Whether it has as much as a processor's cache holds."""
        return self._samples >= _RUN_SIZE

    def continues_with(self, frame: AudioFrame) -> bool:
        """Whether the frame is of the kind of those that are there."""
        return not self.frames or kind_of(frame) == self._kind

    def add(self, frame: AudioFrame, begin_s: float) -> None:
        if not self.frames:
            self._kind = kind_of(frame)
        self.frames.append(frame)
        self._begin_s.append(begin_s)
        self._samples += frame.samples

    def mono(self) -> np.ndarray:
        """One channel, or the mean of all, (T,) with every sample finite; then it is empty."""
        samples_CT = samples_of(self.frames)
        C, _ = samples_CT.shape
        if self._channel is not None:
            if self._channel >= C:
                raise AudioError(
                    f"{self._notes.name} has no channel {self._channel}: it has {C}, so give one "
                    f"of 0 to {C - 1}, or none for the mean of all"
                )
            samples_CT = samples_CT[self._channel : self._channel + 1]
        with np.errstate(invalid="ignore", over="ignore"):
            mono = _mean(samples_CT)
        if not np.isfinite(mono).all():
            at = 0
            for frame, begin_s in zip(self.frames, self._begin_s, strict=True):
                part_CT = samples_CT[:, at : at + frame.samples]
                if not np.isfinite(part_CT).all():
                    self._notes.add("number", begin_s)
                at += frame.samples
            mono = _mean(np.nan_to_num(samples_CT, nan=0.0, posinf=0.0, neginf=0.0))
        self.frames, self._begin_s, self._samples = [], [], 0
        return mono


def _mean(samples_CT: np.ndarray) -> np.ndarray:
    """(C, T) -> (T,), as `samples_CT.mean(axis=0)`, which is slow for interleaved channels."""
    C, _ = samples_CT.shape
    if C >= _MANY_CHANNELS:
        return samples_CT.mean(axis=0, dtype=np.float32)
    total = samples_CT[0] + np.float32(0)  # a copy, in which -0 is 0
    for samples in samples_CT[1:]:
        total += samples
    if C > 1:
        total /= np.float32(C)
    return total


def _silence(size: int) -> Iterator[np.ndarray]:
    """Zeros in small arrays: a hole may be an hour long."""
    for at in range(0, size, _SILENCE_SIZE):
        yield np.zeros(min(_SILENCE_SIZE, size - at), np.float32)
