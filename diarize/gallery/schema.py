"""The tables of a gallery, and the statements that read and write their rows.

A speaker (table `person`) has enrollments (`sound`), an enrollment has exemplars. What may be done
with them is said in `diarize.gallery.gallery`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone

import numpy as np
from numpy.typing import NDArray

from diarize.gallery.exemplars import thin_out
from diarize.gallery.integrity import (
    VECTOR,
    are_unit,
    check_intact,
    checked,
    intact,
    read_vectors,
)
from diarize.gallery.names import fold_name, nearest_names, shown
from encoder.errors import ConfigError, CorpusError

__all__ = [
    "MOST_EXEMPLARS",
    "SCHEMA",
    "EnrolledSpeaker",
    "Enrollment",
    "Exchanged",
    "KeptSound",
    "add_enrollments",
    "find_speaker",
    "insert_exemplars",
    "known_speaker",
    "make_speaker",
    "merge_speakers",
    "name_speaker",
    "next_unknown",
    "read_kept",
    "read_speaker",
    "thin_speaker",
]

MOST_EXEMPLARS = 20  # a speaker
# Galleries have said "stranger" for unknown speakers from the beginning.
_STORED_KIND = {"named": "named", "unknown": "stranger"}
_KIND = {stored: kind for kind, stored in _STORED_KIND.items()}
SCHEMA = """
CREATE TABLE person (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    folded TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL CHECK (kind IN ('named', 'stranger')),
    created TEXT NOT NULL,
    checksum INTEGER
);
CREATE TABLE sound (
    id INTEGER PRIMARY KEY,
    person INTEGER NOT NULL REFERENCES person ON DELETE CASCADE,
    source TEXT NOT NULL,
    hash TEXT NOT NULL,
    speech_s REAL NOT NULL,
    added TEXT NOT NULL,
    kept BLOB,
    checksum INTEGER,
    kept_checksum INTEGER,
    UNIQUE (person, hash)
);
CREATE TABLE exemplar (
    id INTEGER PRIMARY KEY,
    sound INTEGER NOT NULL REFERENCES sound ON DELETE CASCADE,
    fingerprint TEXT NOT NULL,
    embedder TEXT NOT NULL,
    vector BLOB NOT NULL,
    speech_s REAL NOT NULL,
    checksum INTEGER
);
CREATE INDEX exemplar_sound ON exemplar (sound);
CREATE TABLE numbering (strangers INTEGER NOT NULL);
INSERT INTO numbering VALUES (0);
"""


@dataclass(frozen=True, eq=False)
class Enrollment:
    """What one file or recording adds to a speaker.

    vectors (E, D): its exemplars, unit; seconds (E,): the speech each was made of. hash: equal for
    the same samples. kept: the speech as FLAC, or None.
    """

    source: str
    hash: str
    speech_s: float
    vectors: NDArray[np.float32]
    seconds: NDArray[np.float64]
    kept: bytes | None = None


@dataclass(frozen=True, eq=False)
class EnrolledSpeaker:
    """One speaker: exemplars (E, D) and the seconds (E,) of speech each was made of.

    kind: "named" by the user, or "unknown" and numbered by the toolkit. speech_s: of all
    `enrollments`, of which `kept` have their sound stored. created, added: times in UTC of the
    first and last one. hashes: of all.
    """

    name: str
    kind: str
    exemplars: NDArray[np.float32]
    seconds: NDArray[np.float64]
    speech_s: float = 0.0
    enrollments: int = 0
    kept: int = 0
    created: str = ""
    added: str = ""
    fingerprint: str = ""
    embedder: str = ""
    hashes: frozenset[str] = frozenset()


@dataclass(frozen=True)
class KeptSound:
    """One stored sound (FLAC) and whose it is."""

    id: int
    name: str
    source: str
    content: bytes


@dataclass(frozen=True)
class Exchanged:
    """What became of speakers with vectors of another embedder, by name.

    done: they have new vectors. lost: how many of their enrollments went, as no sound of them was
    kept (a part of those in `done`). left: they keep the vectors they had, as no sound was kept.
    """

    done: list[str]
    lost: dict[str, int]
    left: list[str]


def find_speaker(sql: sqlite3.Connection, name: str) -> tuple[int, str, str] | None:
    """(id, name, kind as stored) of the speaker called so."""
    query = "SELECT id, name, kind FROM person WHERE folded = ?"
    found = checked(sql.execute(query, (_text(fold_name(name)),)), int, str, str)
    return found[0] if found else None


def known_speaker(sql: sqlite3.Connection, name: str) -> tuple[int, str, str]:
    """As `find_speaker`; ConfigError with the nearest names if no speaker is called so."""
    found = find_speaker(sql, name)
    if found is not None:
        return found
    names = [known for (known,) in checked(sql.execute("SELECT name FROM person"), str)]
    near = " or ".join(shown(known) for known in nearest_names(name, names))
    step = f"did you mean {near}?" if near else "`diarize gallery` lists who is there"
    raise ConfigError(f"no speaker in the gallery is called {shown(name)}: {step}")


def next_unknown(sql: sqlite3.Connection) -> int:
    """The number of the next unknown speaker; none is given twice."""
    sql.execute("UPDATE numbering SET strangers = strangers + 1")
    ((number,),) = checked(sql.execute("SELECT strangers FROM numbering"), int, count=1)
    return int(number)


def name_speaker(sql: sqlite3.Connection, speaker: int, name: str) -> str:
    """Give a speaker the stored name `name`; an unknown speaker becomes named."""
    sql.execute(
        "UPDATE person SET name = ?, folded = ?, kind = 'named' WHERE id = ?",
        (name, fold_name(name), speaker),
    )
    return name


def make_speaker(sql: sqlite3.Connection, name: str, kind: str) -> int:
    """A new speaker without enrollments; the id."""
    done = sql.execute(
        "INSERT INTO person (name, folded, kind, created) VALUES (?, ?, ?, ?)",
        (name, fold_name(name), _STORED_KIND[kind], _now()),
    )
    assert done.lastrowid is not None
    return done.lastrowid


def read_speaker(sql: sqlite3.Connection, speaker: int) -> EnrolledSpeaker:
    """Everything about a speaker; DamagedError for rows that cannot be one's."""
    ((name, kind, created, whole),) = checked(
        sql.execute(
            f"SELECT name, kind, created, {intact(sql, 'person')} FROM person WHERE id = ?",
            (speaker,),
        ),
        *(str, str, str, int),
        count=1,
    )
    enrollments = checked(
        sql.execute(
            f"SELECT hash, speech_s, added, kept IS NOT NULL, {intact(sql, 'sound')} FROM sound"
            " WHERE person = ? ORDER BY id",
            (speaker,),
        ),
        *(str, float, str, int, int),
    )
    rows = checked(
        sql.execute(
            "SELECT vector, exemplar.speech_s, fingerprint, embedder,"
            f" {intact(sql, 'exemplar')} FROM exemplar"
            " JOIN sound ON sound.id = sound WHERE person = ? ORDER BY exemplar.id",
            (speaker,),
        ),
        *(bytes, float, str, str, int),
    )
    vectors = read_vectors([blob for blob, *_ in rows], name)
    check_intact([(whole,), *enrollments, *rows], name)
    return EnrolledSpeaker(
        name=name,
        kind=_KIND.get(kind, kind),
        exemplars=vectors,
        seconds=np.array([row[1] for row in rows], np.float64),
        speech_s=float(sum(speech_s for _, speech_s, *_ in enrollments)),
        enrollments=len(enrollments),
        kept=sum(kept for *_, kept, _ in enrollments),
        created=created,
        added=max((added for _, _, added, *_ in enrollments), default=created),
        fingerprint=rows[0][2] if rows else "",
        embedder=rows[0][3] if rows else "",
        hashes=frozenset(digest for digest, *_ in enrollments),
    )


