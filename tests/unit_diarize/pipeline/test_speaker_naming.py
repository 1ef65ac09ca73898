"""The speakers of a result get the names of a gallery, and strangers keep theirs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from diarize.core.speaker_count import SpeakerCount
from diarize.embedding.windows import cut_windows
from diarize.gallery.config import NamingConfig
from diarize.gallery.gallery import Gallery
from diarize.gallery.schema import Enrollment
from diarize.pipeline.config import DiarizeConfig
from diarize.pipeline.result import DiarizationResult
from diarize.pipeline.speaker_naming import name_result
from encoder.calibration.score_calibration import Calibration
from encoder.errors import ConfigError

FINGERPRINT = "00000000"
CALIBRATION = Calibration(FINGERPRINT, 20.0, -10.0)  # even odds at a cosine of 0.5
REGION, GAP = 6 * 16_000, 8_000


def recording(*speakers, uri="meeting", labels=None):
    """A region of 6 s each; speaker k's windows lie close to the k-th axis."""
    regions = np.array(
        [(k * (REGION + GAP), k * (REGION + GAP) + REGION) for k in range(len(speakers))]
    )
    windows = cut_windows(regions, length=int(regions[-1, 1]))
    axes = np.array([speakers[r] for r in windows.region])
    vectors = np.eye(8)[axes] + 0.05 * np.random.default_rng(0).normal(size=(len(axes), 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    order = list(dict.fromkeys(speakers)) if labels is None else None
    of_region = labels if labels is not None else [order.index(s) for s in speakers]
    return DiarizationResult(
        uri=uri,
        duration_s=regions[-1, 1] / 16_000,
        embeddings=vectors.astype(np.float32),
        windows=windows,
        labels=np.array([of_region[r] for r in windows.region], np.int64),
        config=DiarizeConfig(),
        fingerprint=FINGERPRINT,
        seconds_by_stage={},
        calibration=CALIBRATION,
    )


def axis(k, source="clip"):
    return Enrollment(
        source, f"{source}{k}", 10.0, np.eye(8, dtype=np.float32)[[k]], np.array([10.0])
    )


@pytest.fixture
def gallery(tmp_path):
    with Gallery.open(tmp_path / "g.sqlite", create=True) as opened:
        yield opened


def enroll(gallery, **people):
    for name, k in people.items():
        gallery.enroll(name, [axis(k)], fingerprint=FINGERPRINT, embedder="fake")


def speakers(result):
    return [turn.speaker for turn in result.turns]


def test_known_voices_are_named_and_others_keep_their_number(gallery):
    enroll(gallery, Anna=2, Ben=5)
    named = name_result(recording(7, 2, 7, 5), gallery.speakers())
    assert speakers(named) == ["SPEAKER_00", "Anna", "SPEAKER_00", "Ben"]
    assert list(named.speakers) == ["SPEAKER_00", "Anna", "Ben"]
    voices = named.to_mapping()["voices"]
    assert [v["name"] for v in voices] == [None, "Anna", "Ben"]
    assert voices[0]["unnamed_because"] and voices[1]["probability"] > 0.99


def test_one_voice_that_was_split_becomes_one_speaker_unless_two_were_asked_for(gallery):
    enroll(gallery, Anna=2)
    split = recording(2, 3, 2, labels=[0, 1, 2])
    assert speakers(name_result(split, gallery.speakers())) == ["Anna", "SPEAKER_01", "Anna"]
    joined = recording(2, 2, labels=[0, 1])
    assert set(name_result(joined, gallery.speakers()).labels.tolist()) == {0}
    told = name_result(replace(joined, count=SpeakerCount(2, 2)), gallery.speakers())
    assert len(set(speakers(told))) == 2 and "Anna" in speakers(told)


def test_the_same_stranger_has_the_same_name_in_the_next_recording(gallery):
    enroll(gallery, Anna=2)
    first = name_result(recording(4, 2, 6), gallery.speakers(), link=gallery)
    assert speakers(first) == ["VOICE_0001", "Anna", "VOICE_0002"]
    second = name_result(recording(6, 1, 4, uri="next"), gallery.speakers(), link=gallery)
    assert speakers(second) == ["VOICE_0002", "VOICE_0003", "VOICE_0001"]
    assert {p.name for p in gallery.speakers()} == {
        "Anna",
        "VOICE_0001",
        "VOICE_0002",
        "VOICE_0003",
    }


def test_who_is_renamed_is_known_by_the_new_name(gallery):
    name_result(recording(4, 2), gallery.speakers(), link=gallery)
    gallery.rename("VOICE_0002", "Anna")
    assert speakers(name_result(recording(2, 4, uri="next"), gallery.speakers())) == [
        "Anna",
        "VOICE_0001",
    ]


def test_nobody_is_named_by_halves_of_a_chance(gallery):
    enroll(gallery, Anna=2)
    between = recording(2)
    mixed = np.eye(8)[2] + 1.6 * np.eye(8)[3]
    mixed = np.tile(mixed / np.linalg.norm(mixed), (len(between.labels), 1)).astype(np.float32)
    unsure = name_result(replace(between, embeddings=mixed), gallery.speakers())
    assert speakers(unsure) == ["SPEAKER_00"]  # a cosine of 0.53: hardly better than even


def test_without_a_calibration_a_similarity_must_be_given(gallery):
    enroll(gallery, Anna=2)
    bare = replace(recording(2, 3), calibration=None)
    with pytest.raises(ConfigError, match="calibration"):
        name_result(bare, gallery.speakers())
    rule = NamingConfig(min_similarity=0.6)
    assert speakers(name_result(bare, gallery.speakers(), rule=rule)) == ["Anna", "SPEAKER_01"]


def test_silence_names_nobody_and_remembers_nobody(gallery):
    silent = replace(
        recording(2),
        windows=cut_windows(np.zeros((0, 2), np.int64), length=16_000),
        embeddings=np.zeros((0, 8), np.float32),
        labels=np.zeros(0, np.int64),
    )
    assert name_result(silent, gallery.speakers(), link=gallery).turns == []
    assert gallery.speakers() == []
