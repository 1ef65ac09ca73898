"""How many speakers a recording has, from a segmenter that tells speakers apart: as many as are
asked for, and those who are there where nobody asks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from diarize.clustering.agglomerative import Agglomerative
from diarize.core.speaker_count import SpeakerCount
from diarize.pipeline.config import DiarizeConfig
from diarize.pipeline.diarizer import Diarizer
from diarize.segmentation.base import ChunkActivity, Segmentation, Segmenter
from encoder.calibration.plda import fit_plda
from encoder.inference.window_embedder import WindowEmbedder
from tests.support.tones import BandEmbedder
from tests.support.vector_recordings import D, centres_of, unit

RATE, HOP = 16_000, 320
CENTRES = centres_of(np.random.default_rng(5), 9)
NOISE = 0.8
# speaker, start_s, end_s: all but the last speak for long; the turns of 4 s overlap a little
TURNS = [(k % 3, 4.0 * k + 1, 4.0 * k + 5.4) for k in range(18)] + [(3, 75, 80)]
LENGTH_S = 81.0


HERTZ = [250, 550, 850, 1150]


def sound():
    """A tone for each speaker."""
    at = torch.arange(round(LENGTH_S * RATE)) / RATE
    wave = torch.zeros(len(at))
    for speaker, start, end in TURNS:
        part = slice(round(start * RATE), round(end * RATE))
        wave[part] += 0.1 * torch.sin(2 * torch.pi * HERTZ[speaker] * at[part])
    return wave


class Knows(Segmenter):
    """Chunks of 10 s every 5 s, which number the four speakers anew each time."""

    def segment(self, blocks):
        T, F = sum(len(block) for block in blocks) // HOP, 500
        who = np.zeros((T, 4), np.float32)
        for speaker, start, end in TURNS:
            who[round(start * 50) : round(end * 50), speaker] = 1
        edges = np.flatnonzero(np.diff(np.concatenate([[0], who.any(axis=1), [0]])))
        starts = np.unique([*range(0, T - F, 250), T - F])
        parts = [np.roll(who[start : start + F], c, axis=1) for c, start in enumerate(starts)]
        chunks = ChunkActivity(np.stack(parts), starts * HOP, HOP)
        return Segmentation(edges.reshape(-1, 2) * HOP, chunks)


class Voices(WindowEmbedder):
    """The mean of the voices in a window, with noise."""

    fingerprint, minimum_samples = "voices", 1600

    def __init__(self):
        self.bands, self.random = BandEmbedder(), np.random.default_rng(0)

    def embed_windows(self, wave, bounds, *, on_done=None):
        heard = self.bands.embed_windows(wave, bounds)[:, [hz // 100 for hz in HERTZ]]
        rows = heard @ CENTRES[:4] + NOISE * self.random.normal(size=(len(bounds), D)) / D**0.5
        return unit(rows).astype(np.float32)


def model():
    rng = np.random.default_rng(7)
    who = np.repeat(np.arange(400), 10)
    rows = centres_of(rng, 400)[who] + NOISE * rng.normal(size=(len(who), D)) / D**0.5
    return fit_plda(unit(rows), who, directions=24)


@pytest.fixture(scope="module", params=["model", "no model", "not resegmented"])
def diarizer(request):
    config = DiarizeConfig(resegment=request.param != "not resegmented")
    plda = model() if request.param != "no model" else None
    return Diarizer(config, Knows(), Voices(), Agglomerative(), plda=plda)


@pytest.fixture(scope="module")
def prepared(diarizer):
    return diarizer.prepare(sound())


def number(result):
    names = {turn.speaker for turn in result.turns}
    assert len(names) == int(result.labels.max()) + 1 == len(result.speakers)
    return len(names)


def test_who_is_there_is_found_where_nobody_says_how_many(diarizer, prepared):
    result = diarizer.decide(prepared)
    assert number(result) == 4 and result.warnings == []
    truth = np.array([who for who, _, _ in TURNS])
    for speaker in range(4):
        assert sum(t.speaker == f"SPEAKER_{speaker:02d}" for t in result.turns) == (
            (truth == speaker).sum()
        )
    found = [(round(t.start_s, 1), round(t.end_s, 1)) for t in result.turns]
    assert found == [(start, end) for _, start, end in TURNS]


@pytest.mark.parametrize("known", [1, 2, 3, 4, 5, 8, 15])
def test_a_known_number_is_obeyed_exactly(diarizer, prepared, known):
    result = diarizer.decide(prepared, SpeakerCount.of(known))
    assert number(result) == known and result.warnings == []


@pytest.mark.parametrize(
    ("least", "most", "expected"), [(1, 3, 3), (6, None, 6), (2, 9, 4), (5, 7, 5), (None, 2, 2)]
)
def test_bounds_are_obeyed(diarizer, prepared, least, most, expected):
    assert number(diarizer.decide(prepared, SpeakerCount.of(None, least, most))) == expected


def test_more_than_there_are_windows_are_as_many_as_windows_and_said(diarizer, prepared):
    N = len(prepared.windows)
    result = diarizer.decide(prepared, SpeakerCount.of(N + 1))
    assert int(result.labels.max()) + 1 == N
    assert f"{N + 1} speakers were asked for, but {N} is all" in result.warnings[0]


def test_a_number_changes_no_more_than_it_must(diarizer, prepared):
    """One more than are found: everybody else stays as they were."""
    free = diarizer.decide(prepared).labels
    more = diarizer.decide(prepared, SpeakerCount.of(5)).labels
    together = {(a, b) for a, b in zip(free.tolist(), more.tolist(), strict=True)}
    assert len(together) == 5


def test_windows_follow_the_speakers_where_there_is_a_model(diarizer, prepared):
    if diarizer.plda is None:
        assert prepared.windows.alone is None
        return
    ends = set(np.round(prepared.windows.territory.ravel() / RATE, 2).tolist())
    assert {round(edge, 2) for turn in TURNS for edge in turn[1:]} <= ends
    assert (~prepared.windows.alone).sum() == 17


@pytest.mark.parametrize("vectors", ["none can be compared", "only unclear ones can"])
def test_windows_that_cannot_be_compared_have_no_speaker(diarizer, prepared, vectors):
    embeddings = prepared.embeddings.copy()
    bad = prepared.windows.is_clear() if vectors.startswith("only") else slice(None)
    embeddings[bad] = 0
    found = diarizer.decide(replace(prepared, embeddings=embeddings)).labels
    assert (found[bad] == -1).all()
    if vectors.startswith("only"):
        assert (found[~bad] >= 0).all()
