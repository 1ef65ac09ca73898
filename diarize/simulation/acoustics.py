"""Rooms, noise and music.

Rooms and sounds of a corpus as measured, and made-up ones, of which there is no end. A room here is
only its late sound, the tail that all share; the first reflections depend on where somebody sits
and are drawn with them (`render`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from encoder.common.units import SAMPLE_RATE
from encoder.data.manifest import Utterance
from encoder.errors import ToolkitError

__all__ = ["EARLY", "Acoustics", "Room", "measured_room"]

EARLY = round(0.03 * SAMPLE_RATE)  # samples after the direct sound that are no part of the tail
LONGEST = round(0.75 * SAMPLE_RATE)
_MADE_ROOMS = 32
_MADE_T60_S = (0.15, 1.2)
_HISS = 20 * SAMPLE_RATE
_TILTS = (0.0, 0.5, 1.0, 1.0, 1.5)  # amplitude falls with this power of the frequency
_EVENT = 12 * SAMPLE_RATE  # a shorter sound happens now and then instead of going on


class Room(NamedTuple):
    """`tail` (L,) float32 of energy 1, counted from the direct sound; L is at most 0.75 s."""

    tail: NDArray[np.float32]
    t60_s: float


class Acoustics:
    """Rooms, noise and music to draw from; `Acoustics()` has made-up rooms and hiss only."""

    def __init__(
        self,
        rooms: Sequence[Room] = (),
        noise: Sequence[NDArray[np.int16]] = (),
        music: Sequence[NDArray[np.int16]] = (),
    ) -> None:
        rng = np.random.default_rng(0)
        self._sounds = {"noise": list(noise), "music": list(music)}
        self._measured = list(rooms)
        self._made = [
            _made_room(float(np.exp(rng.uniform(*np.log(_MADE_T60_S)))), rng)
            for _ in range(_MADE_ROOMS)
        ]
        self._hiss = [_coloured(_HISS, tilt, rng) for tilt in _TILTS]

    @classmethod
    def from_corpus(
        cls, folder: str | Path, *, on_left_out: Callable[[str], None] | None = None
    ) -> Acoustics:
        """Of a folder that `encoder.data.noise_corpus` reads; its errors. on_left_out: is given a
        sentence for each file that cannot be used."""
        from encoder.common.parallel import in_threads
        from encoder.data.noise_corpus import read_acoustics

        rooms: list[Room] = []
        sounds: dict[str, list[NDArray[np.int16]]] = {"noise": [], "music": []}
        utterances = read_acoustics(folder, kinds=("noise", "music", "rir"))
        for kind, found in in_threads(_read, utterances):
            if isinstance(found, str):
                if on_left_out:
                    on_left_out(found)
            elif isinstance(found, Room):
                rooms.append(found)
            elif found is not None:
                sounds[kind].append(found)
        return cls(rooms, sounds["noise"], sounds["music"])

    def room(self, t60_s: tuple[float, float], rng: np.random.Generator) -> Room:
        """One whose reverberation time lies in the range, measured or made up."""
        low, high = t60_s
        measured = [room for room in self._measured if low <= room.t60_s <= high]
        if measured and rng.random() < 0.5:
            return measured[int(rng.integers(len(measured)))]
        fitting = [room for room in self._made if low <= room.t60_s <= high]
        if not fitting:
            return _made_room(float(rng.uniform(low, high)), rng)
        return fitting[int(rng.integers(len(fitting)))]

    def hiss(self, samples: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """Steady noise (T,) of mean power 1."""
        return _looped(self._hiss[int(rng.integers(len(self._hiss)))], samples, rng)

    def sound(
        self, kind: str, samples: int, rng: np.random.Generator
    ) -> NDArray[np.float32] | None:
        """`noise` or `music` (T,), of mean power 1 where it is not silent; None if there is
        none."""
        choice = self._sounds[kind]
        if not choice:
            return None
        sound = choice[int(rng.integers(len(choice)))]
        if len(sound) >= _EVENT:
            wave = _looped(sound, samples, rng)
        else:
            wave = np.zeros(samples, np.float32)
            for _ in range(1 + rng.poisson(samples / (2 * _EVENT))):
                at = int(rng.integers(-len(sound) + 1, samples))
                part = sound[max(0, -at) : samples - at]
                wave[max(0, at) : max(0, at) + len(part)] = part
        power = float(np.dot(wave, wave)) / max(1, int(np.count_nonzero(wave)))
        return wave * np.float32(1 / np.sqrt(power)) if power > 0 else None


def _read(utterance: Utterance) -> tuple[str, Room | NDArray[np.int16] | str | None]:
    """Its kind, and what is kept of it: None of silence and of rooms without a tail, or a sentence
    that says why it cannot be read."""
    from encoder.audio.load import load_audio

    try:
        wave = load_audio(utterance.path, on_warning=lambda _: None).numpy()
    except ToolkitError as error:
        return utterance.speaker, str(error)
    loudest = float(np.abs(wave).max())
    if loudest == 0:
        return utterance.speaker, None
    if utterance.speaker == "rir":
        return "rir", measured_room(wave)
    return utterance.speaker, np.rint(wave * np.float32(32000 / loudest)).astype(np.int16)


def measured_room(impulse: NDArray[np.float32]) -> Room | None:
    """The tail of an impulse response (T,) at 16 kHz; None if it has none to speak of."""
    after = impulse[int(np.abs(impulse).argmax()) :].astype(np.float64)
    decay = np.cumsum(np.square(after)[::-1])[::-1]
    if len(after) <= 2 * EARLY or decay[EARLY] < 1e-4 * decay[0]:
        return None
    # Schroeder's integral; from -5 to -25 dB, where neither the direct sound nor noise counts.
    level_db = 10 * np.log10(decay / decay[0] + 1e-12)
    from_, to = (int(np.argmax(level_db < db)) for db in (-5.0, -25.0))
    if to <= from_:
        return None
    return _room(after[:LONGEST], 3 * (to - from_) / SAMPLE_RATE)


def _made_room(t60_s: float, rng: np.random.Generator) -> Room:
    """Polack's model: noise that decays exponentially, faster at high frequencies."""
    L = min(LONGEST, round(t60_s * SAMPLE_RATE) + 2 * EARLY)
    at_s = np.arange(L) / SAMPLE_RATE
    low = np.cumsum(rng.normal(size=L))
    low = low - np.convolve(low, np.ones(64) / 64, mode="same")  # no rumble
    high = rng.normal(size=L)
    fall = np.log(1000) / t60_s  # of the amplitude, by 60 dB
    wave = low / low.std() * np.exp(-fall * at_s) + 0.7 * high * np.exp(-1.6 * fall * at_s)
    return _room(wave, t60_s)


