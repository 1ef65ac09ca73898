"""The tables of a gallery, and the statements that read and write their rows.

A person has sounds, a sound has exemplars. What may be done with them is said in
`diarize.gallery.gallery`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diarize.core.sqlite_file import DamagedError
from diarize.gallery.exemplars import thin_out
from diarize.gallery.names import fold_name

__all__ = [
    "MOST_EXEMPLARS",
    "SCHEMA",
    "Person",
    "Sound",
    "add_sounds",
    "checked",
    "drop_vectors_of_another",
    "find_person",
    "insert_exemplars",
    "keep_of_both",
    "kept_of_another",
    "make_person",
    "people_of_another",
    "read_person",
    "thin_person",
]

MOST_EXEMPLARS = 20  # a person
SCHEMA = """
CREATE TABLE person (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    folded TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL CHECK (kind IN ('named', 'stranger')),
    created TEXT NOT NULL
);
CREATE TABLE sound (
    id INTEGER PRIMARY KEY,
    person INTEGER NOT NULL REFERENCES person ON DELETE CASCADE,
    source TEXT NOT NULL,
    hash TEXT NOT NULL,
    speech_s REAL NOT NULL,
    added TEXT NOT NULL,
    kept BLOB,
    UNIQUE (person, hash)
);
CREATE TABLE exemplar (
    id INTEGER PRIMARY KEY,
    sound INTEGER NOT NULL REFERENCES sound ON DELETE CASCADE,
    fingerprint TEXT NOT NULL,
    embedder TEXT NOT NULL,
    vector BLOB NOT NULL,
    speech_s REAL NOT NULL
);
CREATE INDEX exemplar_sound ON exemplar (sound);
CREATE TABLE numbering (strangers INTEGER NOT NULL);
INSERT INTO numbering VALUES (0);
"""
_VECTOR = np.dtype("<f4")


@dataclass(frozen=True, eq=False)
class Sound:
    """What one file or recording says of a voice.

    vectors (E, D): its exemplars, unit; seconds (E,): the speech each was made of. hash: equal for
    the same sound. kept: the speech as FLAC, or None.
    """

    source: str
    hash: str
    speech_s: float
    vectors: NDArray[np.float32]
    seconds: NDArray[np.float64]
    kept: bytes | None = None


@dataclass(frozen=True, eq=False)
class Person:
    """One voice: exemplars (E, D) and the seconds (E,) of speech each was made of.

    kind: "named" by the user, or a "stranger" that the toolkit numbered. speech_s: of all `sounds`,
    of which `kept` are stored as sound. created, added: times in UTC of the first and last sound.
    hashes: of its sounds.
    """

    name: str
    kind: str
    exemplars: NDArray[np.float32]
    seconds: NDArray[np.float64]
    speech_s: float = 0.0
    sounds: int = 0
    kept: int = 0
    created: str = ""
    added: str = ""
    fingerprint: str = ""
    embedder: str = ""
    hashes: frozenset[str] = frozenset()


def checked(found: Iterable[tuple[Any, ...]], *types: type, count: int | None = None) -> list[Any]:
    """The rows; DamagedError for values of other types or another number than `count`: SQLite holds
    in any column what a disk has put there."""
    rows = list(found)
    if count is not None and len(rows) != count:
        raise DamagedError("rows of the gallery are missing: restore a copy of it")
    for row in rows:
        for value, kind in zip(row, types, strict=True):
            if not isinstance(value, kind):
                raise DamagedError(
                    f"the gallery is damaged (a {kind.__name__} is {str(value)[:40]!r}): "
                    "restore a copy of it"
                )
    return rows


def find_person(sql: sqlite3.Connection, name: str) -> tuple[int, str, str] | None:
    """(id, name, kind) of the person called so."""
    query = "SELECT id, name, kind FROM person WHERE folded = ?"
    found = checked(sql.execute(query, (_text(fold_name(name)),)), int, str, str)
    return found[0] if found else None


def make_person(sql: sqlite3.Connection, name: str, kind: str) -> int:
    """A new person without sounds; its id."""
    done = sql.execute(
        "INSERT INTO person (name, folded, kind, created) VALUES (?, ?, ?, ?)",
        (name, fold_name(name), kind, _now()),
    )
    assert done.lastrowid is not None
    return done.lastrowid


def read_person(sql: sqlite3.Connection, person: int) -> Person:
    """Everything about a person; DamagedError for rows that cannot be one's."""
    ((name, kind, created),) = checked(
        sql.execute("SELECT name, kind, created FROM person WHERE id = ?", (person,)),
        *(str, str, str),
        count=1,
    )
    sounds = checked(
        sql.execute(
            "SELECT hash, speech_s, added, kept IS NOT NULL FROM sound WHERE person = ?"
            " ORDER BY id",
            (person,),
        ),
        *(str, float, str, int),
    )
    rows = checked(
        sql.execute(
            "SELECT vector, exemplar.speech_s, fingerprint, embedder FROM exemplar"
            " JOIN sound ON sound.id = sound WHERE person = ? ORDER BY exemplar.id",
            (person,),
        ),
        *(bytes, float, str, str),
    )
    sizes = {len(blob) for blob, *_ in rows}
    if len(sizes) > 1 or any(size == 0 or size % _VECTOR.itemsize for size in sizes):
        raise DamagedError(f"the voice of {name!r} in the gallery is damaged: restore a copy of it")
    width = max(sizes, default=0) // _VECTOR.itemsize
    vectors = np.frombuffer(b"".join(blob for blob, *_ in rows), _VECTOR)
    return Person(
        name=name,
        kind=kind,
        exemplars=vectors.reshape(len(rows), width).astype(np.float32),
        seconds=np.array([row[1] for row in rows], np.float64),
        speech_s=float(sum(speech_s for _, speech_s, _, _ in sounds)),
        sounds=len(sounds),
        kept=sum(kept for *_, kept in sounds),
        created=created,
        added=max((added for _, _, added, _ in sounds), default=created),
        fingerprint=rows[0][2] if rows else "",
        embedder=rows[0][3] if rows else "",
        hashes=frozenset(digest for digest, *_ in sounds),
    )


