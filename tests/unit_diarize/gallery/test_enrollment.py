"""From a clip's voice to the gallery, with a fake embedder and the energy segmenter."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from diarize.embedding.clip_embedding import ClipEmbedder
from diarize.gallery.enrollment import (
    EnrollmentConfig,
    clip_enrollment,
    clip_exemplars,
    enroll,
    is_mixed,
    reembed,
)
from diarize.gallery.gallery import Gallery
from diarize.gallery.schema import Enrollment
from diarize.segmentation.energy import EnergySegmenter
from encoder.audio.flac import from_flac
from encoder.calibration.score_calibration import Calibration
from encoder.errors import ConfigError, CorpusError

CALIBRATION = Calibration("f", slope=10.0, offset=-5.0, shortness=0.0)  # 0.9 at 0.72
MADE_BY = {"fingerprint": "f", "embedder": "small"}


class PitchEmbedder:
    """Hears where the spectrum's energy is, in 16 bands; `turn` makes another space of it."""

    minimum_samples = 1600

    def __init__(self, fingerprint="f", turn=0):
        self.fingerprint = fingerprint
        self.turn = turn

    def embed_windows(self, wave, bounds, *, on_done=None):
        rows = []
        for start, end in bounds:
            power = np.abs(np.fft.rfft(wave[start:end].numpy())) ** 2
            bands = np.array([band.sum() for band in np.array_split(power, 16)]) ** 0.5
            rows.append(np.roll(bands, self.turn) / np.linalg.norm(bands))
        return np.stack(rows).astype(np.float32)


def speaker(hertz, seconds, *, seed=0):
    """A made-up voice: bursts of a noisy tone with short gaps."""
    at = torch.arange(round(seconds * 16_000)) / 16_000
    noise = torch.randn(len(at), generator=torch.Generator().manual_seed(seed))
    loud = ((at % 0.7) < 0.55).float()
    return 0.2 * loud * torch.sin(2 * torch.pi * hertz * at) * (1 + 0.3 * noise) + 1e-4 * noise


def voices(embedder=None):
    return ClipEmbedder(EnergySegmenter(EnergySegmenter.Config()), embedder or PitchEmbedder())


def enrollment_of(hertz, seconds, *, seed=0, keep=False):
    return clip_enrollment(voices().of_wave(speaker(hertz, seconds, seed=seed)), "a.wav", keep=keep)


@pytest.fixture
def gallery(tmp_path):
    with Gallery.open(tmp_path / "g.sqlite", create=True) as opened:
        yield opened


def put(gallery, name, *sounds, **more):
    return enroll(gallery, name, sounds, calibration=CALIBRATION, **{**MADE_BY, **more})


def test_a_short_file_is_one_exemplar_and_a_long_one_has_stretches():
    pieces = np.eye(30, dtype=np.float32)
    whole = np.ones(30, np.float32) / 30**0.5
    rows, seconds = clip_exemplars(pieces[:3], whole, 6.0, 8.0)
    np.testing.assert_array_equal(rows, whole[None])
    np.testing.assert_array_equal(seconds, [6.0])
    # 30 half overlapping pieces of 4 s cover 62 s: four stretches of 5 pieces, which are 12 s.
    rows, seconds = clip_exemplars(pieces, whole, 31.0, 62.0)
    assert rows.shape == (5, 30)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    for row, start in zip(rows[1:], [0, 8, 17, 25], strict=True):
        np.testing.assert_array_equal(np.flatnonzero(row), np.arange(start, start + 5))
    np.testing.assert_allclose(seconds[1:], 6.0)


def test_the_kept_sound_is_the_speech_itself_up_to_a_minute():
    voice = voices().of_wave(speaker(400, 80))
    kept = from_flac(clip_enrollment(voice, "a.wav", keep=True).kept)
    assert len(kept) == 60 * 16_000 < len(voice.wave)
    again = voices().of_wave(torch.from_numpy(kept / np.float32(32_768)))
    assert float(again.vector @ voice.vector) > 0.999
    assert clip_enrollment(voice, "a.wav", keep=False).kept is None


def test_two_voices_in_one_file_are_noticed():
    one = voices().of_wave(speaker(400, 24))
    two = voices().of_wave(torch.cat([speaker(400, 12), speaker(3000, 12)]))
    assert not is_mixed(one.pieces, 4.0, CALIBRATION)
    assert is_mixed(two.pieces, 4.0, CALIBRATION)
    four = voices().of_wave(torch.cat([speaker(hz, 12) for hz in (400, 3000, 1500, 6000)]))
    assert is_mixed(four.pieces, 4.0, CALIBRATION)
    assert not is_mixed(two.pieces, 4.0, None)
    assert not is_mixed(two.pieces[:3], 4.0, CALIBRATION)


def test_who_says_little_is_noticed_beside_a_speaker_of_two_moods():
    """In two parts the moods are told apart, which are one speaker's."""
    calm, other = np.eye(3, dtype=np.float32)[[0, 2]]
    lively = np.array([0.75, 0.4375**0.5, 0], np.float32)
    low = Calibration("f", slope=10.0, offset=-2.0, shortness=0.0)  # 0.2 at 0.06
    moods = [calm] * 20 + [lively] * 20
    assert not is_mixed(np.stack(moods), 4.0, low)
    assert is_mixed(np.stack([*moods, other, other]), 4.0, low)
    assert not is_mixed(np.stack([*moods, other]), 4.0, low)  # one piece may be a cough


