"""A clip's voice, on tones whose vectors are known beforehand."""

from __future__ import annotations

import itertools
import threading

import numpy as np
import pytest
import torch

from diarize.embedding.clip_embedding import ClipEmbedder, ClipEmbeddingConfig
from diarize.segmentation import SEGMENTERS
from diarize.segmentation.energy import EnergyConfig, EnergySegmenter
from encoder.errors import AudioError, CheckpointError, ConfigError
from tests.support.synth import write_media
from tests.support.tones import BandEmbedder, LoudSegmenter, tone_voices, write_tone


def sound(*parts: tuple[float, float]) -> torch.Tensor:
    """Tones and silences one after another: (hz, seconds), hz 0 for silence."""
    waves = [
        0.3 * np.sin(2 * np.pi * hz * np.arange(round(seconds * 16000)) / 16000)
        for hz, seconds in parts
    ]
    return torch.from_numpy(np.concatenate(waves).astype(np.float32))


def test_a_voice_is_the_unit_mean_of_its_pieces(tmp_path):
    voices = tone_voices()
    found = voices(write_tone(tmp_path / "a.wav", 450, 10.0))
    assert found.speech_s == found.duration_s == 10.0 and found.warnings == []
    # 10 s in pieces of 4 s, half overlapping: 0-4, 2-6, 4-8, 6-10
    assert voices.embedder.lengths == [64000] * 4
    assert found.pieces.shape == (4, 16) and found.vector.shape == (16,)
    assert found.vector.argmax() == 4
    mean = found.pieces.mean(axis=0)
    np.testing.assert_allclose(found.vector, mean / np.linalg.norm(mean), atol=1e-6)


@pytest.mark.parametrize("seconds", [0.6, 1.234, 3.99, 4.0, 4.01, 6.0, 6.1, 11.0, 29.7])
def test_pieces_cover_all_that_is_heard(seconds):
    bounds = []

    class Noting(BandEmbedder):
        def embed_windows(self, wave, windows, *, on_done=None):
            bounds.extend(windows.tolist())
            return super().embed_windows(wave, windows)

    wave = sound((450, seconds))
    found = ClipEmbedder(LoudSegmenter(), Noting()).of_wave(wave)
    assert bounds[0][0] == 0
    for (_, end), (start, _) in itertools.pairwise(bounds):
        assert start < end  # no gap
    assert len(found.wave) - bounds[-1][1] < 1600  # at most a tenth of a second is left out
    lengths = {end - start for start, end in bounds}
    assert len(lengths) == 1 and max(lengths) <= 64000


def test_silence_around_and_long_pauses_are_not_heard():
    voices = tone_voices()
    found = voices.of_wave(sound((0, 5), (450, 1), (0, 0.8), (450, 1), (0, 6), (450, 2), (0, 5)))
    assert found.speech_s == pytest.approx(4.0, abs=0.2)
    assert found.duration_s == 20.8
    # 0.5 s before, the first two with their pause, 0.5 s after; 0.5 s, the third, 0.5 s
    assert len(found.wave) / 16000 == pytest.approx(3.8 + 3.0, abs=0.2)


def test_too_little_speech_is_no_voice():
    voices = tone_voices()
    for parts, speech_s in (((0, 3),), 0), (((0, 1), (450, 0.3), (0, 1)), 0.3):
        found = voices.of_wave(sound(*parts))
        assert found.vector is None and len(found.pieces) == 0 and len(found.wave) == 0
        assert found.speech_s == pytest.approx(speech_s, abs=0.11)
    assert voices.embedder.lengths == []
    allowed = tone_voices(config=ClipEmbeddingConfig(shortest_s=0.1))
    assert allowed.of_wave(sound((0, 1), (450, 0.3), (0, 1))).vector is not None


def test_the_volume_changes_nothing(tmp_path):
    voices = tone_voices()
    loud = voices.of_wave(sound((450, 3))).vector
    quiet = voices.of_wave(0.01 * sound((450, 3))).vector
    np.testing.assert_allclose(loud, quiet, atol=1e-5)


