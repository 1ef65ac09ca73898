"""The gallery's file: what it holds, its rules, and where it is."""

from __future__ import annotations

import sqlite3

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diarize.gallery.exemplars import thin_out
from diarize.gallery.gallery import Gallery, default_gallery
from diarize.gallery.schema import MOST_EXEMPLARS, Enrollment, Exchanged
from encoder.errors import ConfigError, StoreError
from tests.support.galleries import MADE_BY, OTHER, names, sound, vectors


@pytest.fixture
def path(tmp_path):
    return tmp_path / "gallery.sqlite"


@pytest.fixture
def gallery(path):
    with Gallery.open(path, create=True) as opened:
        yield opened


def test_what_is_enrolled_comes_back(path):
    with Gallery.open(path, create=True) as gallery:
        assert gallery.enroll("Zoë", [sound(1, count=3), sound(2)], **MADE_BY) == 2
        assert gallery.enroll("anna", [sound(3, kept=b"flac")], **MADE_BY) == 1
    with Gallery.open(path, create=False) as gallery:
        anna, zoe = gallery.speakers("aaaa0000")
        assert gallery.fingerprints() == {"aaaa0000": "small"}
    assert (anna.name, anna.kind, anna.enrollments, anna.kept) == ("anna", "named", 1, 1)
    assert (zoe.name, zoe.speech_s, zoe.enrollments, zoe.kept) == ("Zoë", 12.0, 2, 0)
    np.testing.assert_array_equal(zoe.exemplars, np.concatenate([vectors(1, 3), vectors(2)]))
    np.testing.assert_array_equal(zoe.seconds, [6.0] * 4)
    assert zoe.added >= zoe.created > "2020" and zoe.hashes == {"hash1", "hash2"}


def test_names_are_one_whatever_their_case_and_composition(gallery):
    gallery.enroll("Müller", [sound(1)], **MADE_BY)
    gallery.enroll("MU\u0308LLER", [sound(2)], **MADE_BY)
    assert names(gallery) == ["Müller"] and gallery.speakers()[0].enrollments == 2
    assert gallery.called(" müller") == "Müller"


def test_the_same_sound_is_added_once_and_its_speech_may_be_kept_later(gallery):
    assert gallery.enroll("Anna", [sound(1), sound(1)], **MADE_BY) == 1
    assert gallery.enroll("Anna", [sound(1, kept=b"flac")], **MADE_BY) == 0
    (anna,) = gallery.speakers()
    assert (len(anna.exemplars), anna.speech_s, anna.kept) == (1, 6.0, 1)
    gallery.enroll("Anna", [sound(1)], **MADE_BY)
    assert gallery.kept_sound(gallery.kept_sounds()[0]).content == b"flac"


def test_a_person_has_at_most_twenty_exemplars_the_ones_that_differ(gallery):
    spread = vectors(0, 15, dimensions=64)
    near = spread[0] + 0.01 * vectors(1, 30, dimensions=64)
    near /= np.linalg.norm(near, axis=1, keepdims=True)
    for number, rows in enumerate((near, spread)):
        made = Enrollment("f", f"h{number}", 9.0, rows.astype(np.float32), np.ones(len(rows)))
        gallery.enroll("Anna", [made], **MADE_BY)
    (anna,) = gallery.speakers()
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
    with pytest.raises(ConfigError, match="merge both"):
        gallery.rename("ANNA", "bob")
    with pytest.raises(ConfigError, match="slash"):
        gallery.rename("ANNA", "a/b")
    assert names(gallery) == ["ANNA", "Bob"]
    assert gallery.rename("ANNA", "bob", merge=True) == "Bob"
    (bob,) = gallery.speakers()
    assert bob.hashes == {"hash1", "hash2", "hash3"} and len(bob.exemplars) == 3


def test_merging_loses_no_kept_sound_of_one_that_both_have(gallery):
    gallery.enroll("Anna", [sound(1, kept=b"hers"), sound(2), sound(3, kept=b"x")], **MADE_BY)
    gallery.enroll("Bob", [sound(1), sound(2, kept=b"his"), sound(3, kept=b"y")], **MADE_BY)
    gallery.rename("Anna", "Bob", merge=True)
    held = sorted(gallery.kept_sound(number).content for number in gallery.kept_sounds())
    assert held == [b"hers", b"his", b"y"]


