"""Where each sample of a media file lies on the timeline that a player shows.

The timestamps in the file say so, but not to the letter. Samples are counted, and the count is
believed as long as the timestamps stay near it: a container that rounds them to a millisecond
does not make the clock tremble, and two hours do not drift. A jump ahead is a hole, filled with
silence. Sound that comes once more with its old times is kept once. Any other step back, or a wild
jump, is a clock set anew (files joined, a stream that began again), and the sound goes on. MP3 and
raw AAC hold no times: where bytes of them are lost, what follows moves up. Whatever is found wrong
or left out is noted, for one sentence a kind.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from encoder.audio.media.decoding import Piece, decode, kind_of, samples_of
from encoder.audio.media.header_duration import (
    declared_duration_s,
    ends_damaged,
    ends_unfinished,
    timed_duration_s,
)
from encoder.audio.media.opening import Media
from encoder.errors import AudioError

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame

__all__ = ["Notes", "align"]

_JITTER_S = 0.050  # timestamps this close to the counted clock are taken as agreeing with it
_EXACT_S = 0.003  # ... after damage, where lost packets must not shift what follows
_DRIFT_S = 0.200  # so far a clock that runs too slow may fall behind before it is followed
_REPEAT_S = 2.0  # sound that comes once more is looked for so far back
_SAME = 0.7  # correlation with the sound at that time; a codec's first frame is blurred
_HOLE_S = 3600.0  # a step ahead by more is a clock set anew, not sound missing
# All holes together; more is a damaged clock. A second of any codec takes more than 100 bytes.
_SILENCE_S, _SILENCE_PER_S, _SILENCE_BYTES = 60.0, 20.0, 100
_CUT_OFF_S = 0.5  # how much sound may be missing at the end before it is worth a warning
_LATE_S = 0.1  # a first timestamp beyond this is worth one, too
_BEGIN_AT_0 = frozenset(["matroska", "ogg", "mp4", "flv", "asf"])  # the clocks of these do
_SILENCE_SIZE = 16384
_SMALL = 4096  # samples
_RUN_SIZE = 32768  # samples
_MANY_CHANNELS = 8  # from here on numpy adds them in another order
_CANCELLED = 0.1  # the mix of C channels has so much of 1/C of their energy: it is 1 if unrelated
_JUDGED_SIZE = 256  # samples; fewer say nothing about how channels are related


class Notes:
    """What was found wrong with a file: how often, how much, and where first.

    after_s: added to all times, where the file goes on after another one.
    """

    def __init__(self, name: str, after_s: float = 0.0) -> None:
        self.name = name
        self._after_s = after_s
        self.packets = 0  # of sound, decoded or lost
        self._found: dict[str, tuple[float, int, float]] = {}

    def add(self, kind: str, at_s: float, amount: float = 0.0) -> None:
        """Note a trouble at `at_s`; `amount` adds up over the troubles of its kind."""
        first_s, times, total = self._found.get(kind, (at_s + self._after_s, 0, 0.0))
        self._found[kind] = (first_s, times + 1, total + amount)

    def sentences(self) -> Iterator[str]:
        """One sentence for each kind of trouble."""
        for kind, (first_s, times, total) in self._found.items():
            places = "" if times == 1 else f" (the first of {times} places)"
            yield _SENTENCES[kind].format(
                name=self.name, at=f"{first_s:.1f} s{places}", total=total, packets=self.packets
            )


_SENTENCES = {
    "joined": "{name} has another file joined to it at {at}: its sound follows there",
    "origin": "{name} begins at {total:.1f} s of its own clock, so sound before that may be "
    "missing: times are counted from what is there",
    "damage": "{name} is damaged at {at}: {total:.0f} of {packets} packets of sound could not be "
    "decoded, or not in full, and what is lost is left out",
    "hole": "{name} lacks sound at {at}: {total:.1f} s of silence stand in for it",
    "clock": "{name} has a clock that jumps at {at}: its sound goes on there without a break",
    "twice": "{name} has sound with times that other sound has at {at}: {total:.1f} s of it are "
    "left out",
    "number": "{name} has samples that are no numbers at {at}: they are taken as silence",
    "cancel": "{name} has channels that cancel each other out at {at}: for {total:.1f} s one "
    "channel was heard instead of their mix",
    "cut": "{name} stops at {at} but its header promises {total:.1f} s more: it was cut off, "
    "and what is there is used",
    "short": "{name} stops at {at} but its times go on for {total:.1f} s more, which could not be "
    "decoded",
    "last": "{name} is damaged near its end, at {at}: what cannot be read there is left out",
    "unfinished": "{name} stops at {at} without the mark that ends such a file: it was cut off, or "
    "is still being written, and what is there is used",
}


def align(
    media: Media, channel: int | None, notes: Notes
) -> Generator[tuple[np.ndarray, int], None, float]:
    """Yield mono arrays (T,) with their rates that lie end to end from the timeline's 0; return
    where they end, in seconds."""
    begins_at_0 = _BEGIN_AT_0 & set(media.container.format.name.split(","))
    if begins_at_0 and media.origin_s > _LATE_S:
        notes.add("origin", 0.0, media.origin_s)
    end_s, torn = yield from _placed(decode(media), channel, notes, media.file.size)
    declared_s, timed_s = declared_duration_s(media, end_s), timed_duration_s(media)
    if declared_s is not None and declared_s - end_s > _CUT_OFF_S:
        notes.add("cut", end_s, declared_s - end_s)
    elif ends_unfinished(media):
        notes.add("unfinished", end_s)
    elif timed_s is not None and timed_s - end_s > _CUT_OFF_S:
        notes.add("short", end_s, timed_s - end_s)
    elif torn:
        notes.add("damage", end_s, torn)
    elif ends_damaged(media):
        notes.add("last", end_s)
    return end_s


def _placed(
    pieces: Iterable[Piece], channel: int | None, notes: Notes, file_size: int
) -> Generator[tuple[np.ndarray, int], None, tuple[float, int]]:
    """`align` for any pieces; returns where they end, and how many packets are lost there.

    Each piece is placed by itself, and those that follow one another are joined, as a call of numpy
    costs more than a frame's arithmetic. Never beyond a whole second of sound, at which the
    resampler reads: nothing is decoded earlier than it would be piece by piece.
    """
    clock, run = _Clock(notes, file_size), _Run(channel, notes)
    torn = 0
    for frame, at_s, lost in pieces:
        notes.packets += lost + (frame is not None)
        if frame is None:  # at the end, where a file cut off is usually damaged as well
            torn = lost
            break
        if not lost and clock.expects(frame, at_s):
            if not run.continues_with(frame):
                yield clock.kept(run.mono())
            run.add(frame, clock.now_s)
            if clock.passes(frame, at_s) or run.is_full:
                yield clock.kept(run.mono())
            continue
        if run.frames:
            yield clock.kept(run.mono())
        run.add(frame, clock.now_s)
        mono = run.mono()
        for part in clock.placed(mono, frame.sample_rate, at_s, lost):
            yield clock.kept(part)
    if run.frames:
        yield clock.kept(run.mono())
    return clock.now_s, torn


class _Clock:
    """Counts samples, and holds what the file's times say against the count."""

    def __init__(self, notes: Notes, file_size: int) -> None:
        self._notes = notes
        self._base_s, self._count, self._rate = 0.0, 0, 1  # `count` samples since `base_s`
        self._shift_s = 0.0  # added to the file's times after its clock was set anew
        self._slack_s = 0.0  # the first piece is put where its time says, to the sample
        self._latest_s = -math.inf  # the file's time of the latest piece
        self._silence_s = 0.0  # made up so far
        self._file_size = file_size
        self._recent = _Recent()  # the latest sound, at this rate

    @property
    def now_s(self) -> float:
        """Where the next sample lies."""
        return self._base_s + self._count / self._rate

    def expects(self, frame: AudioFrame, at_s: float | None) -> bool:
        """Whether a frame with this time of the file lies where the one before it ends."""
        if frame.sample_rate != self._rate:
            return False
        return at_s is None or abs(at_s + self._shift_s - self.now_s) <= self._slack_s

    def passes(self, frame: AudioFrame, at_s: float | None) -> bool:
        """Count an expected frame; whether it reaches into another second of sound."""
        seconds = self._count // self._rate
        self._count += frame.samples
        if at_s is not None:
            self._slack_s, self._latest_s = _JITTER_S, at_s
        return self._count // self._rate > seconds

    def kept(self, mono: np.ndarray) -> tuple[np.ndarray, int]:
        """Remember the latest sound (T,), and give it with its rate."""
        self._recent.add(mono, round(_REPEAT_S * self._rate))
        return mono, self._rate

    def placed(
        self, mono: np.ndarray, rate: int, at_s: float | None, lost: int
    ) -> Iterator[np.ndarray]:
        """A piece that is not where it is expected, or follows damage: silence before it, all of
        it, or what of it is new."""
        if lost:
            self._notes.add("damage", self.now_s, lost)
            self._slack_s = min(self._slack_s, _EXACT_S)
        if rate != self._rate:
            self._base_s, self._count, self._rate = self.now_s, 0, rate
            self._recent = _Recent()
        if at_s is not None:
            ahead_s = at_s + self._shift_s - self.now_s
            if ahead_s > self._slack_s:
                for silence in self._hole(ahead_s):
                    yield silence
                    self._count += silence.size
            elif ahead_s < -self._slack_s:
                mono = mono[self._repeated(mono, at_s, -ahead_s) :]
            self._slack_s = _JITTER_S if mono.size else _EXACT_S
            self._latest_s = at_s
        yield mono
        self._count += mono.size

    def _hole(self, ahead_s: float) -> Iterator[np.ndarray]:
        sound_s = self.now_s - self._silence_s
        most_s = _SILENCE_S + _SILENCE_PER_S * sound_s + self._file_size / _SILENCE_BYTES
        if ahead_s > min(_HOLE_S, most_s - self._silence_s):
            self._set_anew(ahead_s)
            return
        # Sound that starts later than a picture is no hole, but a clock that begins so late is odd.
        if ahead_s > (_JITTER_S if self.now_s > 0 else _SILENCE_S):
            self._notes.add("hole", self.now_s, ahead_s)
        self._silence_s += ahead_s
        yield from _silence(round(ahead_s * self._rate))

    def _repeated(self, mono: np.ndarray, at_s: float, behind_s: float) -> int:
        """How many of the piece's first samples are left out."""
        samples = min(mono.size, round(behind_s * self._rate))
        moves_ahead = at_s > self._latest_s
        if (
            moves_ahead and behind_s <= _DRIFT_S
        ):  # a slow clock, or a decoder's guess at what is lost
            if behind_s > _JITTER_S:
                self._notes.add("twice", self.now_s, samples / self._rate)
            return samples
        began_again = not moves_ahead and at_s < _LATE_S
        if began_again or not self._is_known(mono, round(behind_s * self._rate)):
            self._set_anew(-behind_s)
            return 0
        self._notes.add("twice", self.now_s, samples / self._rate)
        return samples

    def _is_known(self, mono: np.ndarray, back: int) -> bool:
        """Whether the piece is the sound `back` samples ago; silence never is."""
        before = self._recent.part(back, mono.size).astype(np.float64)
        again = mono[: before.size].astype(np.float64)
        energy = math.sqrt(float(before @ before) * float(again @ again))
        return energy > 0 and float(before @ again) > _SAME * energy

    def _set_anew(self, ahead_s: float) -> None:
        self._notes.add("clock", self.now_s)
        self._shift_s -= ahead_s