def add_enrollments(
    sql: sqlite3.Connection,
    speaker: int,
    enrollments: Iterable[Enrollment],
    fingerprint: str,
    embedder: str,
) -> int:
    """Those the speaker has not; how many. One that is there gets its sound if none was kept."""
    added = 0
    for enrollment in enrollments:
        done = sql.execute(
            "INSERT OR IGNORE INTO sound (person, source, hash, speech_s, added, kept)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (
                speaker,
                _text(enrollment.source),
                enrollment.hash,
                enrollment.speech_s,
                _now(),
                enrollment.kept,
            ),
        )
        if done.rowcount == 0:
            sql.execute(
                "UPDATE sound SET kept = coalesce(kept, ?) WHERE person = ? AND hash = ?",
                (enrollment.kept, speaker, enrollment.hash),
            )
            continue
        added += 1
        assert done.lastrowid is not None
        insert_exemplars(sql, done.lastrowid, enrollment, fingerprint, embedder)
        thin_speaker(sql, speaker)
    return added


def insert_exemplars(
    sql: sqlite3.Connection, number: int, enrollment: Enrollment, fingerprint: str, embedder: str
) -> None:
    """The vectors of the enrollment with that number; CorpusError for what nobody could read."""
    if not (are_unit(enrollment.vectors) and np.isfinite(enrollment.seconds).all()):
        raise CorpusError(
            f"the vectors made of {enrollment.source!r} are no unit vectors: use another embedder, "
            "or other sound"
        )
    sql.executemany(
        "INSERT INTO exemplar (sound, fingerprint, embedder, vector, speech_s)"
        " VALUES (?, ?, ?, ?, ?)",
        [
            (number, fingerprint, embedder, vector.astype(VECTOR).tobytes(), float(seconds))
            for vector, seconds in zip(enrollment.vectors, enrollment.seconds, strict=True)
        ],
    )