def add_sounds(
    sql: sqlite3.Connection, person: int, sounds: Iterable[Sound], fingerprint: str, embedder: str
) -> int:
    """Those the person has not; how many. A sound that is there gets what was not kept of it."""
    added = 0
    for sound in sounds:
        done = sql.execute(
            "INSERT OR IGNORE INTO sound (person, source, hash, speech_s, added, kept)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (person, _text(sound.source), sound.hash, sound.speech_s, _now(), sound.kept),
        )
        if done.rowcount == 0:
            sql.execute(
                "UPDATE sound SET kept = coalesce(kept, ?) WHERE person = ? AND hash = ?",
                (sound.kept, person, sound.hash),
            )
            continue
        added += 1
        assert done.lastrowid is not None
        insert_exemplars(sql, done.lastrowid, sound, fingerprint, embedder)
        thin_person(sql, person)
    return added


def insert_exemplars(
    sql: sqlite3.Connection, number: int, sound: Sound, fingerprint: str, embedder: str
) -> None:
    """The vectors of the sound with that number."""
    sql.executemany(
        "INSERT INTO exemplar (sound, fingerprint, embedder, vector, speech_s)"
        " VALUES (?, ?, ?, ?, ?)",
        [
            (number, fingerprint, embedder, vector.astype(_VECTOR).tobytes(), float(seconds))
            for vector, seconds in zip(sound.vectors, sound.seconds, strict=True)
        ],
    )


def thin_person(sql: sqlite3.Connection, person: int) -> None:
    """Leave the person at most 20 exemplars."""
    rows = sql.execute(
        "SELECT exemplar.id, vector FROM exemplar JOIN sound ON sound.id = sound"
        " WHERE person = ? ORDER BY exemplar.id",
        (person,),
    ).fetchall()
    if len(rows) > MOST_EXEMPLARS:
        if len({len(blob) for _, blob in checked(rows, int, bytes)}) > 1:
            raise DamagedError("a voice in the gallery is damaged: restore a copy of it")
        vectors = np.stack([np.frombuffer(blob, _VECTOR) for _, blob in rows])
        kept = set(thin_out(vectors, MOST_EXEMPLARS).tolist())
        gone = [(row[0],) for at, row in enumerate(rows) if at not in kept]
        sql.executemany("DELETE FROM exemplar WHERE id = ?", gone)


def keep_of_both(sql: sqlite3.Connection, person: int, other: int) -> None:
    """What `person` kept of sounds that both have is kept with `other`, too."""
    sql.execute(
        "UPDATE sound SET kept = coalesce(kept, (SELECT own.kept FROM sound AS own"
        " WHERE own.person = ? AND own.hash = sound.hash)) WHERE person = ?",
        (person, other),
    )


def kept_of_another(sql: sqlite3.Connection, fingerprint: str) -> list[tuple[int, int]]:
    """(sound, person) of what was kept of people who have vectors of another encoder."""
    query = (
        "SELECT id, person FROM sound WHERE kept IS NOT NULL AND person IN (SELECT person FROM"
        " sound JOIN exemplar ON sound.id = sound WHERE fingerprint != ?) ORDER BY person, id"
    )
    return checked(sql.execute(query, (fingerprint,)), int, int)


def drop_vectors_of_another(sql: sqlite3.Connection, person: int, fingerprint: str) -> int:
    """The person's vectors of another encoder go, and sounds that were not kept and have no others;
    how many sounds went."""
    own = "sound IN (SELECT id FROM sound WHERE person = ?)"
    # Kept sounds get all their vectors anew, or they would have some twice.
    sql.execute(
        f"DELETE FROM exemplar WHERE {own} AND (fingerprint != ? OR sound IN"
        " (SELECT id FROM sound WHERE kept IS NOT NULL))",
        (person, fingerprint),
    )
    return sql.execute(
        "DELETE FROM sound WHERE person = ? AND kept IS NULL"
        " AND id NOT IN (SELECT sound FROM exemplar)",
        (person,),
    ).rowcount


def people_of_another(sql: sqlite3.Connection, fingerprint: str) -> list[str]:
    """Names of whoever has vectors of another encoder."""
    rows = sql.execute(
        "SELECT name FROM person WHERE id IN (SELECT person FROM sound JOIN exemplar"
        " ON sound.id = sound WHERE fingerprint != ?) ORDER BY folded",
        (fingerprint,),
    )
    return [name for (name,) in checked(rows, str)]


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _text(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()  # SQLite takes no lone surrogates
