"""The spoken parts of an utterance, tightly cut: what turns of a made-up conversation consist of.

Silero tells speech from noise but is vague about the instant; the energy of 10 ms frames is exact
but finds noise. So a piece is where Silero finds speech, trimmed to its loud frames. Pauses are
shortened: a longer one would not be called speech in a reference.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from diarize.segmentation.hysteresis import HysteresisConfig, binarize
from diarize.simulation.turn_sampler import FRAME

__all__ = ["LONGEST_PAUSE", "TrimmedSpeech", "trim_speech"]

LONGEST_PAUSE = 18 * FRAME  # between pieces; references seldom have a pause under 0.2 s
_LEVEL = 10 ** (-23 / 20)  # RMS of the pieces
_LEAST_SNR_DB = 12.0  # a noisier utterance would tell by its noise when somebody speaks
_BELOW_DB = 28.0  # frames this far below the level are no speech, whatever comes before
_MARGIN = 2  # frames around a piece, for soft onsets and fading ends
_LAST_PAUSE = 8 * FRAME  # at least, before whatever the speaker says next
_FADE = FRAME // 2
_RULES = HysteresisConfig(
    onset=0.5, offset=0.3, min_speech_s=0.1, min_silence_s=0.07, padding_s=0.0
)


class TrimmedSpeech(NamedTuple):
    """`wave` (T,) int16, T a multiple of 160; `pieces` (n, 2) sample offsets of speech in it.

    It begins with the first piece and ends with a pause. `snr_db`: pieces over the quietest tenth
    of what lay between them; infinite where nothing does.
    """

    wave: NDArray[np.int16]
    pieces: NDArray[np.int64]
    snr_db: float

    @property
    def clean(self) -> bool:
        """Whether its noise is too weak to be a hint."""
        return self.snr_db >= _LEAST_SNR_DB


def trim_speech(
    wave: NDArray[np.float32], voiced: NDArray[np.float32], *, hop: int
) -> TrimmedSpeech | None:
    """Wave (T,) and the probability of speech in each `hop` samples -> its spoken pieces.

    None where there is no speech.
    """
    regions = binarize(voiced, hop=hop, length=len(wave), config=_RULES)
    F = len(wave) // FRAME
    power = np.square(wave[: F * FRAME].reshape(F, FRAME), dtype=np.float64).mean(axis=1)
    inside = np.zeros(F, bool)
    for start, end in regions // FRAME:
        inside[start : end + 1] = True
    if not (power[inside] > 0).any():
        return None
    level = power[inside].mean()
    outside = power[~inside]
    floor = float(np.quantile(outside, 0.1)) if len(outside) >= 5 else 0.0
    loud = power > max(level * 10 ** (-_BELOW_DB / 10), 2 * floor)
    pieces = [piece for start, end in regions // FRAME if (piece := _trim(loud, start, end))]
    if not pieces:
        return None
    bounds = np.clip(np.array(pieces) + np.array([-_MARGIN, _MARGIN]), 0, F)
    bounds[1:, 0] = np.maximum(bounds[1:, 0], bounds[:-1, 1])
    gain = _LEVEL / np.sqrt(np.concatenate([power[a:b] for a, b in bounds]).mean())
    gain = min(gain, 0.99 / float(np.abs(wave).max()))
    joined, places = _join((wave * np.float32(gain * 32767)), bounds * FRAME)
    snr_db = 10 * np.log10(level / floor) if floor > 0 else np.inf
    return TrimmedSpeech(np.rint(joined).astype(np.int16), places, float(snr_db))


def _trim(loud: NDArray[np.bool_], start: int, end: int) -> tuple[int, int] | None:
    """The frames from the first to the last loud one; up to two frames before Silero's start."""
    start = max(0, start - 2)
    found = np.flatnonzero(loud[start : end + 1])
    return (start + int(found[0]), start + int(found[-1]) + 1) if len(found) else None


def _join(
    wave: NDArray[np.float32], pieces: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The pieces with what lies between, of long pauses only the beginning and the end."""
    parts: list[NDArray[np.float32]] = []
    places: list[tuple[int, int]] = []
    at = 0
    nexts = [*pieces[1:, 0], len(wave) // FRAME * FRAME]
    for (start, end), following in zip(pieces, nexts, strict=True):
        parts.append(wave[start:end])
        places.append((at, at + end - start))
        pause = _shortened(wave[end:following])
        parts.append(pause)
        at += end - start + len(pause)
    parts.append(np.zeros(max(0, _LAST_PAUSE - len(pause)), np.float32))
    return np.concatenate(parts), np.array(places, np.int64)


def _shortened(pause: NDArray[np.float32]) -> NDArray[np.float32]:
    if len(pause) <= LONGEST_PAUSE:
        return pause
    half = LONGEST_PAUSE // 2
    head, tail = pause[:half].copy(), pause[-half:].copy()
    fade = np.linspace(0, 1, _FADE, dtype=np.float32)
    # The end of the first part goes over into what precedes the second part.
    head[-_FADE:] = head[-_FADE:] * (1 - fade) + fade * pause[-half - _FADE : -half]
    return np.concatenate([head, tail])
