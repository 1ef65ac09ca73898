"""`diarize FILE --gallery`, `--link` and `--min-confidence` on the real meeting."""

from __future__ import annotations

import json
import sqlite3

import numpy as np
import pytest

from diarize.gallery.gallery import Gallery
from diarize.gallery.schema import Enrollment

pytestmark = pytest.mark.wheel


def one_line(done, *words):
    text = done.stderr.decode()
    assert done.returncode == 2 and done.stdout == b"", text
    assert text.startswith("diarize: ") and text.count("\n") == 1, text
    for word in words:
        assert word in text


def names(done):
    assert done.returncode == 0, done.stderr.decode()
    return [line.split()[7] for line in done.stdout.decode().splitlines()]


def merged(spans):
    out = []
    for start, end in sorted(spans):
        if out and start <= out[-1][1]:
            out[-1][1] = max(out[-1][1], end)
        else:
            out.append([start, end])
    return out


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty home of the toolkit."""
    monkeypatch.setenv("DIARIZE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_unknown_speakers_are_remembered_in_the_users_own_gallery(command, meeting, home):
    one_line(command("--gallery", meeting), "gallery.sqlite", "diarize enroll")
    assert not home.exists()
    linked = names(command(meeting, "-q", "--speakers", "4", "--link"))
    unknown = {name for name in linked if name.startswith("VOICE_")}
    assert len(unknown) >= 3
    again = command(meeting, "-q", "--speakers", "4", "--gallery", "-o", "-")
    assert names(again) == linked
    assert names(command("-q", "--speakers", "4", "--gallery", meeting)) == linked
    assert {p.stem for p in home.iterdir()} == {"gallery"}


def test_a_gallery_file_and_what_is_known_of_its_voices(command, meeting, tmp_path):
    where = tmp_path / "team.sqlite"
    linked = names(command(meeting, "-q", "--gallery", where, "--link", "--speakers", "4"))
    assert command("rename", linked[0], "Anna Ærøskøbing", "--gallery", where).returncode == 0
    done = command(meeting, "-q", "--gallery", where, "--speakers", "4", "-o", tmp_path / "o.json")
    assert done.returncode == 0
    stored = json.loads((tmp_path / "o.json").read_text())
    first = stored["voices"][0]
    assert first["name"] == "Anna Ærøskøbing" and first["probability"] > 0.9
    assert stored["turns"][0]["speaker"] == "Anna Ærøskøbing"
    table = command(meeting, "--gallery", where, "--speakers", "4", "-o", tmp_path / "o.rttm")
    assert "Anna Ærøskøbing" in table.stderr.decode()


def test_a_gallery_of_another_encoder_is_said_and_nothing_is_written(command, meeting, tmp_path):
    where = tmp_path / "old.sqlite"
    with Gallery.open(where, create=True) as gallery:
        voice = Enrollment("clip", "hash", 10.0, np.eye(4, dtype=np.float32)[[0]], np.array([10.0]))
        gallery.enroll("Anna", [voice], fingerprint="ffffffff", embedder="other")
    before = where.read_bytes()
    one_line(
        command(meeting, "-q", "--gallery", where, "--link", "-o", tmp_path / "o.rttm"),
        "ffffffff",
        "other",
    )
    assert where.read_bytes() == before and not (tmp_path / "o.rttm").exists()


def test_doubtful_turns_are_left_unlabelled(command, meeting, tmp_path):
    target = tmp_path / "o.json"
    done = command(meeting, "-q", "--min-confidence", "0.8", "-o", target, "-o", "-")
    stored = json.loads(target.read_text())
    assert names(done) == [turn["speaker"] or "UNKNOWN" for turn in stored["turns"]]
    sure = [turn["confidence"] for turn in stored["turns"]]
    assert all(0 < p < 1 for p in sure)
    assert [turn["speaker"] is None for turn in stored["turns"]] == [p < 0.8 for p in sure]
    doubtful = [(t["start_s"], t["end_s"]) for t in stored["turns"] if t["speaker"] is None]
    union = sum(b - a for a, b in merged(doubtful))  # two of them may overlap
    assert stored["unknown_s"] == pytest.approx(union, abs=0.01)
    one_line(command(meeting, "--min-confidence", "2"), "min_confidence", "2")


def test_an_embedder_without_a_calibration_names_no_speaker(
    command, meeting, uncalibrated, tmp_path
):
    """And it is said before the recording is read, which there is none of."""
    where = tmp_path / "new" / "team.sqlite"
    flags = ("--gallery", where, "--link", "--embedder", uncalibrated, "-q")
    one_line(
        command(tmp_path / "missing.wav", *flags),
        "no calibration",
        "(--set naming.min_similarity=VALUE)",
    )
    assert list(tmp_path.iterdir()) == []
    done = command(meeting, *flags, "--set", "naming.min_similarity=0.6", "--speakers", "2")
    assert len(set(names(done))) == 2 and where.exists()


@pytest.mark.parametrize("name", ["team.gal", ""])
def test_a_gallery_that_might_be_the_recording(command, meeting, name):
    for call in ((meeting, "--gallery", name), ("--gallery", name, meeting)):
        one_line(command(*call, "-q"), repr(name), ".sqlite", ".db", "--gallery=FILE")
    one_line(command(meeting, "--gallery=nowhere.gal"), "nowhere.gal", "diarize enroll")


def lock(path):
    """Hold it as a program that writes does."""
    held = sqlite3.connect(path, isolation_level=None)
    held.execute("BEGIN IMMEDIATE")
    return held


def test_a_gallery_that_cannot_be_written_is_said_before_the_recording_is_read(command, tmp_path):
    with Gallery.open(tmp_path / "g.sqlite", create=True):
        pass
    held = lock(tmp_path / "g.sqlite")
    flags = ("--link", "--gallery", tmp_path / "g.sqlite")
    one_line(command(tmp_path / "missing.wav", *flags), "g.sqlite", "in use")
    held.close()


def test_where_linking_fails_at_the_end_the_turns_are_written(begin, meeting, tmp_path):
    where, out = tmp_path / "g.sqlite", tmp_path / "o.rttm"
    running = begin(meeting, "--link", "--gallery", where, "-o", out, "--speakers", "2")
    running.wait_for(b"loading the models")  # it has asked whether it may write
    held = lock(where)
    code, sentence = running.end()
    held.close()
    assert code == 2, sentence
    assert sentence.startswith(
        "diarize: the turns were written, but no unknown speaker is remembered"
    )
    assert "in use by another program" in sentence
    found = {line.split()[7] for line in out.read_text().splitlines()}
    assert found == {"SPEAKER_00", "SPEAKER_01"}
