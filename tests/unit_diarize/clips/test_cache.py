"""What is remembered of clips, what is not, and a cache file that fails."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from diarize.clips import cache as clip_cache
from diarize.clips.cache import CachedClip, ClipCache, default_cache
from encoder.errors import StoreError

OLD_S = 100  # files this old are trusted by their time


def clip(path: Path, content: bytes = b"sound", *, age_s: float = OLD_S) -> Path:
    path.write_bytes(content)
    then = time.time() - age_s
    os.utime(path, (then, then))
    return path


def voice(seed: int) -> CachedClip:
    vector = np.random.default_rng(seed).standard_normal(256).astype(np.float32)
    return CachedClip(vector / np.linalg.norm(vector), 2 / 3, 4 / 3, warnings=("é", 'a "quote"'))


def same(a: CachedClip | None, b: CachedClip) -> bool:
    assert a is not None
    if a.vector is None or b.vector is None:
        assert a.vector is b.vector
    else:
        assert a.vector.dtype == np.float32 and np.array_equal(a.vector, b.vector)
    rest = [(h.speech_s, h.duration_s, h.reason, h.warnings) for h in (a, b)]
    return rest[0] == rest[1]


@pytest.fixture
def opened(tmp_path):
    warnings: list[str] = []

    def of(path=tmp_path / "cache" / "clips.sqlite", fingerprint="f", recipe="r"):
        return ClipCache.open(path, fingerprint, recipe, warnings.append)

    of.warnings = warnings
    of.path = tmp_path / "cache" / "clips.sqlite"
    return of


def test_what_was_kept_is_known_exactly(tmp_path, opened):
    a, b = clip(tmp_path / "a.wav", b"a"), clip(tmp_path / "b.wav", b"b")
    silent = CachedClip(None, 0.0, 3.1, "no speech in 3.1 s")
    with opened() as cache:
        for path, found in ((a, voice(1)), (b, silent)):
            key, known = cache.look_up(path)
            assert known is None
            cache.keep(key, found)
    with opened() as cache:
        assert same(cache.look_up(a)[1], voice(1))
        assert same(cache.look_up(b)[1], silent)
        # The same bytes under another name are the same clip.
        assert same(cache.look_up(clip(tmp_path / "copy.mp3", b"a"))[1], voice(1))
    assert opened.warnings == []


def execute(path, statement):
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute(statement)


def test_a_vector_that_the_disk_has_changed_is_made_anew(tmp_path, opened):
    a = clip(tmp_path / "a.wav")
    with opened() as cache:
        cache.keep(cache.look_up(a)[0], voice(1))
    whole = opened.path.read_bytes()
    at = whole.index(voice(1).vector.tobytes())
    for bit in (0, 22, 31):  # the last is the sign: the norm stays 1
        data = bytearray(whole)
        data[at + bit // 8] ^= 1 << bit % 8
        opened.path.write_bytes(data)
        with opened() as cache:
            assert cache.look_up(a)[1] is None
    opened.path.write_bytes(whole)
    with opened() as cache:
        assert same(cache.look_up(a)[1], voice(1))


def test_a_cache_of_version_1_goes_on(tmp_path, opened):
    a, b = clip(tmp_path / "a.wav", b"a"), clip(tmp_path / "b.wav", b"b")
    with opened() as cache:
        cache.keep(cache.look_up(a)[0], voice(1))
    execute(opened.path, "ALTER TABLE clip DROP COLUMN checksum")
    execute(opened.path, "PRAGMA user_version = 1")
    with opened() as cache:
        assert same(cache.look_up(a)[1], voice(1))
        cache.keep(cache.look_up(b)[0], voice(2))
        cache.commit()
        assert same(cache.look_up(a)[1], voice(1))
        assert same(cache.look_up(b)[1], voice(2))
    assert opened.warnings == []


def test_another_embedder_or_recipe_knows_nothing(tmp_path, opened):
    a = clip(tmp_path / "a.wav")
    with opened() as cache:
        cache.keep(cache.look_up(a)[0], voice(1))
    for other in ({"fingerprint": "g"}, {"recipe": "s"}):
        with opened(**other) as cache:
            assert cache.look_up(a)[1] is None
            cache.keep(cache.look_up(a)[0], voice(2))
    with opened() as cache:
        assert same(cache.look_up(a)[1], voice(1))


def test_a_changed_file_is_read_again_and_an_unchanged_one_is_not(tmp_path, opened, monkeypatch):
    read = []
    digest = clip_cache._digest
    monkeypatch.setattr(clip_cache, "_digest", lambda path: read.append(path.name) or digest(path))
    a = clip(tmp_path / "a.wav", b"one")
    young = clip(tmp_path / "young.wav", b"two", age_s=0)
    with opened() as cache:
        for path in (a, young):
            cache.keep(cache.look_up(path)[0], voice(1))
    read.clear()
    with opened() as cache:
        assert same(cache.look_up(a)[1], voice(1))
        assert same(cache.look_up(young)[1], voice(1))
        # a's time has been seen; a file as young as that may change without its time changing
        assert read == ["young.wav"]
        clip(a, b"ONE", age_s=OLD_S - 10)  # same size, another time
        assert cache.look_up(a)[1] is None
        status = a.stat()
        a.write_bytes(b"longer")
        os.utime(a, ns=(status.st_atime_ns, status.st_mtime_ns))  # same time, another size
        assert cache.look_up(a)[1] is None


def test_a_file_that_changes_while_it_is_read_is_not_cached(tmp_path, opened):
    a = clip(tmp_path / "a.wav", b"one")
    with opened() as cache:
        key, _ = cache.look_up(a)
        clip(a, b"other", age_s=50)
        cache.keep(key, voice(1))
        key, _ = cache.look_up(tmp_path / clip(tmp_path / "b.wav", b"b"))
        (tmp_path / "b.wav").unlink()
        cache.keep(key, voice(2))
    with opened() as cache:
        assert cache.look_up(clip(a, b"one", age_s=30))[1] is None
        assert cache.look_up(clip(tmp_path / "b.wav", b"b"))[1] is None


def test_work_is_written_now_and_then(tmp_path, opened, monkeypatch):
    monkeypatch.setattr(clip_cache, "COMMIT_EVERY_S", 0.0)
    with opened() as cache:
        cache.keep(cache.look_up(clip(tmp_path / "a.wav"))[0], voice(1))
        with sqlite3.connect(opened.path) as plain:  # before it is closed
            assert plain.execute("SELECT count(*) FROM clip").fetchone() == (1,)


@pytest.mark.parametrize("year", [2300, 1601, 2**33 // 31_556_952])
def test_a_file_whose_clock_was_centuries_off(tmp_path, opened, year):
    path = clip(tmp_path / "a.wav")
    then = (year - 1970) * 31_556_952 * 10**9 + 7
    os.utime(path, ns=(then, then))
    with opened() as cache:
        cache.keep(cache.look_up(path)[0], voice(1))
    with opened() as cache:
        assert same(cache.look_up(path)[1], voice(1))
    assert opened.warnings == []


def test_names_that_are_not_text(tmp_path, opened):
    path = tmp_path / os.fsdecode(b"\xff\xfe 'x'.wav")
    with opened() as cache:
        cache.keep(cache.look_up(clip(path))[0], voice(1))
    with opened() as cache:
        assert same(cache.look_up(path)[1], voice(1))


def test_a_damaged_cache_is_set_aside(tmp_path, opened):
    a = clip(tmp_path / "a.wav")
    with opened() as cache:
        cache.keep(cache.look_up(a)[0], voice(1))
    data = opened.path.read_bytes()
    opened.path.write_bytes(data[: len(data) // 2])
    Path(f"{opened.path}-journal").write_bytes(b"left over")
    with opened() as cache:
        assert cache.look_up(a)[1] is None
        cache.keep(cache.look_up(a)[0], voice(1))
    assert len(opened.warnings) == 1 and "was damaged: a new one is begun" in opened.warnings[0]
    names = sorted(path.name for path in opened.path.parent.iterdir())
    assert names == ["clips.sqlite", "clips.sqlite.damaged"]
    with opened() as cache:
        assert same(cache.look_up(a)[1], voice(1))


def test_damage_found_on_the_way_is_set_aside(tmp_path, opened):
    paths = [clip(tmp_path / f"{i}.wav", bytes([i])) for i in range(60)]
    with opened() as cache:
        for i, path in enumerate(paths):
            cache.keep(cache.look_up(path)[0], voice(i))
    data = bytearray(opened.path.read_bytes())
    data[8192:] = np.random.default_rng(0).bytes(len(data) - 8192)  # the head stays good
    opened.path.write_bytes(data)
    with opened() as cache:
        for i, path in enumerate(paths):
            key, known = cache.look_up(path)
            assert known is None or same(known, voice(i))
            cache.keep(key, voice(i))
    assert len(opened.warnings) == 1
    with opened() as cache:
        assert same(cache.look_up(paths[-1])[1], voice(59))


def test_a_vector_that_a_disk_has_changed_is_not_believed(tmp_path, opened):
    a = clip(tmp_path / "a.wav")
    with opened() as cache:
        cache.keep(cache.look_up(a)[0], voice(1))
    nan = np.full(256, np.nan, "<f4").tobytes()
    good = voice(1).vector.astype("<f4").tobytes()
    for vector, warnings in ((nan, "[]"), (b"odd", "[]"), ("text", "[]"), (good, "{"), (good, 3)):
        with sqlite3.connect(opened.path) as plain:
            plain.execute("UPDATE clip SET vector = ?, warnings = ?", (vector, warnings))
        with opened() as cache:
            assert cache.look_up(a)[1] is None


def test_what_is_no_cache_is_left_alone(tmp_path, opened):
    precious = tmp_path / "thesis.txt"
    precious.write_text("all of my work\n" * 100)
    with pytest.raises(StoreError, match=r"thesis\.txt.*no cache of clips"), opened(precious):
        pass
    assert precious.read_text() == "all of my work\n" * 100
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_cache_that_cannot_be_made_is_done_without(tmp_path, opened):
    (tmp_path / "file").write_text("x")
    with opened(tmp_path / "file" / "clips.sqlite") as cache:
        key, known = cache.look_up(clip(tmp_path / "a.wav"))
        assert known is None
        cache.keep(key, voice(1))
        assert cache.look_up(tmp_path / "a.wav")[1] is None
    assert len(opened.warnings) == 1
    assert opened.warnings[0].startswith("going on without a cache, for ")


def test_a_cache_in_use_is_done_without(tmp_path, opened, monkeypatch):
    monkeypatch.setattr("diarize.core.sqlite_file.TIMEOUT_S", 0.1)
    with opened() as cache:
        holder = sqlite3.connect(opened.path, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        cache._database._connection.execute("PRAGMA busy_timeout = 100")
        cache.keep(cache.look_up(clip(tmp_path / "a.wav"))[0], voice(1))
    holder.execute("ROLLBACK")
    holder.close()
    assert len(opened.warnings) == 1 and "in use by another program" in opened.warnings[0]


def test_the_default_is_in_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("sys.platform", "linux")
    assert default_cache() == tmp_path / "deepspeaker-diarize" / "clips.sqlite"
