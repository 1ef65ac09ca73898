"""`diarize enroll`, `identify`, `forget`, `rename`, `gallery` on two voices of the real meeting."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from tests.support.galleries import as_if_made_by_another

# Where one speaks alone, by the reference; two files of Anna and two of Bo.
STRETCHES = {
    "anna1": [(19.3, 21.4), (24.3, 29.3)],
    "anna2": [(31.3, 35.4), (55.5, 60.0)],
    "bo1": [(9.0, 13.4), (38.2, 41.0)],
    "bo2": [(41.0, 45.1), (45.7, 49.0)],
    "short": [(31.3, 33.0)],
}


@pytest.fixture(scope="module")
def clips(meeting, tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    speech, rate = soundfile.read(meeting, dtype="float32")
    for name, spans in STRETCHES.items():
        parts = [speech[round(a * rate) : round(b * rate)] for a, b in spans]
        soundfile.write(folder / f"{name}.wav", np.concatenate(parts), rate)
    soundfile.write(folder / "silence.wav", np.zeros(80_000, np.float32), 16_000)
    (folder / "empty.wav").write_bytes(b"")
    return {path.stem: path for path in folder.iterdir()}


@pytest.fixture(scope="module")
def enrolled(command, clips, tmp_path_factory):
    """A gallery with Anna, whose sound is kept, and Bo."""
    path = tmp_path_factory.mktemp("gallery") / "known.sqlite"
    for name, clip, flags in (("Anna Ö", "anna1", ["--keep-sound"]), ("Bo", "bo1", [])):
        done = command("enroll", name, clips[clip], "--gallery", path, *flags)
        assert done.returncode == 0, done.stderr.decode()
        assert f"enrolled '{name}' with 1 new of 1 files" in done.stderr.decode()
        assert done.stdout == b""
    return path


@pytest.fixture
def known(enrolled, tmp_path):
    """A copy that a test may change."""
    path = tmp_path / "known.sqlite"
    return copy_of(enrolled, path)


def copy_of(gallery, path):
    """Of the same mode: what others can read is remarked upon."""
    path.touch(0o600)
    path.write_bytes(gallery.read_bytes())
    return path


def people(command, gallery):
    done = command("gallery", "--gallery", gallery, "-o", "-")
    assert done.returncode == 0, done.stderr.decode()
    return {row["name"]: row for row in json.loads(done.stdout)["speakers"]}


def one_line(done, *words):
    text = done.stderr.decode()
    assert done.returncode == 2, text
    assert done.stdout == b""
    assert text.startswith("diarize: ") and text.count("\n") == 1, text
    for word in words:
        assert word in text


@pytest.mark.wheel
def test_the_other_files_of_two_speakers_are_identified(command, enrolled, clips, tmp_path):
    files = [clips[name] for name in ("anna2", "bo2", "short", "silence", "empty")]
    out = tmp_path / "who.json"
    done = command("identify", *files, "--gallery", enrolled, "-o", out, "--min-similarity", "0.6")
    assert done.returncode == 0, done.stderr.decode()
    assert "empty.wav" in done.stderr.decode() and "Anna Ö" in done.stdout.decode()
    stored = json.loads(out.read_text())
    anna, bo, short, silence, empty = stored["files"]
    for row, name, other in ((anna, "Anna Ö", "Bo"), (bo, "Bo", "Anna Ö")):
        first, second = row["candidates"]
        assert (first["name"], second["name"]) == (name, other)
        assert first["similarity"] > second["similarity"] + 0.1
        assert 0 < second["probability"] < first["probability"] < 1
        assert (row["name"], row["reason"]) == (name, None)
    assert short["name"] is None and "too short" in short["reason"]
    assert (silence["name"], silence["reason"], silence["candidates"]) == (None, "no speech", [])
    assert "empty.wav" in empty["error"] and anna["error"] is None


def test_a_name_that_is_no_text_is_shown_by_escapes(command, enrolled, clips, tmp_path):
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.wav")
    try:
        shutil.copy(clips["anna2"], odd)
    except OSError:
        pytest.skip("this disk takes names of UTF-8 alone")
    done = command("identify", odd, "--gallery", enrolled)
    assert done.returncode == 0, done.stderr.decode()
    assert rb"caf\udce9.wav" in done.stdout and "Anna Ö".encode() in done.stdout
    done = command("identify", odd, "--gallery", enrolled, "-q", "-o", "-")
    assert os.fsencode(json.loads(done.stdout)["files"][0]["path"]) == os.fsencode(odd)


def test_how_sure_one_must_be_is_the_users_choice(command, enrolled, clips):
    call = ("identify", clips["anna2"], "--gallery", enrolled, "-q", "-o", "-", "--top", "1")
    low = json.loads(command(*call, "--min-similarity", "0.2").stdout)["files"][0]
    high = json.loads(command(*call, "--min-probability", "0.9999").stdout)["files"][0]
    assert (low["name"], low["reason"]) == ("Anna Ö", None)
    assert (high["name"], high["reason"]) == (None, "not sure")
    assert len(low["candidates"]) == 1


def test_no_speaker_fits_is_no_error(command, known, clips):
    assert command("forget", "bo", "--yes", "--gallery", known).returncode == 0
    done = command("identify", clips["bo2"], "--gallery", known, "--min-probability", "0.99")
    assert done.returncode == 0 and "unknown (not sure)" in done.stdout.decode()


@pytest.mark.wheel
def test_the_table_and_the_json_of_a_gallery(command, enrolled):
    table = command("gallery", "--gallery", enrolled).stdout.decode()
    assert "Anna Ö" in table and "2 speakers" in table
    rows = people(command, enrolled)
    assert list(rows) == ["Anna Ö", "Bo"]
    assert rows["Anna Ö"]["sounds_kept"] == 1 and rows["Bo"]["sounds_kept"] == 0
    assert rows["Bo"]["speech_s"] > 5 and rows["Bo"]["embedder"] == "deepspeaker-small"


def test_renaming_merging_and_forgetting(command, known, clips):
    one_line(command("rename", "bo", "anna ö", "--gallery", known), "--merge")
    assert command("rename", "bo", "Ben", "--gallery", known).returncode == 0
    assert command("rename", "ben", "anna ö", "--merge", "--gallery", known).returncode == 0
    assert {name: row["files"] for name, row in people(command, known).items()} == {"Anna Ö": 2}
    one_line(command("forget", "Ana Ö", "--yes", "--gallery", known), "did you mean 'Anna Ö'")
    one_line(command("forget", "anna ö", "Zed", "--yes", "--gallery", known), "'Zed'")
    assert len(people(command, known)) == 1
    assert command("forget", "anna ö", "--yes", "--gallery", known).returncode == 0
    assert "is empty" in command("gallery", "--gallery", known).stdout.decode()
    one_line(command("identify", clips["bo2"], "--gallery", known), "enroll a speaker")


def test_a_second_name_for_a_voice_and_too_little_speech_change_nothing(command, known, clips):
    before = known.read_bytes()
    one_line(command("enroll", "Eve", clips["anna1"], "--gallery", known), "Anna Ö", "--anyway")
    one_line(command("enroll", "Eve", clips["short"], "--gallery", known), "5 s", "--min-speech")
    assert known.read_bytes() == before
    done = command("enroll", "Eve", clips["anna1"], "--anyway", "--gallery", known)
    assert done.returncode == 0 and set(people(command, known)) == {"Anna Ö", "Bo", "Eve"}


def test_the_same_file_again_adds_nothing(command, known, clips):
    done = command("enroll", "Bo", clips["bo1"], "--gallery", known)
    assert done.returncode == 0 and "0 new of 1 files, 1 known already" in done.stderr.decode()
    assert people(command, known)["Bo"]["files"] == 1


def test_bad_flags_and_files_are_said_before_anything_slow(command, clips, tmp_path):
    gallery = tmp_path / "none.sqlite"
    clip = clips["bo1"]
    at = ("--gallery", gallery)
    one_line(command("enroll", "a/b", clip, *at), "slash")
    one_line(command("enroll", "x" * 300, clip, *at), "300")
    one_line(command("enroll", "SPEAKER_01", clip, *at), "itself")
    one_line(command("enroll", "Eve", tmp_path, *at), "folder")
    one_line(command("enroll", "Eve", tmp_path / "missing.wav", *at), "missing.wav")
    one_line(command("enroll", "Eve", clip, *at, "--min-speech", "-1"), "-1")
    one_line(command("identify", clip, *at), "none.sqlite", "diarize enroll")
    one_line(command("identify", clip, *at, "--top", "0"), "--top")
    one_line(command("identify", clip, *at, "--min-probability", "2"), "2")
    one_line(command("gallery", *at), "none.sqlite")
    one_line(command("gallery", *at, "--embedder", "x"), "--reembed")
    assert not gallery.exists()
    for ask in (("enroll", "Eve"), ("identify",)):
        one_line(command(*ask, tmp_path / ("x" * 300), *at), "xxx", "too long")
        os.mkfifo(pipe := tmp_path / f"{ask[0]}.wav")
        one_line(command(*ask, pipe, *at), "is no file")
    one_line(command("enroll", "Eve", clips["short"], *at), "5 s", "--min-speech")
    one_line(command("enroll", "Eve", clips["empty"], *at), "empty.wav")
    assert not gallery.exists()
    gallery.write_text("not a gallery\n" * 50)
    one_line(command("enroll", "Eve", clip, *at), "none.sqlite")
    assert gallery.read_text() == "not a gallery\n" * 50


def test_vectors_are_made_anew_from_kept_sounds(command, known, clips):
    before = people(command, known)["Anna Ö"]
    as_if_made_by_another(known)
    one_line(command("identify", clips["anna2"], "--gallery", known),
             "'elder'", "`diarize gallery --reembed`", "'Bo'")  # fmt: skip
    done = command("gallery", "--reembed", "--gallery", known)
    assert done.returncode == 0, done.stderr.decode()
    assert "embedded again with deepspeaker-small: Anna Ö" in done.stderr.decode()
    assert "no sound was kept of Bo" in done.stderr.decode()
    assert command("forget", "Bo", "--yes", "--gallery", known).returncode == 0
    after = people(command, known)["Anna Ö"]
    assert after["encoder_fingerprint"] == before["encoder_fingerprint"]
    done = command("identify", clips["anna1"], "--gallery", known, "-q", "-o", "-")
    row = json.loads(done.stdout)["files"][0]
    assert row["name"] == "Anna Ö" and row["candidates"][0]["similarity"] > 0.98


def test_making_vectors_anew_says_what_is_lost_and_loses_nothing_else(command, known, clips):
    add = ("enroll", "anna ö", clips["anna2"], "--gallery", known, "-q")
    assert command(*add).returncode == 0  # its sound is not kept
    before = people(command, known)
    done = command("gallery", "--reembed", "--gallery", known)
    assert done.returncode == 0
    assert done.stderr.decode() == "diarize: all vectors are of deepspeaker-small already\n"
    assert people(command, known) == before
    as_if_made_by_another(known)
    copy = copy_of(known, known.with_name("copy.sqlite"))
    done = command("gallery", "--reembed", "--gallery", known)
    assert "1 file of Anna Ö went, as no sound was kept of it" in done.stderr.decode()
    assert people(command, known)["Anna Ö"]["files"] == 1
    done = command("gallery", "--reembed", "-q", "--gallery", copy)
    assert (done.returncode, done.stderr) == (0, b"")
    assert people(command, copy)["Anna Ö"]["files"] == 1
    assert command("forget", "anna ö", "--yes", "--gallery", copy).returncode == 0
    one_line(
        command("gallery", "--reembed", "--gallery", copy), "no sound was kept", "--keep-sound"
    )


def test_forgetting_asks_and_without_a_terminal_needs_a_yes(command, known):
    before = known.read_bytes()
    one_line(command("forget", "bo", "--gallery", known), "'Bo'", "no terminal", "--yes")
    one_line(command("forget", "Zed", "--gallery", known), "'Zed'")
    assert known.read_bytes() == before
    assert command("forget", "bo", "--yes", "--gallery", known).returncode == 0
    assert list(people(command, known)) == ["Anna Ö"]


def test_renaming_says_what_it_is_for_where_there_is_no_gallery(command, tmp_path):
    done = command("rename", "SPEAKER_00", "Anna", "--gallery", tmp_path / "none.sqlite")
    one_line(done, "none.sqlite", "speakers of a gallery", "--link", "diarize enroll")


def test_a_gallery_that_keeps_nothing_is_refused(command, clips, tmp_path):
    done = command("enroll", "Eve", clips["bo1"], "--gallery", ":memory:", cwd=tmp_path)
    one_line(done, ":memory:", "keep nothing")
    one_line(command("enroll", "Eve", clips["bo1"], "--gallery", os.devnull), "device or pipe")
    assert list(tmp_path.iterdir()) == []


def test_a_recording_of_several_speakers_is_not_enrolled_as_one(command, meeting, clips, tmp_path):
    path = tmp_path / "g.sqlite"
    at = ("--gallery", path)
    one_line(command("enroll", "Eve", meeting, *at), "several speakers", "--speaker", "--force")
    assert not path.exists()
    two = ("enroll", "Eve", meeting, clips["bo1"], *at)
    one_line(command(*two, "--speaker", "SPEAKER_01"), "SPEAKER_01", "--speaker longest")
    one_line(command(*two, "--speaker", "longest", "--force"), "exclude each other")
    one_line(command("enroll", "Eve", meeting, *at, "--speaker", "Eve"), "SPEAKER_02 (", "longest")
    done = command("enroll", "Eve", meeting, *at, "--force")
    assert done.returncode == 0 and "two speakers in" in done.stderr.decode()
    assert people(command, path)["Eve"]["speech_s"] > 50


def test_the_wanted_speaker_of_a_recording_is_enrolled(command, meeting, clips, tmp_path):
    """By the label that `diarize FILE` prints, or as who speaks longest: here Bo."""
    path = tmp_path / "g.sqlite"
    seconds = {}
    for line in command(meeting, "-q").stdout.decode().splitlines():
        fields = line.split()
        seconds[fields[7]] = seconds.get(fields[7], 0.0) + float(fields[4])
    longest = max(seconds, key=seconds.get)
    for name, wanted in (("By label", longest), ("Longest", "longest")):
        done = command(
            "enroll", name, meeting, "--gallery", path, "--speaker", wanted, "--anyway"
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()
    rows = people(command, path)
    assert rows["By label"]["speech_s"] == rows["Longest"]["speech_s"]
    assert 5 < rows["Longest"]["speech_s"] < seconds[longest] + 1
    assert command("forget", "By label", "--yes", "--gallery", path).returncode == 0
    own, other = (
        json.loads(command("identify", clips[name], "--gallery", path, "-q", "-o", "-").stdout)
        for name in ("bo2", "anna2")
    )
    (own,), (other,) = own["files"], other["files"]
    assert own["candidates"][0]["similarity"] > other["candidates"][0]["similarity"] + 0.1


posix = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


@posix
@pytest.mark.parametrize(
    ("number", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)], ids=lambda v: str(v)
)
def test_an_interrupt_in_the_middle_of_enroll(begin, command, known, clips, number, code):
    before = people(command, known)
    running = begin("enroll", "Eve", *[clips["anna2"]] * 300, "--gallery", known)
    running.wait_for(b"embedding speech")
    sentence = "diarize: stopped, no speaker was enrolled"
    assert running.interrupt(getattr(signal, number)) == (code, sentence)
    assert people(command, known) == before


@posix
def test_a_signal_leaves_no_new_gallery(begin, clips, tmp_path):
    running = begin("enroll", "Eve", *[clips["anna2"]] * 300, "--gallery", tmp_path / "n" / "g.db")
    running.wait_for(b"embedding speech")
    code, sentence = running.interrupt(signal.SIGTERM)
    assert (code, sentence) == (143, "diarize: stopped, no speaker was enrolled")
    assert list(tmp_path.iterdir()) == []


@posix
def test_an_interrupt_while_the_gallery_is_written_says_what_is_true(begin, command, known, clips):
    """A reader holds the commit up, so that the signal comes in the middle of it."""
    reader = sqlite3.connect(known, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM person").fetchone()
    running = begin("enroll", "Eve", clips["bo2"], "--anyway", "--gallery", known)
    code = (
        "import sqlite3, sys\n"
        "while True:\n"
        "    other = sqlite3.connect(sys.argv[1], timeout=0)\n"
        "    try:\n"
        "        other.execute('SELECT count(*) FROM person')\n"
        "    except sqlite3.OperationalError:\n"
        "        break\n"
        "    other.close()\n"
    )  # nobody may begin to read while a commit waits
    subprocess.run([sys.executable, "-c", code, str(known)], check=True, timeout=120)
    running.process.send_signal(signal.SIGINT)
    reader.close()
    assert running.end() == (130, "diarize: stopped, but 'Eve' is enrolled")
    assert "Eve" in people(command, known)


@posix
def test_a_gallery_that_others_could_read_is_kept_from_them(command, known, clips):
    known.chmod(0o644)
    done = command("gallery", "--gallery", known, "-o", "-")
    assert "could be read by other users" in done.stderr.decode()
    assert stat.S_IMODE(known.stat().st_mode) == 0o600
    known.chmod(0o644)
    done = command("identify", clips["bo2"], "--gallery", known, "-q", "-o", "-")
    assert done.stderr == b"" and stat.S_IMODE(known.stat().st_mode) == 0o600
