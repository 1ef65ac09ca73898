"""Vectors of two embedders in one gallery: who has them, and what is to be done.

Every exemplar carries the fingerprint of its embedder, and only vectors of one embedder are ever
compared.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from diarize.gallery.integrity import checked
from diarize.gallery.names import shown
from diarize.gallery.schema import Enrollment, Exchanged, insert_exemplars, thin_speaker
from encoder.errors import StoreError

__all__ = [
    "check_fingerprint",
    "check_same",
    "exchange",
    "kept_of_another",
    "speakers_of_another",
]


def check_fingerprint(sql: sqlite3.Connection, path: Path, fingerprint: str, embedder: str) -> None:
    """StoreError if a vector is of another embedder than this one, called `embedder`; the sentence
    names the gallery's `path` and all that can be done."""
    others = speakers_of_another(sql, fingerprint)
    if not others:
        return
    found = sql.execute(
        "SELECT embedder, fingerprint FROM exemplar WHERE fingerprint != ? LIMIT 1",
        (fingerprint,),
    )
    ((known, old),) = checked(found, str, str, count=1)
    kept = {
        name
        for (name,) in sql.execute(
            "SELECT name FROM person WHERE id IN (SELECT person FROM sound WHERE kept IS NOT NULL)"
        )
    }
    steps, setting = [], ""  # the step of the setting is the last
    lost = [name for name in others if name not in kept]
    if lost:
        who = ", ".join(map(shown, lost[:3])) + (", ..." if len(lost) > 3 else "")
        steps.append(f"forget and enroll again {who}, of whom no sound was kept")
    if known != embedder:
        steps.append(f"use the embedder {known!r}")
        setting = "embedder"
    if len(lost) < len(others):
        steps.append("embed the kept sounds again")
        setting = "reembed"
    raise StoreError(
        f"the gallery {str(path)!r} holds vectors of the embedder {known!r} ({old}) and "
        f"{embedder or 'the one'!r} ({fingerprint}) is in use: {', or '.join(steps)}",
        setting=setting,
    )


def check_same(sql: sqlite3.Connection, path: Path, *speakers: int) -> None:
    """StoreError if these speakers' vectors are of two embedders."""
    found = sql.execute(
        "SELECT DISTINCT fingerprint FROM exemplar JOIN sound ON sound.id = sound"
        f" WHERE person IN ({', '.join('?' * len(speakers))})",
        speakers,
    ).fetchall()
    if len(found) > 1:
        raise StoreError(
            f"their vectors in the gallery {str(path)!r} are of two embedders "
            f"({', '.join(sorted(str(f) for (f,) in found))}): forget one of them"
        )


def kept_of_another(sql: sqlite3.Connection, fingerprint: str) -> list[tuple[int, int]]:
    """(enrollment, speaker) of sounds kept of speakers who have vectors of another embedder."""
    query = (
        "SELECT id, person FROM sound WHERE kept IS NOT NULL AND person IN (SELECT person FROM"
        " sound JOIN exemplar ON sound.id = sound WHERE fingerprint != ?) ORDER BY person, id"
    )
    return checked(sql.execute(query, (fingerprint,)), int, int)


def exchange(
    sql: sqlite3.Connection, made: dict[int, Enrollment], fingerprint: str, embedder: str
) -> Exchanged:
    """Put `made`, one enrollment for each of `kept_of_another`, in place of another embedder's."""
    kept = kept_of_another(sql, fingerprint)
    affected = {speaker for _, speaker in kept}
    gone = {speaker: _drop_vectors_of_another(sql, speaker, fingerprint) for speaker in affected}
    for number, speaker in kept:
        insert_exemplars(sql, number, made[number], fingerprint, embedder)
        thin_speaker(sql, speaker)
    found = sql.execute("SELECT id, name FROM person ORDER BY folded")
    named = checked(found, int, str)
    return Exchanged(
        done=[name for speaker, name in named if speaker in affected],
        lost={name: gone[speaker] for speaker, name in named if gone.get(speaker)},
        left=speakers_of_another(sql, fingerprint),
    )


def _drop_vectors_of_another(sql: sqlite3.Connection, speaker: int, fingerprint: str) -> int:
    """Delete the speaker's vectors of another embedder, and enrollments without a kept sound that
    have no others; how many enrollments went."""
    own = "sound IN (SELECT id FROM sound WHERE person = ?)"
    # Kept sounds get all their vectors anew, or they would have some twice.
    sql.execute(
        f"DELETE FROM exemplar WHERE {own} AND (fingerprint != ? OR sound IN"
        " (SELECT id FROM sound WHERE kept IS NOT NULL))",
        (speaker, fingerprint),
    )
    return sql.execute(
        "DELETE FROM sound WHERE person = ? AND kept IS NULL"
        " AND id NOT IN (SELECT sound FROM exemplar)",
        (speaker,),
    ).rowcount


def speakers_of_another(sql: sqlite3.Connection, fingerprint: str) -> list[str]:
    """Names of the speakers who have vectors of another embedder."""
    rows = sql.execute(
        "SELECT name FROM person WHERE id IN (SELECT person FROM sound JOIN exemplar"
        " ON sound.id = sound WHERE fingerprint != ?) ORDER BY folded",
        (fingerprint,),
    )
    return [name for (name,) in checked(rows, str)]