def _room(after: NDArray[np.float64], t60_s: float) -> Room:
    tail = after.astype(np.float32)
    tail[:EARLY] = 0
    tail[EARLY : 2 * EARLY] *= np.linspace(0, 1, len(tail[EARLY : 2 * EARLY]), dtype=np.float32)
    tail[-EARLY:] *= np.linspace(1, 0, EARLY, dtype=np.float32)
    return Room(tail / np.float32(np.linalg.norm(tail) + 1e-12), t60_s)


def _coloured(samples: int, tilt: float, rng: np.random.Generator) -> NDArray[np.float32]:
    spectrum = scipy.fft.rfft(rng.normal(size=samples))
    hertz = np.fft.rfftfreq(samples, 1 / SAMPLE_RATE)
    wave = scipy.fft.irfft(spectrum * np.maximum(hertz, 40.0) ** -tilt, samples)
    return np.asarray(wave / wave.std(), np.float32)


def _looped(
    wave: NDArray[np.float32] | NDArray[np.int16], samples: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """(T,) from a random place on, again and again from the beginning; a copy."""
    found = np.empty(samples, np.float32)
    done, at = 0, int(rng.integers(len(wave)))
    while done < samples:
        size = min(samples - done, len(wave) - at)
        found[done : done + size] = wave[at : at + size]
        done, at = done + size, 0
    return found
