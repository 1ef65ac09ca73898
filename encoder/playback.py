"""Where each sample of a media file lies on the timeline that a player shows.

The timestamps in the file say so, but not to the letter. Samples are counted, and the count is
believed as long as the timestamps stay near it: a container that rounds them to a millisecond
does not make the clock tremble, and two hours do not drift. A jump ahead is a hole, filled with
silence; a short step back is sound laid over sound, played once; a wild jump is a clock set
anew, and the sound goes on. MP3 and raw AAC hold no times: where bytes of them are lost, what
follows moves up. Whatever is found wrong is noted, to be told in one sentence a kind.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from encoder.errors import AudioError
from encoder.headers import promised_s
from encoder.media import Media, Piece, decode

__all__ = ["Notes", "play"]

_JITTER_S = 0.050  # timestamps this close to the counted clock are taken as agreeing with it
_EXACT_S = 0.003  # ... after damage, where lost packets must not shift what follows
_OVERLAP_S = 5.0  # a step back by more is a clock set anew, not sound laid over sound
_HOLE_S = 3600.0  # a step ahead by more is one too, not sound missing
_CUT_OFF_S = 0.5  # how much sound may be missing at the end before it is worth a warning
_SILENCE_SIZE = 16384


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


def play(media: Media, channel: int | None, notes: Notes) -> Iterator[tuple[np.ndarray, int]]:
    """Yield mono pieces (T,) with their rates that lie end to end from the timeline's 0."""
    base_s, count, rate = 0.0, 0, 1  # `count` samples at `rate` since the second `base_s`
    shift_s = 0.0  # added to the file's times after its clock was set anew
    slack_s = 0.0  # the first piece is put where its time says, to the sample
    torn = False
    for piece in decode(media):
        now_s = base_s + count / rate
        torn = piece.damaged and piece.samples.size == 0
        if torn:  # at the end, where a file cut off is usually damaged as well
            break
        if piece.damaged:
            notes.add("damage", now_s)
            slack_s = min(slack_s, _EXACT_S)
        mono = _mono(piece, channel, now_s, media.name, notes)
        if piece.rate != rate:
            base_s, count, rate = now_s, 0, piece.rate
        if piece.at_s is not None:
            ahead_s = piece.at_s + shift_s - now_s
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
    end_s, header_s = base_s + count / rate, promised_s(media)
    if header_s is not None and header_s - end_s > _CUT_OFF_S:
        notes.add("cut", end_s, header_s - end_s)
    elif torn:
        notes.add("damage", end_s)


def _mono(piece: Piece, channel: int | None, now_s: float, name: str, notes: Notes) -> np.ndarray:
    """One channel, or the mean of all, (T,) with every sample finite."""
    samples_CT = piece.samples
    C, _ = samples_CT.shape
    if channel is not None:
        if channel >= C:
            raise AudioError(
                f"{name} has no channel {channel}: it has {C}, so give one of 0 to {C - 1}, "
                f"or none for the mean of all"
            )
        samples_CT = samples_CT[channel : channel + 1]
    if not np.isfinite(samples_CT).all():
        notes.add("number", now_s)
        samples_CT = np.nan_to_num(samples_CT, nan=0.0, posinf=0.0, neginf=0.0)
    return samples_CT.mean(axis=0, dtype=np.float32)


def _silence(size: int) -> Iterator[np.ndarray]:
    """Zeros in small arrays: a hole may be an hour long."""
    for at in range(0, size, _SILENCE_SIZE):
        yield np.zeros(min(_SILENCE_SIZE, size - at), np.float32)