@pytest.mark.parametrize(("seconds", "cut"), [(2.9, False), (3.0, False), (3.01, True), (9, True)])
def test_only_the_beginning_of_a_long_file_is_heard_and_said(tmp_path, seconds, cut):
    voices = tone_voices(config=ClipEmbeddingConfig(longest_s=3.0, piece_s=2.0))
    found = voices(write_tone(tmp_path / "a.wav", 450, seconds))
    assert found.duration_s == min(seconds, 3.0)
    assert found.warnings == (["only the first 3 s were read"] if cut else [])


def test_an_hour_is_not_decoded(tmp_path):
    """The hour's bytes after its first minutes are noise: who decoded them would meet it."""
    second = (0.3 * np.sin(np.arange(8000) * 0.3))[None].astype(np.float32)
    hour = write_media(tmp_path / "hour.flac", (second for _ in range(3600)), 8000, codec="flac")
    data = bytearray(hour.read_bytes())
    data[len(data) // 5 :] = np.random.default_rng(0).bytes(len(data) - len(data) // 5)
    hour.write_bytes(data)
    found = tone_voices()(hour)
    assert found.duration_s == 300.0
    assert found.warnings == ["only the first 300 s were read"]


def test_what_is_no_sound_is_an_audio_error(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"")
    with pytest.raises(AudioError, match=r"a\.wav"):
        tone_voices()(tmp_path / "a.wav")
    with pytest.raises(AudioError, match="finite"):
        ClipEmbedder(EnergySegmenter(), BandEmbedder()).of_wave(torch.full((16000,), torch.nan))


def test_an_embedder_that_gives_no_numbers_is_said():
    class Broken(BandEmbedder):
        def embed_windows(self, wave, bounds, *, on_done=None):
            rows = super().embed_windows(wave, bounds)
            rows[-1, 0] = np.nan
            return rows

    with pytest.raises(CheckpointError, match="the embedder bands gives values"):
        ClipEmbedder(LoudSegmenter(), Broken()).of_wave(sound((450, 9.0)))


def test_threads_may_share_it_but_segment_one_at_a_time(tmp_path):
    voices = tone_voices()
    waves = [sound((50 + 100 * band, 2)) for band in range(16)]
    found = [None] * 16

    def work(band):
        found[band] = voices.of_wave(waves[band]).vector.argmax()

    threads = [threading.Thread(target=work, args=(band,)) for band in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == list(range(16))
    assert voices.segmenter.most_inside == 1


def test_the_recipe_tells_what_makes_the_vector():
    def recipe(segmenter, config=None):
        return ClipEmbedder(segmenter, BandEmbedder(), config).recipe

    energy = EnergySegmenter()
    assert recipe(energy) == recipe(EnergySegmenter(EnergyConfig()))
    others = [
        recipe(energy, ClipEmbeddingConfig(piece_s=3.0)),
        recipe(energy, ClipEmbeddingConfig(shortest_s=0.6)),
        recipe(LoudSegmenter()),
    ]
    assert len({recipe(energy), *others}) == 4
    assert ClipEmbedder(energy, BandEmbedder("f1")).fingerprint == "f1"


@pytest.mark.parametrize("wrong", [{"piece_s": 0.4}, {"piece_s": 301}, {"around_s": -0.1}])
def test_lengths_that_cannot_be(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        ClipEmbeddingConfig(**wrong)


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("energy", "74db3c27c34ba765"),
        ("silero", "c59fe0ed085c65fa"),
        ("neural", "8ea5c85812264ac0"),
    ],
)
def test_clips_embedded_by_earlier_versions_are_found_again(name, stored):
    segmenter = SEGMENTERS.build(name, {}, where="segmentation")
    assert ClipEmbedder(segmenter, BandEmbedder()).recipe == stored
