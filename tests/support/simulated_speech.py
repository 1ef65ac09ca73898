"""Voices that are tones, each speaker's of their own pitch, loud in pieces and silent between."""

import dataclasses

import numpy as np

from diarize.simulation.conversation_style import STYLES
from diarize.simulation.speaker_bank import SpeakerBank
from diarize.simulation.speech_trimming import TrimmedSpeech

RATE = 16_000
DRY = dataclasses.replace(
    STYLES["meeting"], room=0.0, noise=0.0, music=0.0, hiss_db=(80.0, 80.0), level_db=0.0
)


def tone(speaker, samples):
    return 0.1 * np.sin(2 * np.pi * (300 + 137 * speaker) * np.arange(samples) / RATE)


def said(speaker, pieces_s, pause_s=0.15):
    """What `spoken` would give of a speaker whose voice is a tone."""
    waves, pieces, at = [], [], 0
    for seconds in pieces_s:
        size, pause = round(seconds * RATE), round(pause_s * RATE)
        waves += [tone(speaker, size), np.zeros(pause)]
        pieces.append((at, at + size))
        at += size + pause
    wave = np.rint(np.concatenate(waves) * 32767).astype(np.int16)
    return TrimmedSpeech(wave, np.array(pieces, np.int64), 60.0)


def bank(speakers=6, pieces_s=(0.5, 1.2, 0.3, 2.0, 0.8)):
    rows = ((f"s{k}", f"set{k % 2}", [said(k, pieces_s)]) for k in range(speakers))
    return SpeakerBank.of(rows)


def rng(seed=0):
    return np.random.default_rng(seed)


def rms(wave):
    return float(np.sqrt(np.square(wave, dtype=np.float64).mean()))