class _Recent:
    """The latest samples, in blocks that are not small: a frame may hold a single one."""

    def __init__(self) -> None:
        self._blocks: deque[np.ndarray] = deque()
        self._size = 0

    def add(self, mono: np.ndarray, most: int) -> None:
        """Remember (T,); so far back as `most` samples, and little more."""
        self._size += mono.size
        if self._blocks and self._blocks[-1].size + mono.size <= _SMALL:
            mono = np.concatenate([self._blocks.pop(), mono])
        self._blocks.append(mono)
        while self._size - self._blocks[0].size > most:
            self._size -= self._blocks.popleft().size

    def part(self, back: int, size: int) -> np.ndarray:
        """At most `size` samples (T,) from `back` before the end on; none from before the first."""
        if not 0 < back <= self._size:
            return np.zeros(0, np.float32)
        begin, parts = self._size - back, []
        for block in self._blocks:
            if begin < block.size and size > 0:
                parts.append(block[max(0, begin) : max(0, begin) + size])
                size -= parts[-1].size
            begin -= block.size
        return np.concatenate(parts)


class _Run:
    """Frames of one kind that lie end to end, and the seconds at which they begin."""

    def __init__(self, channel: int | None, notes: Notes) -> None:
        self.frames: list[AudioFrame] = []
        self._begin_s: list[float] = []
        self._kind: tuple[str, int, int] | None = None
        self._samples = 0
        self._channel = channel
        self._notes = notes
        self._energies = np.zeros(0)  # of each channel, where they cancel each other out
        self._cancels = False  # the channels cancel each other out, as far as is known

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
                has = f"{C}, so give one of 0 to {C - 1}, or none for the mean of all"
                if C == 1:
                    has = "one channel, 0, so leave the channel out"
                raise AudioError(f"{self._notes.name} has no channel {self._channel}: it has {has}")
            samples_CT = samples_CT[self._channel : self._channel + 1]
        with np.errstate(invalid="ignore", over="ignore"):
            mono = _mean(samples_CT)
            if len(samples_CT) > 1:
                mono = self._uncancelled(samples_CT, mono)
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

    def _uncancelled(self, samples_CT: np.ndarray, mono: np.ndarray) -> np.ndarray:
        """The mix (T,), or the loudest channel where the mix is next to nothing of the channels.

        One with its poles swapped is the other's opposite, and their mean is silence.
        """
        C, T = samples_CT.shape
        if T >= _JUDGED_SIZE:
            every = samples_CT.ravel(order="K")  # no copy, and one call
            self._cancels = float(mono @ mono) < _CANCELLED / C * float(every @ every) / C
        if not self._cancels:
            return mono
        if len(self._energies) != C:
            self._energies = np.zeros(C)
        self._energies += np.nan_to_num(np.einsum("ct,ct->c", samples_CT, samples_CT))
        _, _, rate = self._kind or ("", 0, 1)
        self._notes.add("cancel", self._begin_s[0], T / rate)
        return samples_CT[int(self._energies.argmax())].copy()


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
