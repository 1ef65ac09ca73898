"""Speakers in memory, ready to say a turn of any length.

What a speaker said is kept as one ring of spoken pieces with short pauses (`spoken`). A turn is a
stretch of the ring that begins with a piece and, where one fits, ends with one.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from diarize.simulation.speech_trimming import TrimmedSpeech, trim_speech
from diarize.simulation.turn_sampler import FRAME
from encoder.common.atomic_files import replacing
from encoder.common.units import SAMPLE_RATE
from encoder.data.manifest import Utterance
from encoder.errors import CorpusError, ToolkitError

if TYPE_CHECKING:
    from diarize.segmentation.silero import SileroSegmenter

__all__ = ["SpeakerBank"]

_LEAST = 3 * SAMPLE_RATE // 2  # samples of speech; who has less would repeat themselves
_SILENCE = SAMPLE_RATE // 2  # put behind utterances for Silero
_SHORTFALL = 0.2  # a turn may end this much of its length early, so that it ends with a piece ...
_SHORTFALL_SAMPLES = 4 * SAMPLE_RATE // 10  # ... but not by more
_FADE = 2 * FRAME
_NONE = np.zeros(0, np.float32)
_VERSION = 1  # another one when the pieces come out otherwise


class SpeakerBank:
    """Spoken pieces of many speakers.

    wave: (T,) int16, one speaker behind the other. pieces: (n, 2) int64, sample offsets in it,
    multiples of 160, sorted. first: (K + 1,) int64; the pieces of speaker k are first[k] to
    first[k + 1]. speakers: their K names. sets: the data set of each.
    """

    def __init__(
        self,
        wave: NDArray[np.int16],
        pieces: NDArray[np.int64],
        first: NDArray[np.int64],
        speakers: Sequence[str],
        sets: Sequence[str],
    ) -> None:
        self.wave, self.pieces, self.first = wave, pieces, first
        self.speakers, self.sets = list(speakers), list(sets)
        starts = pieces[first[:-1], 0]
        self._ring = np.stack([starts, np.append(starts[1:], len(wave))], axis=1)
        self._of_set = {
            name: np.flatnonzero(np.array(self.sets) == name) for name in dict.fromkeys(self.sets)
        }

    @classmethod
    def of(cls, said: Iterable[tuple[str, str, Sequence[TrimmedSpeech]]]) -> SpeakerBank:
        """From (speaker, data set, what they said); CorpusError if no speaker said enough."""
        waves, pieces, first, names, sets, at = [], [], [0], [], [], 0
        for speaker, dataset, parts in said:
            if sum(int(np.diff(part.pieces).sum()) for part in parts) < _LEAST:
                continue
            for part in parts:
                waves.append(part.wave)
                pieces.append(part.pieces + at)
                at += len(part.wave)
            first.append(first[-1] + sum(len(part.pieces) for part in parts))
            names.append(speaker)
            sets.append(dataset)
        if not names:
            raise CorpusError("no speaker has 1.5 s of clean speech: give longer utterances")
        return cls(
            np.concatenate(waves), np.concatenate(pieces), np.array(first, np.int64), names, sets
        )

    @classmethod
    def from_corpus(
        cls,
        utterances: Sequence[Utterance],
        *,
        seconds_per_speaker: float = 40.0,
        cache: Path | None = None,
        on_progress: Callable[[int, int], None] | None = None,
        on_left_out: Callable[[str], None] | None = None,
    ) -> SpeakerBank:
        """Hear the utterances and keep what is spoken, at one level.

        seconds_per_speaker: enough of a speaker; the memory is 32 kB for each second. cache: folder
        in which the bank is kept for the next time. on_progress: is given speakers done and all.
        on_left_out: is given a sentence for each file that cannot be read. CorpusError if no
        speaker said enough, StoreError if the cache cannot be written.
        """
        kept = None if cache is None else cache / f"{_name(utterances, seconds_per_speaker)}.npz"
        if kept is not None and (found := cls._load(kept)):
            return found
        bank = cls.of(_read_speech(utterances, seconds_per_speaker, on_progress, on_left_out))
        if kept is not None:
            bank._save(kept)
        return bank

    def draw(
        self, speaker: int, samples: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """A turn of speaker number `speaker`: wave (T,) and whether they speak (T // 160,).

        It begins at once. The last 0.4 s, or fifth, may be silent: rather than cut a word in two
        it ends with a pause of the speaker's.
        """
        low, high = (int(bound) for bound in self._ring[speaker])
        turns, rest = divmod(samples, high - low)
        own = self.pieces[self.first[speaker] : self.first[speaker + 1]] - low
        ends = np.concatenate([own[:, 1], own[:, 1] + high - low])
        # For each piece that the turn may begin with: the end of the last piece that fits.
        last = np.searchsorted(ends, own[:, 0] + rest, side="right") - 1
        said = turns * (high - low) + np.maximum(ends[np.maximum(last, 0)] - own[:, 0], 0)
        said[last < 0] = 0
        least = samples - min(_SHORTFALL * samples, _SHORTFALL_SAMPLES)
        whole = np.flatnonzero((said >= least) & (said <= samples))
        chosen = int(whole[rng.integers(len(whole))] if len(whole) else rng.integers(len(own)))
        spoken_samples = int(said[chosen]) if len(whole) else samples
        wave = self._stretch(low, high, int(own[chosen, 0]), samples)
        ending = min(samples, spoken_samples + _FADE)
        fade = min(_FADE, ending)
        wave[ending - fade : ending] *= np.linspace(1, 0, fade, dtype=np.float32)
        wave[ending:] = 0
        active = np.arange(samples // FRAME) * FRAME + FRAME // 2 < spoken_samples
        return wave, active

    def company(
        self, count: int, rng: np.random.Generator, *, one_set: bool = False
    ) -> NDArray[np.int64]:
        """Numbers of `count` different speakers (fewer if there are not as many).

        one_set: from one data set, the more likely the larger it is, where one has enough.
        """
        pool = np.arange(len(self.speakers))
        if one_set:
            same = self._of_set[self.sets[int(rng.integers(len(pool)))]]
            pool = same if len(same) >= count else pool
        return rng.choice(pool, min(count, len(pool)), replace=False)

    def _stretch(self, low: int, high: int, start: int, samples: int) -> NDArray[np.float32]:
        """From the ring wave[low:high], beginning at low + start."""
        wave = np.empty(samples, np.float32)
        done, at = 0, low + start
        while done < samples:
            size = min(samples - done, high - at)
            np.multiply(self.wave[at : at + size], np.float32(1 / 32767), out=wave[done:][:size])
            done, at = done + size, low
        return wave

    @classmethod
    def _load(cls, path: Path) -> SpeakerBank | None:
        try:
            with np.load(path, allow_pickle=False) as kept:
                names = json.loads(str(kept["names"]))
                return cls(kept["wave"], kept["pieces"], kept["first"], *names)
        except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
            return None  # not there, or damaged: it will be made anew

    def _save(self, path: Path) -> None:
        names = np.array(json.dumps([self.speakers, self.sets]))
        step = "make room, or keep the speech elsewhere"
        with (
            replacing(path, what="the speech ", step=step, private=True) as part,
            part.open("wb") as handle,
        ):
            np.savez(handle, wave=self.wave, pieces=self.pieces, first=self.first, names=names)


def _name(utterances: Sequence[Utterance], seconds: float) -> str:
    """Another name for other utterances, so that what is kept is never out of date."""
    identity = hashlib.sha256(f"{_VERSION} {seconds}".encode())
    for u in utterances:
        path = os.path.abspath(u.path)  # noqa: PTH100 - resolve() would look each up on disk
        identity.update(f"\0{u.speaker}\0{u.dataset}\0{path}\0{u.seconds}".encode())
    return f"voices-{identity.hexdigest()[:12]}"


def _read_speech(
    utterances: Sequence[Utterance],
    seconds: float,
    on_progress: Callable[[int, int], None] | None,
    on_left_out: Callable[[str], None] | None,
) -> Iterator[tuple[str, str, list[TrimmedSpeech]]]:
    from diarize.segmentation.silero import SileroSegmenter
    from encoder.common.parallel import in_threads

    silero = SileroSegmenter()
    by_speaker = sorted(utterances, key=lambda u: (u.dataset, u.speaker))
    groups = [list(own) for _, own in groupby(by_speaker, key=lambda u: (u.dataset, u.speaker))]
    decoded = in_threads(lambda own: _decode(own, seconds), groups)
    for done, (own, (waves, faults)) in enumerate(zip(groups, decoded, strict=True), start=1):
        if on_left_out:
            for sentence in faults:
                on_left_out(sentence)
        yield own[0].speaker, own[0].dataset, _parts(silero, waves)
        if on_progress:
            on_progress(done, len(groups))


def _decode(
    utterances: Sequence[Utterance], seconds: float
) -> tuple[list[NDArray[np.float32]], list[str]]:
    """Waves of the first utterances, `seconds` of them in all, and what could not be read."""
    from encoder.audio.load import load_audio

    waves, faults, left = [], [], round(seconds * SAMPLE_RATE)
    for utterance in utterances:
        if left <= 0:
            break
        try:
            wave = load_audio(utterance.path, on_warning=lambda _: None).numpy()[:left]
        except ToolkitError as error:
            faults.append(str(error))
            continue
        left -= len(wave)
        waves.append(wave)
    return waves, faults


def _parts(silero: SileroSegmenter, waves: Sequence[NDArray[np.float32]]) -> list[TrimmedSpeech]:
    """What is spoken in the clean ones of one speaker's waves."""
    from diarize.audio.level import level_out
    from diarize.segmentation.silero_network import HOP

    pieces, places, at = [], [], 0
    for wave in waves:
        loud = level_out(torch.from_numpy(wave)).numpy()
        places.append((at, len(wave)))
        at += (len(wave) + _SILENCE) // HOP * HOP + HOP
        pieces.append(np.pad(loud, (0, at - places[-1][0] - len(wave))))
    voiced, _ = silero.activity([torch.from_numpy(np.concatenate(pieces or [_NONE]))])
    found = (
        trim_speech(wave, voiced[at // HOP : -(-(at + size) // HOP)], hop=HOP)
        for wave, (at, size) in zip(waves, places, strict=True)
    )
    return [part for part in found if part is not None and part.clean]