def test_five_seconds_of_speech_are_needed_in_all(gallery):
    with pytest.raises(
        CorpusError, match=r"there are \d\.\d s of speech of 'Anna'.* 5 s are needed"
    ):
        put(gallery, "Anna", enrollment_of(400, 4), enrollment_of(400, 4))  # one sound, given twice
    assert gallery.speakers() == []
    assert put(gallery, "Anna", enrollment_of(400, 4), enrollment_of(400, 4.2, seed=1)) == (2, [])
    assert put(gallery, "Anna", enrollment_of(400, 2, seed=2)) == (1, [])
    low = EnrollmentConfig(min_speech_s=1.0)
    assert put(gallery, "Bob", enrollment_of(3000, 2), config=low) == (1, [])
    with pytest.raises(ConfigError, match="min_speech_s"):
        EnrollmentConfig(min_speech_s=float("nan"))


def test_two_names_for_one_speaker_are_refused_unless_wanted(gallery):
    put(gallery, "Anna", enrollment_of(400, 10))
    with pytest.raises(ConfigError, match=r"'Bob' sounds like 'Anna'.*anyway"):
        put(gallery, "Bob", enrollment_of(400, 10, seed=1))
    assert [p.name for p in gallery.speakers()] == ["Anna"]
    put(gallery, "Bob", enrollment_of(400, 10, seed=1), anyway=True)
    put(
        gallery, "Anna", enrollment_of(400, 10), enrollment_of(3000, 10)
    )  # a voice only she has now, and one known
    put(gallery, "Anna", enrollment_of(3000, 9, seed=3))
    with pytest.raises(ConfigError, match="'Eve' sounds like 'Anna'"):
        put(gallery, "Eve", enrollment_of(3000, 10, seed=2))
    assert put(gallery, "Eve", enrollment_of(6000, 10))[0] == 1


def test_without_a_calibration_nothing_is_refused(gallery):
    put(gallery, "Anna", enrollment_of(400, 10))
    sounds = [enrollment_of(400, 10, seed=1)]
    assert enroll(gallery, "Bob", sounds, calibration=None, **MADE_BY)[0] == 1


def test_an_unknown_speaker_with_the_voice_is_mentioned(gallery):
    gallery.remember_unknown([enrollment_of(400, 10)], **MADE_BY)
    added, (note,) = put(gallery, "Anna Berg", enrollment_of(400, 10, seed=1))
    assert added == 1 and "rename VOICE_0001 to 'Anna Berg'" in note
    assert gallery.rename("VOICE_0001", "Anna Berg", merge=True) == "Anna Berg"


@pytest.mark.parametrize("name", ["VOICE_0001", "a/b", "x" * 300])
def test_a_bad_name_enrolls_no_speaker(gallery, name):
    with pytest.raises(ConfigError, match="the name"):
        put(gallery, name, enrollment_of(400, 10))
    assert gallery.speakers() == []


def test_making_vectors_anew_for_another_embedder(gallery):
    put(gallery, "Anna", enrollment_of(400, 10, keep=True))
    put(gallery, "Bob", enrollment_of(3000, 10))
    other = PitchEmbedder("g", turn=5)
    seen = []
    found = reembed(gallery, voices(other), "large", on_done=lambda *at: seen.append(at))
    assert (found.done, found.lost, found.left) == (["Anna"], {}, ["Bob"])
    assert seen == [(0, 1)]
    gallery.forget("Bob")
    (anna,) = gallery.speakers("g", embedder="large")
    expected = voices(other).of_wave(speaker(400, 10)).vector
    assert float(anna.exemplars[0] @ expected) > 0.999
    assert gallery.fingerprints() == {"g": "large"}


def test_making_vectors_anew_for_the_same_embedder_loses_nothing(gallery):
    put(gallery, "Anna", enrollment_of(400, 10, keep=True), enrollment_of(500, 10, seed=1))
    (before,) = gallery.speakers()
    found = reembed(gallery, voices(), "small")
    assert (found.done, found.lost, found.left) == ([], {}, [])
    (after,) = gallery.speakers()
    np.testing.assert_array_equal(before.exemplars, after.exemplars)
    assert after.enrollments == 2


def test_a_kept_sound_in_which_no_speech_is_found_changes_nothing(gallery):
    put(gallery, "Anna", enrollment_of(400, 10, keep=True))

    class Deaf(EnergySegmenter):
        def segment(self, blocks):
            found = super().segment(blocks)
            return type(found)(found.regions[:0])

    deaf = ClipEmbedder(Deaf(EnergySegmenter.Config()), PitchEmbedder("g"))
    with pytest.raises(CorpusError, match="'Anna'"):
        reembed(gallery, deaf, "large")
    assert gallery.fingerprints() == {"f": "small"}


def test_an_error_while_writing_leaves_nothing(gallery):
    good = enrollment_of(400, 10)
    torn = Enrollment(
        "b.wav", "h", 9.0, good.vectors, np.zeros(7)
    )  # seconds do not fit the vectors
    with pytest.raises(ValueError, match="zip"):
        put(gallery, "Anna", good, torn)
    assert gallery.speakers() == []
