"""The gallery's file: what it holds, its rules, faults, a kill and two processes."""

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
from hypothesis import given
from hypothesis import strategies as st

from diarize.store.exemplars import thin_out
from diarize.store.gallery import MOST_EXEMPLARS, Exchanged, Gallery, default_gallery
from diarize.store.rows import Sound
from encoder.errors import ConfigError, StoreError, ToolkitError

ROOT = Path(__file__).parents[2]
MADE_BY = {"fingerprint": "aaaa0000", "embedder": "small"}


def vectors(seed, count=1, dimensions=8):
    rows = np.random.default_rng(seed).normal(size=(count, dimensions))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def sound(seed, *, count=1, speech_s=6.0, kept=None):
    rows = vectors(seed, count)
    return Sound(f"file{seed}.wav", f"hash{seed}", speech_s, rows, np.full(count, speech_s), kept)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "gallery.sqlite"


@pytest.fixture
def gallery(path):
    with Gallery.open(path, create=True) as opened:
        yield opened


def names(gallery_or_path):
    if isinstance(gallery_or_path, Gallery):
        return [p.name for p in gallery_or_path.people()]
    with Gallery.open(gallery_or_path, create=False) as opened:
        return names(opened)


def test_what_is_enrolled_comes_back(path):
    with Gallery.open(path, create=True) as gallery:
        assert gallery.enroll("Zoë", [sound(1, count=3), sound(2)], **MADE_BY) == 2
        assert gallery.enroll("anna", [sound(3, kept=b"flac")], **MADE_BY) == 1
    with Gallery.open(path, create=False) as gallery:
        anna, zoe = gallery.people("aaaa0000")
        assert gallery.fingerprints() == {"aaaa0000": "small"}
    assert (anna.name, anna.kind, anna.sounds, anna.kept) == ("anna", "named", 1, 1)
    assert (zoe.name, zoe.speech_s, zoe.sounds, zoe.kept) == ("Zoë", 12.0, 2, 0)
    np.testing.assert_array_equal(zoe.exemplars, np.concatenate([vectors(1, 3), vectors(2)]))
    np.testing.assert_array_equal(zoe.seconds, [6.0] * 4)
    assert zoe.added >= zoe.created > "2020" and zoe.hashes == {"hash1", "hash2"}


def test_names_are_one_whatever_their_case_and_composition(gallery):
    gallery.enroll("Müller", [sound(1)], **MADE_BY)
    gallery.enroll("MU\u0308LLER", [sound(2)], **MADE_BY)
    assert names(gallery) == ["Müller"] and gallery.people()[0].sounds == 2
    assert gallery.called(" müller") == "Müller"


def test_the_same_sound_is_added_once_and_its_speech_may_be_kept_later(gallery):
    assert gallery.enroll("Anna", [sound(1), sound(1)], **MADE_BY) == 1
    assert gallery.enroll("Anna", [sound(1, kept=b"flac")], **MADE_BY) == 0
    (anna,) = gallery.people()
    assert (len(anna.exemplars), anna.speech_s, anna.kept) == (1, 6.0, 1)
    gallery.enroll("Anna", [sound(1)], **MADE_BY)
    assert gallery.kept_sound(gallery.kept_sounds()[0]).content == b"flac"


def test_a_person_has_at_most_twenty_exemplars_the_ones_that_differ(gallery):
    spread = vectors(0, 15, dimensions=64)
    near = spread[0] + 0.01 * vectors(1, 30, dimensions=64)
    near /= np.linalg.norm(near, axis=1, keepdims=True)
    for number, rows in enumerate((near, spread)):
        made = Sound("f", f"h{number}", 9.0, rows.astype(np.float32), np.ones(len(rows)))
        gallery.enroll("Anna", [made], **MADE_BY)
    (anna,) = gallery.people()
    assert len(anna.exemplars) == MOST_EXEMPLARS
    held = {row.tobytes() for row in anna.exemplars}
    assert sum(row.tobytes() in held for row in spread) >= 14  # one may yield to its copies


def greedy(rows, most):
    """Nested loops over what `thin_out` says."""
    keep = list(range(len(rows)))
    cosine = [[float(np.dot(a.astype(float), b.astype(float))) for b in rows] for a in rows]
    while len(keep) > most:
        i, j = max(((i, j) for i in keep for j in keep if i < j), key=lambda p: cosine[p[0]][p[1]])
        third = [max((cosine[k][m] for m in keep if m not in (i, j)), default=-9) for k in (i, j)]
        keep.remove(i if third[0] > third[1] else j)
    return keep


@given(st.integers(0, 999), st.integers(0, 9), st.integers(1, 10))
def test_thinning_against_nested_loops(seed, count, most):
    rows = vectors(seed, count, 3)
    assert thin_out(rows, most).tolist() == greedy(rows, most)


