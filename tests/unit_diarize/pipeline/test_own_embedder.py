"""The whole pipeline with an embedder of one's own: a function, or a class with what is needed."""

import numpy as np
import pytest
import torch

from diarize.clustering.agglomerative import Agglomerative
from diarize.pipeline.config import DiarizeConfig
from diarize.pipeline.diarizer import Diarizer
from encoder.errors import AudioError, ConfigError
from encoder.inference.window_embedder import FunctionEmbedder, WindowEmbedder
from tests.support.tones import BandEmbedder, LoudSegmenter

RATE = 16_000
TURNS = [(1, 5, 450.0), (6, 10, 950.0), (11, 15, 450.0)]  # start_s, end_s, who (in Hz)


def sound():
    wave = torch.zeros(16 * RATE)
    for start, end, hertz in TURNS:
        at = torch.arange(start * RATE, end * RATE)
        wave[at] = 0.1 * torch.sin(2 * torch.pi * hertz * at / RATE)
    return wave


def bands(wave):
    return BandEmbedder().embed_windows(wave, np.array([[0, len(wave)]]))[0] * 5


class Derived(WindowEmbedder):
    fingerprint = "derived"
    minimum_samples = 1600

    def embed_windows(self, wave, bounds, *, on_done=None):
        return BandEmbedder().embed_windows(wave, bounds)


class Plain:
    fingerprint = "plain"
    minimum_samples = 1600
    embed_windows = Derived.embed_windows


@pytest.mark.parametrize("embedder", [FunctionEmbedder(bands, name="b"), Derived(), Plain()])
def test_who_speaks_when(embedder):
    diarizer = Diarizer(DiarizeConfig(), LoudSegmenter(), embedder, Agglomerative())
    result = diarizer(sound(), speakers=2)
    found = [(round(t.start_s), round(t.end_s), t.speaker) for t in result.turns]
    assert [turn[:2] for turn in found] == [turn[:2] for turn in TURNS]
    first, second, third = (speaker for _, _, speaker in found)
    assert first == third != second
    assert diarizer(torch.zeros(RATE)).turns == []


def test_what_is_no_embedder_is_refused_before_it_is_needed():
    with pytest.raises(ConfigError, match="object has no fingerprint"):
        Diarizer(DiarizeConfig(), LoudSegmenter(), object(), Agglomerative())


def test_an_embedder_of_ones_own_is_named_where_its_calibration_lacks():
    config = DiarizeConfig(min_confidence=0.5)
    with pytest.raises(ConfigError, match="the embedder derived has no calibration of turns"):
        Diarizer(config, LoudSegmenter(), Derived(), Agglomerative())


def test_a_numpy_array_is_heard_like_a_tensor():
    diarizer = Diarizer(DiarizeConfig(), LoudSegmenter(), Derived(), Agglomerative())
    expected = diarizer(sound()).turns
    assert expected
    for wave in (sound().numpy(), sound().numpy().astype(np.float64)[::1]):
        assert diarizer(wave).turns == expected


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (np.zeros(16000, np.int16), "array of int16: give floats"),
        ([0.0, 0.0], "type list: give the path of a media file, a binary file object, or a wave"),
        ({"waveform": 1}, "type dict"),
        (b"RIFF", "type bytes"),
        (None, "type NoneType"),
    ],
)
def test_what_is_no_sound_is_refused_with_what_may_be_given(other, words):
    diarizer = Diarizer(DiarizeConfig(), LoudSegmenter(), Derived(), Agglomerative())
    with pytest.raises(AudioError, match=words):
        diarizer(other)