def thin_speaker(sql: sqlite3.Connection, speaker: int) -> None:
    """Leave the speaker at most 20 exemplars."""
    rows = checked(
        sql.execute(
            "SELECT exemplar.id, vector FROM exemplar JOIN sound ON sound.id = sound"
            " WHERE person = ? ORDER BY exemplar.id",
            (speaker,),
        ),
        *(int, bytes),
    )
    if len(rows) > MOST_EXEMPLARS:
        ((name,),) = checked(
            sql.execute("SELECT name FROM person WHERE id = ?", (speaker,)), str, count=1
        )
        vectors = read_vectors([blob for _, blob in rows], name)
        kept = set(thin_out(vectors, MOST_EXEMPLARS).tolist())
        gone = [(row[0],) for at, row in enumerate(rows) if at not in kept]
        sql.executemany("DELETE FROM exemplar WHERE id = ?", gone)


def merge_speakers(sql: sqlite3.Connection, speaker: int, other: int) -> None:
    """Give all that `speaker` has to `other`. Sounds kept with `speaker` of enrollments that both
    have are kept with `other`, too."""
    sql.execute(
        "UPDATE sound SET kept = coalesce(kept, (SELECT own.kept FROM sound AS own"
        " WHERE own.person = ? AND own.hash = sound.hash)) WHERE person = ?",
        (speaker, other),
    )
    sql.execute("UPDATE OR IGNORE sound SET person = ? WHERE person = ?", (other, speaker))
    sql.execute("DELETE FROM person WHERE id = ?", (speaker,))  # and what both had
    thin_speaker(sql, other)


def read_kept(sql: sqlite3.Connection, number: int) -> KeptSound | None:
    """The sound kept of the enrollment with that number; None if there is none."""
    whole = "1" if intact(sql, "sound") == "1" else "kept_checksum IS row_sum(sound.id, kept)"
    found = sql.execute(
        f"SELECT sound.id, name, source, kept, {whole} FROM sound JOIN person ON person.id = person"
        " WHERE sound.id = ? AND kept IS NOT NULL",
        (number,),
    )
    for *kept, whole in checked(found, int, str, str, bytes, int):
        check_intact([(whole,)], kept[1])
        return KeptSound(*kept)
    return None


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _text(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()  # SQLite takes no lone surrogates