def test_unknown_speakers_are_numbered_and_numbers_never_used_again(gallery):
    assert gallery.remember_unknown([sound(1)], **MADE_BY) == "VOICE_0001"
    assert gallery.remember_unknown([sound(2)], **MADE_BY) == "VOICE_0002"
    gallery.forget("VOICE_0002")
    assert gallery.rename("voice_0001", "Anna") == "Anna"
    assert gallery.remember_unknown([sound(3)], **MADE_BY) == "VOICE_0003"
    assert [(p.name, p.kind) for p in gallery.speakers()] == [
        ("Anna", "named"),
        ("VOICE_0003", "unknown"),
    ]
    with sqlite3.connect(gallery.path) as raw:  # the word of galleries since the beginning
        assert raw.execute("SELECT kind FROM person").fetchall() == [("named",), ("stranger",)]
    raw.close()


def test_a_block_of_changes_is_one_change(gallery):
    with pytest.raises(ConfigError), gallery.changing():
        gallery.enroll("Anna", [sound(1)], **MADE_BY)
        assert names(gallery) == ["Anna"]
        gallery.forget("Bob")
    assert names(gallery) == []


# Vectors of another encoder.


def test_vectors_of_two_encoders_never_meet(gallery):
    gallery.enroll("Anna", [sound(1, kept=b"x")], **MADE_BY)
    gallery.enroll("Bob", [sound(2)], **MADE_BY)
    for use in (
        lambda: gallery.speakers("bbbb1111", embedder="large"),
        lambda: gallery.enroll("Eve", [sound(3)], **OTHER),
        lambda: gallery.remember_unknown([sound(3)], **OTHER),
    ):
        with pytest.raises(StoreError) as caught:
            use()
        for word in ("small", "aaaa0000", "bbbb1111", "'Bob'", "embedder 'small'", "kept sounds"):
            assert word in str(caught.value)
        assert caught.value.setting == "reembed"
        assert "'Anna'" not in str(caught.value)
    assert names(gallery) == ["Anna", "Bob"]
    gallery.forget("Anna")
    with pytest.raises(StoreError) as caught:
        gallery.speakers("bbbb1111", embedder="small")
    assert "kept sounds" not in str(caught.value) and "use the embedder" not in str(caught.value)
    assert caught.value.setting == ""


def test_exchanging_the_vectors_of_kept_sounds(gallery):
    gallery.enroll("Anna", [sound(1, kept=b"x"), sound(2)], **MADE_BY)
    gallery.enroll("Bob", [sound(3)], **MADE_BY)
    made = {number: sound(9, count=2) for number in gallery.kept_sounds()}
    done = Exchanged(["Anna"], {"Anna": 1}, ["Bob"])
    assert gallery.replace_exemplars(made, **OTHER) == done
    with pytest.raises(StoreError, match="'Bob'"):
        gallery.speakers("bbbb1111")
    with pytest.raises(StoreError, match="two embedders"):
        gallery.rename("Bob", "Anna", merge=True)
    gallery.forget("Bob")
    (anna,) = gallery.speakers("bbbb1111")
    np.testing.assert_array_equal(anna.exemplars, vectors(9, 2))
    assert anna.hashes == {"hash1"} and anna.speech_s == 6.0


def test_vectors_of_the_encoder_in_use_are_not_exchanged(gallery):
    gallery.enroll("Anna", [sound(1, kept=b"x"), sound(2, count=2)], **MADE_BY)
    gallery.enroll("Bob", [sound(3)], **MADE_BY)
    assert gallery.sounds_of_another("aaaa0000") == []
    assert gallery.replace_exemplars({}, **MADE_BY) == Exchanged([], {}, [])
    anna, bob = gallery.speakers("aaaa0000")
    np.testing.assert_array_equal(anna.exemplars, np.concatenate([vectors(1), vectors(2, 2)]))
    assert anna.hashes == {"hash1", "hash2"} and bob.hashes == {"hash3"}


def test_who_enrolls_during_the_exchange_is_not_lost(gallery):
    gallery.enroll("Anna", [sound(1, kept=b"x")], **MADE_BY)
    made = {number: sound(9) for number in gallery.kept_sounds()}
    gallery.enroll("Bob", [sound(2, kept=b"y")], **MADE_BY)
    with pytest.raises(StoreError, match="try again"):
        gallery.replace_exemplars(made, **OTHER)
    assert len(gallery.speakers("aaaa0000")) == 2


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
        monkeypatch.setattr("encoder.hub.paths.sys.platform", platform)
        assert default_gallery() == place
    monkeypatch.setattr("encoder.hub.paths.sys.platform", "linux")
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
    monkeypatch.setattr("encoder.hub.paths.sys.platform", "linux")
    with pytest.raises(ConfigError, match="name a file"):
        default_gallery()