def test_forgetting_leaves_no_trace_in_the_file(path):
    with Gallery.open(path, create=True) as gallery:
        gallery.enroll("Anna", [sound(1, kept=b"her very voice" * 500)], **MADE_BY)
        gallery.enroll("Bob", [sound(2)], **MADE_BY)
        marks = (b"Anna", b"her very voice", vectors(1).tobytes())
        assert all(mark in path.read_bytes() for mark in marks)
        gallery.forget("anna")
        assert names(gallery) == ["Bob"]
    assert not any(mark in path.read_bytes() for mark in marks)


def test_an_unknown_name_brings_the_nearest(gallery):
    gallery.enroll("Anna Berg", [sound(1)], **MADE_BY)
    for ask in (gallery.forget, gallery.called, lambda name: gallery.rename(name, "x")):
        with pytest.raises(ConfigError, match="did you mean 'Anna Berg'"):
            ask("Anna Breg")
    with pytest.raises(ConfigError, match="diarize gallery"):
        gallery.forget("\udcff" * 200)


def test_renaming_and_merging(gallery):
    gallery.enroll("Anna", [sound(1), sound(2)], **MADE_BY)
    gallery.enroll("Bob", [sound(2), sound(3)], **MADE_BY)
    assert gallery.rename("anna", "ANNA ") == "ANNA"
    with pytest.raises(ConfigError, match="--merge"):
        gallery.rename("ANNA", "bob")
    with pytest.raises(ConfigError, match="slash"):
        gallery.rename("ANNA", "a/b")
    assert names(gallery) == ["ANNA", "Bob"]
    assert gallery.rename("ANNA", "bob", merge=True) == "Bob"
    (bob,) = gallery.people()
    assert bob.hashes == {"hash1", "hash2", "hash3"} and len(bob.exemplars) == 3


def test_merging_loses_no_kept_sound_of_one_that_both_have(gallery):
    gallery.enroll("Anna", [sound(1, kept=b"hers"), sound(2), sound(3, kept=b"x")], **MADE_BY)
    gallery.enroll("Bob", [sound(1), sound(2, kept=b"his"), sound(3, kept=b"y")], **MADE_BY)
    gallery.rename("Anna", "Bob", merge=True)
    held = sorted(gallery.kept_sound(number).content for number in gallery.kept_sounds())
    assert held == [b"hers", b"his", b"y"]


def test_strangers_are_numbered_and_numbers_never_used_again(gallery):
    assert gallery.remember_stranger([sound(1)], **MADE_BY) == "VOICE_0001"
    assert gallery.remember_stranger([sound(2)], **MADE_BY) == "VOICE_0002"
    gallery.forget("VOICE_0002")
    assert gallery.rename("voice_0001", "Anna") == "Anna"
    assert gallery.remember_stranger([sound(3)], **MADE_BY) == "VOICE_0003"
    assert [(p.name, p.kind) for p in gallery.people()] == [
        ("Anna", "named"),
        ("VOICE_0003", "stranger"),
    ]


def test_a_block_of_changes_is_one_change(gallery):
    with pytest.raises(ConfigError), gallery.changing():
        gallery.enroll("Anna", [sound(1)], **MADE_BY)
        assert names(gallery) == ["Anna"]
        gallery.forget("Bob")
    assert names(gallery) == []


# Vectors of another encoder.

OTHER = {"fingerprint": "bbbb1111", "embedder": "large"}


def test_vectors_of_two_encoders_never_meet(gallery):
    gallery.enroll("Anna", [sound(1, kept=b"x")], **MADE_BY)
    gallery.enroll("Bob", [sound(2)], **MADE_BY)
    for use in (
        lambda: gallery.people("bbbb1111", embedder="large"),
        lambda: gallery.enroll("Eve", [sound(3)], **OTHER),
        lambda: gallery.remember_stranger([sound(3)], **OTHER),
    ):
        with pytest.raises(StoreError) as caught:
            use()
        for word in ("small", "aaaa0000", "bbbb1111", "--reembed", "'Bob'", "--embedder small"):
            assert word in str(caught.value)
        assert "'Anna'" not in str(caught.value)
    assert names(gallery) == ["Anna", "Bob"]
    gallery.forget("Anna")
    with pytest.raises(StoreError) as caught:
        gallery.people("bbbb1111", embedder="small")
    assert "--reembed" not in str(caught.value) and "--embedder" not in str(caught.value)


def test_exchanging_the_vectors_of_kept_sounds(gallery):
    gallery.enroll("Anna", [sound(1, kept=b"x"), sound(2)], **MADE_BY)
    gallery.enroll("Bob", [sound(3)], **MADE_BY)
    made = {number: sound(9, count=2) for number in gallery.kept_sounds()}
    done = Exchanged(["Anna"], {"Anna": 1}, ["Bob"])
    assert gallery.replace_exemplars(made, **OTHER) == done
    with pytest.raises(StoreError, match="'Bob'"):
        gallery.people("bbbb1111")
    with pytest.raises(StoreError, match="two embedders"):
        gallery.rename("Bob", "Anna", merge=True)
    gallery.forget("Bob")
    (anna,) = gallery.people("bbbb1111")
    np.testing.assert_array_equal(anna.exemplars, vectors(9, 2))
    assert anna.hashes == {"hash1"} and anna.speech_s == 6.0


