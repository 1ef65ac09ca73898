"""What a disk or another program has changed in a gallery is noticed; galleries of version 1."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import numpy as np
import pytest

from diarize.core.sqlite_file import DamagedError
from diarize.gallery.gallery import Gallery
from diarize.gallery.identification import rank_speakers
from diarize.gallery.schema import Enrollment
from encoder.errors import CorpusError
from tests.support.galleries import MADE_BY, execute, names, old_gallery, sound, vectors


@pytest.fixture
def path(tmp_path):
    return tmp_path / "gallery.sqlite"


def filled(path):
    with Gallery.open(path, create=True) as gallery:
        gallery.enroll("Anna", [sound(1, count=2, kept=b"flac")], **MADE_BY)
        gallery.enroll("Ben", [sound(2)], **MADE_BY)
    return path


def version(path):
    with closing(sqlite3.connect(path)) as raw:
        return raw.execute("PRAGMA user_version").fetchone()[0]


def is_refused(path, *words):
    with Gallery.open(path, create=False) as gallery:
        with pytest.raises(DamagedError) as caught:
            gallery.speakers("aaaa0000", embedder="small")
        for word in words:
            assert word in str(caught.value)
        with pytest.raises(DamagedError):  # of any embedder
            gallery.speakers()


def test_any_bit_of_a_vector_is_noticed(path):
    whole = filled(path).read_bytes()
    blob = sound(2).vectors[0].tobytes()
    at = whole.index(blob)
    for bit in range(8 * len(blob)):
        data = bytearray(whole)
        data[at + bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        is_refused(path, "'Ben'", "restore a copy", "enroll them again")
    path.write_bytes(whole)
    assert names(path) == ["Anna", "Ben"]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE person SET name = 'Bem' WHERE name = 'Ben'",
        "UPDATE person SET kind = 'stranger' WHERE name = 'Ben'",
        "UPDATE sound SET person = 1 WHERE person = 2",  # Anna's now
        "UPDATE sound SET hash = 'other' WHERE person = 2",
        "UPDATE sound SET speech_s = 66.0 WHERE person = 2",
        "UPDATE exemplar SET sound = 1 WHERE sound = 2",
        "UPDATE exemplar SET speech_s = 66.0 WHERE sound = 2",
        "UPDATE exemplar SET vector = (SELECT vector FROM exemplar WHERE id = 1) WHERE sound = 2",
    ],
)
def test_any_value_that_another_program_has_changed_is_noticed(path, change):
    execute(filled(path), change)
    is_refused(path)


def test_a_kept_sound_that_has_changed_is_not_embedded_again(path):
    execute(filled(path), "UPDATE sound SET kept = x'00' WHERE kept IS NOT NULL")
    with Gallery.open(path, create=False) as gallery:
        (number,) = gallery.kept_sounds()
        with pytest.raises(DamagedError, match="'Anna'"):
            gallery.kept_sound(number)


@pytest.mark.parametrize(
    "vector",
    [
        np.full(8, np.nan), np.full(8, np.inf), np.zeros(8), np.full(8, 1.0), np.full(8, 1e37),
        np.array([-8e36, *[0.35] * 7]),
    ],
)  # fmt: skip
def test_what_is_no_unit_vector_is_refused_in_old_galleries_too(path, vector):
    old_gallery(path, "Anna", "Ben")
    blob = vector.astype("<f4").tobytes()
    execute(path, "UPDATE exemplar SET vector = ? WHERE sound = 2", blob)
    is_refused(path, "'Ben'")


@pytest.mark.parametrize("size", [0, 3, 5, 4 * 4, 4 * 9])
def test_vectors_of_other_lengths_are_refused(path, size):
    old_gallery(path, "Anna", "Ben", "Cy")
    blob = np.full(max(size // 4, 1), max(size // 4, 1) ** -0.5, "<f4").tobytes()[:size]
    execute(path, "UPDATE exemplar SET vector = ? WHERE sound = 2", blob)
    is_refused(path, "'Ben'")


def test_vectors_of_another_length_than_the_embedders_are_refused(path):
    with Gallery.open(filled(path), create=False) as gallery:
        enrolled = gallery.speakers()
    with pytest.raises(DamagedError, match=r"'Anna' .* have 8 values instead of 16"):
        rank_speakers(vectors(5, dimensions=16)[0], 6.0, enrolled, None)


@pytest.mark.parametrize(
    "change",
    [
        "CREATE VIEW person AS WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n)"
        " SELECT id, 'x' AS name, 'x' AS folded, 'named' AS kind, '' AS created FROM n",
        "CREATE TRIGGER t AFTER INSERT ON people BEGIN DELETE FROM people; END",
        "CREATE TABLE other (id)",
    ],
)
def test_a_table_that_is_none(path, change):
    """A view may never end, and a trigger may change anything."""
    execute(filled(path), "ALTER TABLE person RENAME TO people")
    execute(path, change)
    with pytest.raises(DamagedError, match=r"it holds a (view|trigger)|no such table: person"):
        names(path)


def test_what_is_no_unit_vector_is_not_enrolled(path):
    for rows in (np.full((1, 8), np.nan), np.zeros((1, 8)), np.ones((1, 8))):
        bad = Enrollment("a.wav", "h", 6.0, rows.astype(np.float32), np.array([6.0]))
        with Gallery.open(path, create=True) as gallery:
            with pytest.raises(CorpusError, match=r"'a.wav' are no unit vectors"):
                gallery.enroll("Anna", [bad], **MADE_BY)
            assert names(gallery) == []


def test_a_gallery_of_version_1_is_read_as_it_is(path):
    old_gallery(path, "Anna", "Ben")
    before = path.read_bytes()
    with Gallery.open(path, create=False) as gallery:
        anna, ben = gallery.speakers("aaaa0000", embedder="small")
        gallery.check_writable()
        numbers = gallery.kept_sounds()
        assert [gallery.kept_sound(number).content for number in numbers] == [b"\xff"] * 2
    assert (anna.name, ben.name) == ("Anna", "Ben")
    np.testing.assert_array_equal(ben.exemplars, sound(2).vectors)
    assert path.read_bytes() == before and version(path) == 1


def test_the_first_change_brings_it_up_to_date(path):
    old_gallery(path, "Anna", "Ben")
    with Gallery.open(path, create=False) as gallery:
        before = gallery.speakers()
        with pytest.raises(ZeroDivisionError), gallery.changing():
            1 / 0  # noqa: B018
        assert version(path) == 1
        gallery.enroll("Cy", [sound(3)], **MADE_BY)
        after = gallery.speakers("aaaa0000")
    assert version(path) == 2
    assert [speaker.name for speaker in after] == ["Anna", "Ben", "Cy"]
    for old, new in zip(before, after, strict=False):
        np.testing.assert_array_equal(old.exemplars, new.exemplars)
        assert (old.hashes, old.kept, old.created) == (new.hashes, new.kept, new.created)
    blob = sound(9).vectors[0].tobytes()
    execute(path, "UPDATE exemplar SET vector = ? WHERE sound = 1", blob)  # a vector like any other
    is_refused(path, "'Anna'")


def test_damage_is_not_made_good_by_a_change(path):
    old_gallery(path, "Anna", "Ben", "Cy")
    blob = np.full(8, np.nan, "<f4").tobytes()
    execute(path, "UPDATE exemplar SET vector = ? WHERE sound = 2", blob)
    with Gallery.open(path, create=False) as gallery:
        gallery.rename("Cy", "Cyd")
        is_refused(path, "'Ben'")
        gallery.rename("Ben", "Cyd", merge=True)
        is_refused(path, "'Cyd'")
        gallery.forget("Cyd")
        assert names(gallery) == ["Anna"]


def test_a_damaged_name_can_be_given_anew(path):
    execute(filled(path), "UPDATE person SET name = 'Bem' WHERE name = 'Ben'")
    with Gallery.open(path, create=False) as gallery:
        gallery.rename("Ben", "Ben")
        assert names(gallery) == ["Anna", "Ben"]
