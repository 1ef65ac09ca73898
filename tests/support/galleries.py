"""People for galleries: made-up sounds, and who is in one."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import numpy as np

from diarize.core.sqlite_file import row_sum
from diarize.gallery.gallery import Gallery
from diarize.gallery.integrity import COLUMNS
from diarize.gallery.schema import Enrollment

MADE_BY = {"fingerprint": "aaaa0000", "embedder": "small"}
OTHER = {"fingerprint": "bbbb1111", "embedder": "large"}


def vectors(seed, count=1, dimensions=8):
    rows = np.random.default_rng(seed).normal(size=(count, dimensions))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def sound(seed, *, count=1, speech_s=6.0, kept=None):
    rows = vectors(seed, count)
    return Enrollment(
        f"file{seed}.wav", f"hash{seed}", speech_s, rows, np.full(count, speech_s), kept
    )


def names(gallery_or_path):
    if isinstance(gallery_or_path, Gallery):
        return [p.name for p in gallery_or_path.speakers()]
    with Gallery.open(gallery_or_path, create=False) as opened:
        return names(opened)


# What version 1 of the file began with.
VERSION_1 = """
CREATE TABLE person (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, folded TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL CHECK (kind IN ('named', 'stranger')), created TEXT NOT NULL
);
CREATE TABLE sound (
    id INTEGER PRIMARY KEY, person INTEGER NOT NULL REFERENCES person ON DELETE CASCADE,
    source TEXT NOT NULL, hash TEXT NOT NULL, speech_s REAL NOT NULL, added TEXT NOT NULL,
    kept BLOB, UNIQUE (person, hash)
);
CREATE TABLE exemplar (
    id INTEGER PRIMARY KEY, sound INTEGER NOT NULL REFERENCES sound ON DELETE CASCADE,
    fingerprint TEXT NOT NULL, embedder TEXT NOT NULL, vector BLOB NOT NULL, speech_s REAL NOT NULL
);
CREATE INDEX exemplar_sound ON exemplar (sound);
CREATE TABLE numbering (strangers INTEGER NOT NULL);
INSERT INTO numbering VALUES (0);
PRAGMA application_id = 1145523289;
PRAGMA user_version = 1;
"""


def old_gallery(path, *people):
    """A gallery of version 1 with these people, one of `sound(seed)` each, seeds from 1."""
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.executescript(VERSION_1)
        for number, name in enumerate(people, start=1):
            one = sound(number)
            raw.execute(
                "INSERT INTO person VALUES (?, ?, ?, 'named', '2026-01-02T03:04:05+00:00')",
                (number, name, name.casefold()),
            )
            raw.execute(
                "INSERT INTO sound VALUES (?, ?, ?, ?, 6.0, '2026-01-02T03:04:05+00:00', x'ff')",
                (number, number, one.source, one.hash),
            )
            raw.execute(
                "INSERT INTO exemplar VALUES (?, ?, 'aaaa0000', 'small', ?, 6.0)",
                (number, number, one.vectors[0].tobytes()),
            )


def execute(path, statement, *values):
    """As another program would, past everything that this toolkit checks."""
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute(statement, values)


def as_if_made_by_another(path):
    """All vectors are of another embedder, and rightly so."""
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.create_function("row_sum", -1, row_sum)
        raw.execute("UPDATE exemplar SET fingerprint = '0ther000', embedder = 'elder'")
        columns = ", ".join(COLUMNS["exemplar"])
        raw.execute(f"UPDATE exemplar SET checksum = row_sum({columns})")
