"""From a script to sound: speech in a room or on the line, with noise behind them, and the truth.

    turn -> its speaker's level -> first reflections -> | the room's tail, shared |  -> + noise
                                                        | each one's own line     |  -> level

The labels follow the dry speech: what a room adds behind a turn is no speech. Nothing is ever
clipped: too loud a mix is turned down.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from diarize.core.turns import Turn
from diarize.simulation.acoustics import EARLY, LONGEST, Acoustics, Room
from diarize.simulation.channel_augmentation import (
    ChannelAugmentationConfig,
    band_limited,
    equalised,
)
from diarize.simulation.conversation_style import ConversationStyle
from diarize.simulation.labelled_chunk import LabelledChunk
from diarize.simulation.speaker_bank import SpeakerBank
from diarize.simulation.turn_sampler import FRAME, Script, write_script
from encoder.augmentation.band import band_attenuation
from encoder.common.units import SAMPLE_RATE, samples_to_seconds, seconds_to_samples
from encoder.errors import ConfigError

__all__ = ["Conversation", "Simulator", "render"]

_LEVEL_DB = (-34.0, -16.0)  # RMS of the speech; the pipeline evens out whole recordings only
_PEAK = 0.97
_QUIET = 0.005  # power that speech would have where there is none
_FARTHEST_DB = 2.5  # deviations of a speaker's level from the middle
_CLEAN_DB = ((32.0, 55.0), (20.0, 35.0))  # of hiss and noise, so that quiet speakers are audible
_LEAST_PART = 3 * SAMPLE_RATE // 10  # of what is said between two pauses
_TURN_DB = 1.5  # deviation between the turns of one speaker
_TAPS = 6  # first reflections
_NO_SPEECH = 0.06  # share of a simulator's chunks
_NO_SPEECH_LOUD = 0.5  # of those; a recording of noise alone is brought to the level of speech
_ALONE = 0.08
_BEFORE = (30 * SAMPLE_RATE, 90 * SAMPLE_RATE)  # talk that went before a chunk
_AROUND = 2 * SAMPLE_RATE  # of a turn that reaches out of the chunk
_NONE = ChannelAugmentationConfig()
_SHARED = 0.5  # of the calls have one band for all
_NARROW_HZ = ((60.0, 180.0, 280.0, 340.0), (3300.0, 3400.0, 3600.0, 3700.0))


class Conversation(NamedTuple):
    """`wave` (T,) float32; `activity` (T // 160, K) bool, whether each of K speaks in 10 ms;
    `turns` the same in seconds, sorted, with the speakers' names."""

    wave: NDArray[np.float32]
    activity: NDArray[np.bool_]
    turns: list[Turn]


def render(
    script: Script,
    bank: SpeakerBank,
    speaker_indices: Sequence[int] | NDArray[np.int64],
    *,
    acoustics: Acoustics,
    style: ConversationStyle,
    rng: np.random.Generator,
) -> Conversation:
    """Let the speakers of that number in `bank` say the script; one index a speaker, K in all."""
    wave, activity = _sound(
        script.turns, script.length, bank, speaker_indices, acoustics, style, rng
    )
    names = [bank.speakers[int(index)] for index in speaker_indices]
    return Conversation(wave, activity, _turns(activity, names))


class Simulator:
    """Endless chunks of made-up talk for training; what `chunk` gives depends on `rng` alone.

    Chunks lie anywhere in a conversation. In a few of them there is no speech, and in some a single
    speaker does, whatever the style. ConfigError without styles or for chunks under 10 ms.
    """

    def __init__(
        self,
        bank: SpeakerBank,
        acoustics: Acoustics,
        styles: Sequence[ConversationStyle],
        *,
        chunk_s: float = 10.0,
        channel_augmentation: ChannelAugmentationConfig | None = None,
    ) -> None:
        self.bank, self.acoustics, self.styles = bank, acoustics, list(styles)
        self.channel_augmentation = channel_augmentation or ChannelAugmentationConfig()
        self.samples = seconds_to_samples(chunk_s) // FRAME * FRAME
        if not self.styles:
            raise ConfigError("a simulator without styles cannot make conversations: give one")
        if self.samples < FRAME:
            raise ConfigError(f"chunk_s is {chunk_s}: give 0.01 s or more")

    def chunk(self, rng: np.random.Generator) -> LabelledChunk:
        """A chunk and who speaks in each 10 ms of it: K as many as do speak in it."""
        style = self.styles[int(rng.integers(len(self.styles)))]
        turns = self._turns(style, rng)
        names, speaker = np.unique(turns[:, 0], return_inverse=True)
        turns = np.column_stack([speaker, turns[:, 1:]])
        members = self.bank.company(len(names), rng, one_set=rng.random() < style.one_set)
        turns = turns[turns[:, 0] < len(members)]  # a small bank has no more speakers
        wave, activity = _sound(
            turns,
            self.samples,
            self.bank,
            members,
            self.acoustics,
            style,
            rng,
            self.channel_augmentation,
        )
        spoke = activity.any(axis=0)
        return LabelledChunk(wave, activity[:, spoke], members[spoke])

    def _turns(self, style: ConversationStyle, rng: np.random.Generator) -> NDArray[np.int64]:
        """(n, 3) speaker, start, end in the chunk's samples; some reach out of it."""
        kind = rng.random()
        if kind < _NO_SPEECH:
            return np.zeros((0, 3), np.int64)
        low, high = style.speakers
        speakers = 1 if kind < _NO_SPEECH + _ALONE else int(rng.integers(low, high + 1))
        before = int(rng.integers(*_BEFORE)) // FRAME * FRAME
        length = before + self.samples + _AROUND
        turns = write_script(style, speakers=speakers, length=length, rng=rng).turns.copy()
        turns[:, 1:] -= before
        turns = turns[(turns[:, 2] > 0) & (turns[:, 1] < self.samples)]
        turns[:, 1] = np.maximum(turns[:, 1], -int(rng.integers(_AROUND)) // FRAME * FRAME)
        return turns


def _sound(
    turns: NDArray[np.int64],
    length: int,
    bank: SpeakerBank,
    members: Sequence[int] | NDArray[np.int64],
    acoustics: Acoustics,
    style: ConversationStyle,
    rng: np.random.Generator,
    channel: ChannelAugmentationConfig = _NONE,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Wave and activity of turns that may begin before 0 and end after `length`."""
    activity = np.zeros((length // FRAME, len(members)), bool)
    if rng.random() < channel.level:
        style = replace(
            style,
            level_db=channel.level_db,
            hiss_db=_CLEAN_DB[0],
            noise_db=_CLEAN_DB[1],
        )
    elif rng.random() < channel.noise:
        style = replace(style, hiss_db=channel.noise_db)
    on_lines, in_room = rng.random() < style.telephone, rng.random() < style.room
    room = acoustics.room(style.t60_s, rng) if in_room else None
    late_db = rng.uniform(*style.late_db)
    mix, send, energy = np.zeros(length, np.float32), np.zeros(length, np.float32), 0.0
    lines = []
    for k, member in enumerate(members):
        own = turns[turns[:, 0] == k, 1:]
        dry, activity[:, k] = _track(own, length, bank, int(member), style, rng, channel)
        energy += float(np.dot(dry, dry))
        near = _reflected(dry, rng) if in_room else dry
        if on_lines:
            lines.append(near)
            continue
        mix += near
        if in_room:  # who sits farther away has more of the room
            send += np.float32(10 ** ((late_db + rng.normal(0, 3)) / 20)) * dry
    active = int(activity.sum()) * FRAME
    power = energy / active if energy > 0 and active else _QUIET
    noise = _background(length, power, acoustics, style, rng)
    if on_lines:
        mix = _on_lines(lines, noise, room, late_db, rng)
        if rng.random() < style.codec:
            mix = _coded(mix, rng)
    else:
        mix += noise
        if room is not None and send.any():
            mix += _convolved(send, room.tail)
    if rng.random() < channel.band_limit:
        mix = band_limited(mix, rng)
    if energy == 0 and rng.random() < _NO_SPEECH_LOUD:
        power = max(float(np.dot(mix, mix)) / length, 1e-9)
    gain = 10 ** (rng.uniform(*_LEVEL_DB) / 20) / np.sqrt(power)
    peak = float(max(mix.max(), -mix.min(), 1e-9))
    mix *= np.float32(min(gain, _PEAK / peak))
    return mix, activity


def _track(
    turns: NDArray[np.int64],
    length: int,
    bank: SpeakerBank,
    member: int,
    style: ConversationStyle,
    rng: np.random.Generator,
    channel: ChannelAugmentationConfig,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """What one speaker says (T,), and when (F,); turns (n, 2) start, end."""
    dry, activity = np.zeros(length, np.float32), np.zeros(length // FRAME, bool)
    level_db = style.level_db * float(np.clip(rng.normal(), -_FARTHEST_DB, _FARTHEST_DB))
    for start, end in turns.tolist():
        wave, active = _said(end - start, bank, member, style, rng)
        if rng.random() < channel.equaliser:
            wave = equalised(wave, channel.equaliser_db, rng)
        at, to = max(0, start), min(end, length)
        gain = np.float32(10 ** ((level_db + rng.normal(0, _TURN_DB)) / 20))
        dry[at:to] += wave[at - start : to - start] * gain
        first, last = at // FRAME, to // FRAME
        activity[first:last] |= active[first - start // FRAME : last - start // FRAME]
    return dry, activity


def _said(
    samples: int,
    bank: SpeakerBank,
    member: int,
    style: ConversationStyle,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """A turn (T,) with pauses in it, and when it is one (F,): through its pauses."""
    count = int(rng.poisson(style.hesitations * samples / (60 * SAMPLE_RATE)))
    pauses = np.exp(rng.normal(*style.ln_hesitation, count)) * SAMPLE_RATE
    pauses = pauses.astype(np.int64) // FRAME * FRAME
    spoken = samples - int(pauses.sum())
    ends = np.sort(rng.integers(0, max(spoken, 1), count)) // FRAME * FRAME
    parts = np.diff(np.concatenate([[0], ends, [spoken]]))
    if count == 0 or parts.min() < _LEAST_PART:
        return bank.draw(member, samples, rng)
    wave, active = np.zeros(samples, np.float32), np.ones(samples // FRAME, bool)
    at = 0
    for part, pause in zip(parts.tolist(), [*pauses.tolist(), 0], strict=True):
        wave[at : at + part], said = bank.draw(member, part, rng)
        at += part + pause
    active[len(active) - len(said) :] = said
    return wave, active


def _reflected(dry: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """With first reflections of its own place in the room."""
    near = dry.copy()
    for delay in rng.integers(SAMPLE_RATE // 1000, EARLY, _TAPS).tolist():
        near[delay:] += np.float32(rng.normal(0, 0.3)) * dry[:-delay]
    return near


def _background(
    length: int,
    power: float,
    acoustics: Acoustics,
    style: ConversationStyle,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Hiss, and perhaps noise and music, (T,) as far below speech of this power as drawn."""

    def gain(range_db: tuple[float, float]) -> np.float32:
        return np.float32(np.sqrt(power * 10 ** (-rng.uniform(*range_db) / 10)))

    wave = acoustics.hiss(length, rng)
    wave *= gain(style.hiss_db)
    if rng.random() < style.noise and (noise := acoustics.sound("noise", length, rng)) is not None:
        wave += gain(style.noise_db) * noise
    if rng.random() < style.music and (music := acoustics.sound("music", length, rng)) is not None:
        start, end = sorted(rng.uniform(-0.5 * length, 1.5 * length, 2))  # often all of it, or none
        ramp = np.arange(length, dtype=np.float32)
        fade = np.minimum(ramp - np.float32(start), np.float32(end) - ramp) / SAMPLE_RATE
        wave += gain(style.music_db) * music * np.clip(fade, 0, 1, out=fade)
    return wave


def _on_lines(
    lines: Sequence[NDArray[np.float32]],
    noise: NDArray[np.float32],
    room: Room | None,
    late_db: float,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """(T,) all in one band or each in their own, the first with the noise behind."""
    T = len(noise)
    n = _size(T)
    total = np.zeros(n // 2 + 1, np.complex64)
    edges = rng.integers(len(_NARROW_HZ[0]), size=(max(1, len(lines)), 2))
    if rng.random() < _SHARED:
        edges[:] = edges[0]
    tail = None if room is None else scipy.fft.rfft(room.tail, n)
    for k, line in enumerate(lines or [np.zeros(T, np.float32)]):
        own = scipy.fft.rfft(line + noise if k == 0 else line, n)
        if tail is not None and k == 0:  # one of them sits in a reverberant room
            own *= 1 + np.float32(10 ** (late_db / 20)) * tail
        low_hz, high_hz = (_NARROW_HZ[i][edge] for i, edge in enumerate(edges[k].tolist()))
        total += own * _band(low_hz, high_hz, n)
    return np.asarray(scipy.fft.irfft(total, n)[:T], np.float32)


@functools.lru_cache(maxsize=12)
def _band(low_hz: float, high_hz: float, n: int) -> NDArray[np.float32]:
    """(n // 2 + 1,) gains of a telephone's band."""
    hertz = np.arange(n // 2 + 1, dtype=np.float32) * np.float32(SAMPLE_RATE / n)
    power = band_attenuation(np.maximum(hertz, 1), low_hz, high_hz)
    return np.asarray(1 / np.sqrt(power), np.float32)


def _coded(wave: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    import torch

    from encoder.augmentation.codecs import codecs
    from encoder.augmentation.telephone import through_telephone

    return through_telephone(
        torch.from_numpy(wave), codec=str(rng.choice(codecs())), rng=rng
    ).numpy()


def _convolved(wave: NDArray[np.float32], kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """(T,) without what comes after the end."""
    n = _size(len(wave))
    spectrum = scipy.fft.rfft(wave, n)
    spectrum *= scipy.fft.rfft(kernel, n)
    return np.asarray(scipy.fft.irfft(spectrum, n)[: len(wave)], np.float32)


def _size(samples: int) -> int:
    return int(scipy.fft.next_fast_len(samples + LONGEST, real=True))


def _turns(activity: NDArray[np.bool_], names: Sequence[str]) -> list[Turn]:
    """Activity (F, K) as turns in seconds, sorted."""
    K = activity.shape[1]
    edges = np.diff(np.concatenate([np.zeros((1, K)), activity, np.zeros((1, K))]), axis=0)
    found = []
    for k, name in enumerate(names):
        starts, ends = np.flatnonzero(edges[:, k] > 0), np.flatnonzero(edges[:, k] < 0)
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            found.append(
                Turn(samples_to_seconds(start * FRAME), samples_to_seconds(end * FRAME), name)
            )
    return sorted(found)