def test_vectors_of_the_encoder_in_use_are_not_exchanged(gallery):
    gallery.enroll("Anna", [sound(1, kept=b"x"), sound(2, count=2)], **MADE_BY)
    gallery.enroll("Bob", [sound(3)], **MADE_BY)
    assert gallery.sounds_of_another("aaaa0000") == []
    assert gallery.replace_exemplars({}, **MADE_BY) == Exchanged([], {}, [])
    anna, bob = gallery.people("aaaa0000")
    np.testing.assert_array_equal(anna.exemplars, np.concatenate([vectors(1), vectors(2, 2)]))
    assert anna.hashes == {"hash1", "hash2"} and bob.hashes == {"hash3"}


def test_who_enrolls_during_the_exchange_is_not_lost(gallery):
    gallery.enroll("Anna", [sound(1, kept=b"x")], **MADE_BY)
    made = {number: sound(9) for number in gallery.kept_sounds()}
    gallery.enroll("Bob", [sound(2, kept=b"y")], **MADE_BY)
    with pytest.raises(StoreError, match="try again"):
        gallery.replace_exemplars(made, **OTHER)
    assert len(gallery.people("aaaa0000")) == 2


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
        gallery.people("aaaa0000")


def test_a_vector_that_cannot_be_one(path):
    with Gallery.open(path, create=True) as gallery:
        gallery.enroll("Anna", [sound(1)], **MADE_BY)
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE exemplar SET vector = x'0102'")
    with pytest.raises(StoreError, match="'Anna'"), Gallery.open(path, create=False) as gallery:
        gallery.people()


def use(path):
    """All that a gallery is asked, each by itself; what the user is told."""
    told = []
    with contextlib.suppress(StoreError), Gallery.open(path, create=True) as gallery:
        numbers = []

        class Undo(Exception):  # noqa: N818
            pass

        asks = (
            lambda: gallery.people(),
            lambda: gallery.people("aaaa0000", embedder="small"),
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
            lambda: gallery.remember_stranger([sound(78)], **MADE_BY),
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
                    told.append(str(error))
    return told


def test_bytes_that_a_disk_has_changed(path):
    """Flips all over the file: whatever happens is a sentence, never another exception."""
    with Gallery.open(path, create=True) as gallery:
        gallery.enroll("Anna Berg", [sound(50, count=3, kept=b"flac")], **MADE_BY)
        for seed in range(6):
            kept = b"flac" if seed % 2 else None
            gallery.enroll(f"p{seed}", [sound(seed), sound(seed + 100, kept=kept)], **MADE_BY)
        gallery.remember_stranger([sound(60)], **MADE_BY)
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
            assert [p.name for p in gallery.people("aaaa0000")] == ["Anna"]
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
            assert new.exists() and gallery.people() == []
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


def test_a_gallery_that_was_removed_meanwhile_takes_nobody(path):
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
import sys, time
sys.path.insert(0, {root!r})
from tests.unit_diarize.test_gallery import MADE_BY, sound
from diarize.store.gallery import Gallery
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
            time.sleep(60)
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
        gallery.remember_stranger([sound(number)], **MADE_BY)
"""
    both = [child(script, path, who) for who in "ab"]
    for process in both:
        assert process.stdout.readline() == "ready\n"
    for process in both:
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.wait(timeout=60) for process in both] == [0, 0]
    with Gallery.open(path, create=False) as gallery:
        people = {p.name: p for p in gallery.people("aaaa0000")}
    expected = {f"{who}{n}" for who in "ab" for n in range(15)}
    assert set(people) == expected | {"both"} | {f"VOICE_{n:04d}" for n in range(1, 31)}
    assert people["both"].sounds == 30 and len(people["both"].exemplars) == MOST_EXEMPLARS


# Where it is.


def test_the_users_own_gallery(monkeypatch, tmp_path):
    home = tmp_path / "me"
    monkeypatch.setattr("pathlib.Path.home", lambda: home)
    for variable in ("DIARIZE_HOME", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(variable, raising=False)
    expected = {
        "linux": home / ".local/share/deepspeaker-diarize/gallery.sqlite",
        "darwin": home / "Library/Application Support/deepspeaker-diarize/gallery.sqlite",
        "win32": home / "AppData/Local/deepspeaker-diarize/gallery.sqlite",
    }
    for platform, place in expected.items():
        monkeypatch.setattr("encoder.hub.sys.platform", platform)
        assert default_gallery() == place
    monkeypatch.setattr("encoder.hub.sys.platform", "linux")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_gallery() == tmp_path / "deepspeaker-diarize/gallery.sqlite"
    monkeypatch.setenv("DIARIZE_HOME", str(tmp_path / "all"))
    assert default_gallery() == tmp_path / "all/gallery.sqlite"


def test_a_user_without_a_home(monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    for variable in ("DIARIZE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("pathlib.Path.home", no_home)
    monkeypatch.setattr("encoder.hub.sys.platform", "linux")
    with pytest.raises(ConfigError, match="--gallery"):
        default_gallery()
