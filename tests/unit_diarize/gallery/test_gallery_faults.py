"""The gallery's file after faults, a kill, and two processes at once."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from diarize.gallery.gallery import Gallery
from diarize.gallery.schema import MOST_EXEMPLARS
from encoder.errors import ConfigError, StoreError, ToolkitError
from tests.support.galleries import MADE_BY, OTHER, names, sound

ROOT = Path(__file__).parents[3]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "gallery.sqlite"


# Faults: one sentence, nothing lost.


def test_there_is_no_gallery_yet(path):
    with pytest.raises(StoreError, match="diarize enroll"), Gallery.open(path, create=False):
        pass
    assert not path.exists()


def test_a_text_file_stays_as_it_is(path):
    path.write_text("shopping list\n" * 100)
    before = path.read_bytes()
    with pytest.raises(StoreError, match="no gallery"), Gallery.open(path, create=True):
        pass
    assert path.read_bytes() == before


def test_a_truncated_gallery(path):
    with Gallery.open(path, create=True) as gallery:
        for seed in range(40):
            gallery.enroll(f"p{seed}", [sound(seed, kept=bytes(3000))], **MADE_BY)
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(StoreError, match="damaged"), Gallery.open(path, create=False) as gallery:
        gallery.speakers("aaaa0000")


def test_a_vector_that_cannot_be_one(path):
    with Gallery.open(path, create=True) as gallery:
        gallery.enroll("Anna", [sound(1)], **MADE_BY)
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE exemplar SET vector = x'0102'")
    with pytest.raises(StoreError, match="'Anna'"), Gallery.open(path, create=False) as gallery:
        gallery.speakers()


def use(path):
    """All that a gallery is asked, each by itself; what the user is told."""
    sentences = []
    with contextlib.suppress(StoreError), Gallery.open(path, create=True) as gallery:
        numbers = []

        class Undo(Exception):  # noqa: N818
            pass

        asks = (
            lambda: gallery.speakers(),
            lambda: gallery.speakers("aaaa0000", embedder="small"),
            lambda: gallery.fingerprints(),
            lambda: gallery.called("Anna Berg"),
            lambda: gallery.called("Ana"),
            lambda: numbers.extend(gallery.kept_sounds()),
            lambda: [gallery.kept_sound(number) for number in numbers],
        )
        changes = (
            lambda: gallery.rename("p1", "Ben"),
            lambda: gallery.rename("p2", "Anna Berg", merge=True),
            lambda: gallery.enroll("p3", [sound(77), sound(3)], **MADE_BY),
            lambda: gallery.remember_unknown([sound(78)], **MADE_BY),
            lambda: gallery.replace_exemplars(
                {number: sound(9) for number in gallery.sounds_of_another("b")}, **OTHER
            ),
            lambda: gallery.forget("p4"),
        )
        for ask in asks + changes:
            for undone in (False, True):  # a commit waits for the disk, which takes long
                try:
                    with contextlib.suppress(Undo), contextlib.ExitStack() as stack:
                        if undone:
                            stack.enter_context(gallery.changing())
                        elif ask in changes:
                            continue
                        ask()
                        raise Undo
                except ToolkitError as error:
                    sentences.append(str(error))
    return sentences


def test_bytes_that_a_disk_has_changed(path):
    """Flips all over the file: whatever happens is a sentence, never another exception."""
    with Gallery.open(path, create=True) as gallery:
        gallery.enroll("Anna Berg", [sound(50, count=3, kept=b"flac")], **MADE_BY)
        for seed in range(6):
            kept = b"flac" if seed % 2 else None
            gallery.enroll(f"p{seed}", [sound(seed), sound(seed + 100, kept=kept)], **MADE_BY)
        gallery.remember_unknown([sound(60)], **MADE_BY)
    whole = path.read_bytes()
    used = np.flatnonzero(np.frombuffer(whole, np.uint8))  # in empty pages nothing happens
    rng = np.random.default_rng(0)
    damaged = 0
    for _ in range(400):
        data = bytearray(whole)
        for at in rng.choice(used, rng.integers(1, 4)):
            data[at] = rng.integers(256)
        path.write_bytes(data)
        damaged += any("damaged" in sentence for sentence in use(path))
        for left in path.parent.glob("gallery.sqlite-*"):
            left.unlink()
    assert damaged > 20


@pytest.mark.parametrize(
    ("statement", "word"),
    [("PRAGMA user_version = 9", "newer"), ("PRAGMA application_id = 7", "another program")],
)
def test_a_file_of_another_version_or_program(path, statement, word):
    with Gallery.open(path, create=True) as gallery:
        gallery.enroll("Anna", [sound(1)], **MADE_BY)
    with sqlite3.connect(path) as raw:
        raw.execute(statement)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=word), Gallery.open(path, create=True):
        pass
    assert path.read_bytes() == before


def test_a_locked_gallery_can_be_read_and_says_so_when_written(path):
    with Gallery.open(path, create=True) as gallery:
        gallery.enroll("Anna", [sound(1)], **MADE_BY)
    with Gallery.open(path, create=False) as busy, busy.changing():
        busy.forget("Anna")
        with Gallery.open(path, create=False, timeout_s=0.2) as gallery:
            assert names(gallery) == ["Anna"]
            with pytest.raises(StoreError, match="in use by another program"):
                gallery.enroll("Bob", [sound(2)], **MADE_BY)
    assert names(path) == []


@pytest.fixture
def nobody():
    """Not the superuser, who may write everything; modes of files hold."""
    if not hasattr(os, "geteuid"):
        pytest.skip("modes of POSIX are needed")
    own = os.geteuid()
    if own == 0:
        os.seteuid(65534)
    yield
    os.seteuid(own)


def test_a_read_only_gallery_is_read_and_not_written(nobody):
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        path = folder / "gallery.sqlite"
        with Gallery.open(path, create=True) as gallery:
            gallery.enroll("Anna", [sound(1)], **MADE_BY)
        path.chmod(0o444)
        folder.chmod(0o555)
        with Gallery.open(path, create=False) as gallery:
            assert [p.name for p in gallery.speakers("aaaa0000")] == ["Anna"]
            with pytest.raises(StoreError, match="may write to"):
                gallery.forget("Anna")
            assert names(gallery) == ["Anna"]
        folder.chmod(0o755)


def test_that_it_can_be_written_is_asked_without_a_change(path):
    with Gallery.open(path, create=True) as gallery:
        gallery.enroll("Anna", [sound(1)], **MADE_BY)
        before = path.read_bytes()
        gallery.check_writable()
        assert path.read_bytes() == before
    with Gallery.open(path, create=False) as busy, busy.changing():  # noqa: SIM117
        with Gallery.open(path, create=False, timeout_s=0.1) as gallery:
            with pytest.raises(StoreError, match="in use by another program"):
                gallery.check_writable()


def test_a_journal_that_cannot_be_made_is_noticed(path, nobody):
    """The file may be written but not its folder, where SQLite needs a second one."""
    with tempfile.TemporaryDirectory() as made:
        path = Path(made) / "gallery.sqlite"
        with Gallery.open(path, create=True) as gallery:
            gallery.enroll("Anna", [sound(1)], **MADE_BY)
        Path(made).chmod(0o555)
        opening = Gallery.open(path, create=True)
        with opening as gallery, pytest.raises(StoreError, match="cannot use the gallery"):
            gallery.check_writable()
        Path(made).chmod(0o755)


def test_a_failure_leaves_no_new_gallery_behind(tmp_path, path):
    for new in (path, tmp_path / "a" / "b" / "gallery.sqlite"):
        with pytest.raises(ZeroDivisionError), Gallery.open(new, create=True) as gallery:
            assert new.exists() and gallery.speakers() == []
            1 / 0  # noqa: B018
        assert list(tmp_path.iterdir()) == []
    with pytest.raises(ZeroDivisionError), Gallery.open(path, create=True) as gallery:
        gallery.enroll("Anna", [sound(1)], **MADE_BY)
        1 / 0  # noqa: B018
    assert names(path) == ["Anna"]
    with pytest.raises(ConfigError), Gallery.open(path, create=True) as gallery:
        gallery.forget("Anna")
        gallery.forget("Bob")
    assert names(path) == []  # it was there before


def test_a_gallery_that_was_removed_meanwhile_takes_no_speaker(path):
    with Gallery.open(path, create=True) as gallery:
        path.unlink()
        with pytest.raises(StoreError, match="moved or removed"):
            gallery.enroll("Anna", [sound(1)], **MADE_BY)
        with Gallery.open(path, create=True) as other:
            other.enroll("Bob", [sound(2)], **MADE_BY)
        with pytest.raises(StoreError, match="moved or removed"):
            gallery.enroll("Anna", [sound(1)], **MADE_BY)
    assert names(path) == ["Bob"]


# A kill, and two at once.

CHILD = """
import sys
sys.path.insert(0, {root!r})
from tests.support.galleries import MADE_BY, sound
from diarize.gallery.gallery import Gallery
path, who = sys.argv[1:]
"""
CHILD = CHILD.format(root=str(ROOT))


def child(script, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", CHILD + script, *map(str, arguments)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_kill_in_the_middle_of_enrol_leaves_nothing_of_it(path):
    with Gallery.open(path, create=True) as gallery:
        gallery.enroll("Bob", [sound(500)], **MADE_BY)
    # 6 MB in all: more than SQLite keeps in memory, so the file itself is half changed.
    script = """
