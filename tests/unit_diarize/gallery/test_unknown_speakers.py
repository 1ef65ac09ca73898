"""Strangers keep their number from one recording to the next."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from diarize.gallery.config import NamingConfig
from diarize.gallery.gallery import Gallery
from diarize.gallery.identification import match_speakers, name_speakers
from diarize.gallery.schema import Enrollment
from diarize.gallery.unknown_speakers import link_unknown_speakers
from encoder.calibration.score_calibration import Calibration
from encoder.errors import StoreError

ROOT = Path(__file__).parents[3]
CALIBRATION = Calibration("f", slope=10.0, offset=-3.724, shortness=0.0)  # 0.97 at 0.72
MADE_BY = {"fingerprint": "f", "embedder": "small"}


def axis(number, *, turned=0.0):
    vector = np.zeros(12, np.float32)
    vector[number], vector[11] = np.cos(turned), np.sin(turned)
    return vector


@pytest.fixture
def gallery(tmp_path):
    with Gallery.open(tmp_path / "g.sqlite", create=True) as opened:
        yield opened


def hear(gallery, voices, *, seconds=10.0, source="meeting", people=None):
    """A recording with these voices (K, D), one window each, linked."""
    rows = np.stack(voices)
    labels, speech_s = np.arange(len(rows)), np.full(len(rows), seconds)
    deciding = np.ones(len(rows), bool)
    known = gallery.speakers("f") if people is None else people
    naming = name_speakers(rows, labels, speech_s, deciding, known, CALIBRATION)
    return link_unknown_speakers(
        gallery, naming, rows, speech_s, source, calibration=CALIBRATION, **MADE_BY
    )


def test_the_same_unknown_speaker_has_the_same_name_in_the_next_recording(gallery):
    first = hear(gallery, [axis(0), axis(1)])
    assert first.names == ["VOICE_0001", "VOICE_0002"] and first.reasons == [None, None]
    second = hear(gallery, [axis(2), axis(1, turned=0.3), axis(0)])
    assert second.names == ["VOICE_0003", "VOICE_0002", "VOICE_0001"]
    assert second.matches[1].similarity == pytest.approx(np.cos(0.3), abs=1e-6)


def test_an_exemplar_is_added_only_where_it_adds_something(gallery):
    hear(gallery, [axis(0)])
    hear(gallery, [axis(0)])
    hear(gallery, [axis(0, turned=0.3)])
    assert gallery.speakers()[0].enrollments == 1
    hear(gallery, [axis(0, turned=0.6)])  # cosine 0.83
    assert gallery.speakers()[0].enrollments == 2
    assert hear(gallery, [axis(0, turned=1.2)]).names == ["VOICE_0001"]  # 0.36 to the first alone


def test_named_people_are_named_and_not_changed(gallery):
    sound = Enrollment("a.wav", "h", 9.0, axis(0)[None], np.array([9.0]))
    gallery.enroll("Anna", [sound], **MADE_BY)
    assert hear(gallery, [axis(0, turned=0.6), axis(1)]).names == ["Anna", "VOICE_0001"]
    assert gallery.speakers()[0].enrollments == 1


def test_short_ambiguous_and_torn_voices_are_not_remembered(gallery):
    assert hear(gallery, [axis(0)], seconds=4.0).names == [None]
    for number, name in enumerate(["Anna", "Bob"]):
        sound = Enrollment("a.wav", name, 9.0, axis(number)[None], np.array([9.0]))
        gallery.enroll(name, [sound], **MADE_BY)
    between = (axis(0) + axis(1)) / np.sqrt(2)
    rule = NamingConfig(min_similarity=0.6)
    ((_, reason),) = match_speakers(
        between[None], np.array([9.0]), gallery.speakers(), None, rule=rule
    )
    assert reason == "ambiguous between Anna and Bob"
    rows, speech_s = between[None], np.array([9.0])
    naming = name_speakers(
        rows, np.array([0]), speech_s, np.array([True]), gallery.speakers(), None, rule
    )
    linked = link_unknown_speakers(
        gallery, naming, rows, speech_s, "m", calibration=None, rule=rule, **MADE_BY
    )
    assert linked.names == [None] and linked.reasons == naming.reasons
    assert len(gallery.speakers()) == 2


def test_who_was_remembered_meanwhile_is_not_remembered_twice(gallery):
    before = gallery.speakers("f")  # what this process saw before the other one wrote
    assert hear(gallery, [axis(0)]).names == ["VOICE_0001"]
    assert hear(gallery, [axis(1), axis(0)], people=before).names == ["VOICE_0002", "VOICE_0001"]
    # Two voices of one recording that the clusterer told apart do not become one behind its back.
    both = hear(gallery, [axis(0), axis(0, turned=0.2)], people=before)
    assert both.names == ["VOICE_0001", None]
    assert len(gallery.speakers()) == 2


def test_a_gallery_of_another_encoder_is_not_written(gallery):
    sound = Enrollment("a.wav", "h", 9.0, axis(0)[None], np.array([9.0]))
    gallery.enroll("Anna", [sound], fingerprint="other", embedder="large")
    with pytest.raises(StoreError, match="large"):
        hear(gallery, [axis(1)], people=[])
    assert len(gallery.speakers()) == 1


def test_two_processes_remember_one_unknown_speaker_once(tmp_path):
    script = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from tests.unit_diarize.gallery.test_unknown_speakers import Gallery, axis, hear
print("ready", flush=True)
sys.stdin.readline()
with Gallery.open(sys.argv[1], create=True) as gallery:
    found = [hear(gallery, [axis(n)], people=[]).names[0] for n in range(11)]
print(" ".join(found))
"""
    both = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "g.sqlite")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in both:
        assert process.stdout.readline() == "ready\n"
    for process in both:
        process.stdin.write("go\n")
        process.stdin.flush()
    first, second = [process.communicate(timeout=60)[0].split() for process in both]
    assert first == second
    assert sorted(first) == [f"VOICE_{n:04d}" for n in range(1, 12)]