def sounds():
    for seed in range(20):
        if seed == 12:
            print("half", flush=True)
            sys.stdin.read()  # for ever
        yield sound(seed, kept=bytes(500_000))
with Gallery.open(path, create=True) as gallery:
    gallery.enroll(who, sounds(), **MADE_BY)
"""
    before = path.stat().st_size
    process = child(script, path, "Anna")
    assert process.stdout.readline() == "half\n"
    assert path.stat().st_size > before + 1_000_000
    process.kill()
    process.wait()
    with Gallery.open(path, create=True) as gallery:
        assert names(gallery) == ["Bob"]
        gallery.enroll("Anna", [sound(1)], **MADE_BY)
        assert names(gallery) == ["Anna", "Bob"]


def test_two_processes_enrol_at_once(path):
    script = """
print("ready", flush=True)
sys.stdin.readline()
for number in range(15):
    with Gallery.open(path, create=True) as gallery:
        gallery.enroll(f"{who}{number}", [sound(number)], **MADE_BY)
        gallery.enroll("both", [sound(number + 100 * (who == 'b'))], **MADE_BY)
        gallery.remember_unknown([sound(number)], **MADE_BY)
"""
    both = [child(script, path, who) for who in "ab"]
    for process in both:
        assert process.stdout.readline() == "ready\n"
    for process in both:
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.wait(timeout=60) for process in both] == [0, 0]
    with Gallery.open(path, create=False) as gallery:
        people = {p.name: p for p in gallery.speakers("aaaa0000")}
    expected = {f"{who}{n}" for who in "ab" for n in range(15)}
    assert set(people) == expected | {"both"} | {f"VOICE_{n:04d}" for n in range(1, 31)}
    assert people["both"].enrollments == 30 and len(people["both"].exemplars) == MOST_EXEMPLARS
