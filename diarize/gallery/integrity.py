"""Whether a gallery holds what was written: a wrong vector would name everybody wrongly.

Every row has a checksum of its values, and every vector must be one. Galleries of version 1 had no
checksums; their rows get them with the first change.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diarize.core.sqlite_file import DamagedError, version_of
from diarize.gallery.names import shown

__all__ = [
    "COLUMNS",
    "UPGRADES",
    "VECTOR",
    "are_unit",
    "check_intact",
    "check_sizes",
    "checked",
    "intact",
    "prepare",
    "read_vectors",
    "seal_changes",
]

VECTOR = np.dtype("<f4")
FROM_UNIT = 1e-3  # how far the norm of a stored vector may be from 1
# What the checksum of a row is of.
COLUMNS = {
    "person": ("id", "name", "folded", "kind", "created"),
    "sound": ("id", "person", "source", "hash", "speech_s", "added"),
    "exemplar": ("id", "sound", "fingerprint", "embedder", "vector", "speech_s"),
}
_RESTORE = "restore a copy of it, or forget {name} and enroll them again"


def prepare(connection: sqlite3.Connection) -> None:
    """What SQL of this room uses, and no trace on the disk of who is forgotten."""
    connection.create_function("is_vector", 1, _is_vector, deterministic=True)
    connection.execute("PRAGMA secure_delete = ON")


def seal_changes(sql: sqlite3.Connection) -> None:
    """From now on every row that this connection changes gets its checksum.

    One that was wrong before stays wrong; but for a speaker's name, which is given anew.
    """
    for table, columns in COLUMNS.items():
        checksum = f"UPDATE {table} SET checksum = {_sum_of(table)} WHERE id = NEW.id"
        sealed = "" if table == "person" else f"WHEN OLD.checksum IS {_sum_of(table, 'OLD.')}"
        sql.execute(
            f"CREATE TEMP TRIGGER IF NOT EXISTS new_{table} AFTER INSERT ON {table}"
            f" BEGIN {checksum}; END"
        )
        sql.execute(
            f"CREATE TEMP TRIGGER IF NOT EXISTS changed_{table} AFTER UPDATE OF"
            f" {', '.join(columns)} ON {table} {sealed} BEGIN {checksum}; END"
        )
    kept = "UPDATE sound SET kept_checksum = row_sum(id, kept) WHERE id = NEW.id"
    for event in ("INSERT", "UPDATE OF kept"):
        name = f"kept_{event.split()[0].lower()}"
        sql.execute(
            f"CREATE TEMP TRIGGER IF NOT EXISTS {name} AFTER {event} ON sound BEGIN {kept}; END"
        )


def _to_version_2(sql: sqlite3.Connection) -> None:
    for table in COLUMNS:
        sql.execute(f"ALTER TABLE {table} ADD COLUMN checksum INTEGER")
    sql.execute("ALTER TABLE sound ADD COLUMN kept_checksum INTEGER")
    for table in ("person", "sound"):
        sql.execute(f"UPDATE {table} SET checksum = {_sum_of(table)}")
    sql.execute("UPDATE sound SET kept_checksum = row_sum(id, kept)")
    # What is no vector stays without a checksum: damage is not made good by being written again.
    sql.execute(f"UPDATE exemplar SET checksum = {_sum_of('exemplar')} WHERE is_vector(vector)")


UPGRADES = {1: _to_version_2}


def intact(sql: sqlite3.Connection, table: str) -> str:
    """SQL: 1 for rows that are as they were written, as far as is known; to be read as an int."""
    return "1" if version_of(sql) < 2 else f"{table}.checksum IS {_sum_of(table, f'{table}.')}"


def check_intact(rows: Iterable[tuple[Any, ...]], name: str) -> None:
    """DamagedError if the last value of a row is no 1; `name`: whose rows they are."""
    if not all(row[-1] == 1 for row in rows):
        raise DamagedError(
            f"what the gallery holds of {shown(name)} was changed by a fault of the disk or by "
            f"another program: {_RESTORE.format(name=shown(name))}"
        )


def read_vectors(blobs: Sequence[bytes], name: str) -> NDArray[np.float32]:
    """(E, D) unit vectors of the speaker `name`; DamagedError if they are none."""
    sizes = {len(blob) for blob in blobs}
    if len(sizes) > 1 or not all(map(_is_vector, blobs)):
        raise DamagedError(
            f"vectors of {shown(name)} in the gallery are damaged: "
            f"{_RESTORE.format(name=shown(name))}"
        )
    width = max(sizes, default=0) // VECTOR.itemsize
    return np.frombuffer(b"".join(blobs), VECTOR).reshape(len(blobs), width).astype(np.float32)


def check_sizes(vectors_of: dict[str, NDArray[np.float32]], size: int | None = None) -> None:
    """DamagedError for a speaker whose vectors, of one embedder all, have not `size` values, or
    not as many as most."""
    sizes = {name: rows.shape[1] for name, rows in vectors_of.items() if len(rows)}
    usual = (
        size if size is not None else next(iter(Counter(sizes.values()).most_common(1)), (0,))[0]
    )
    for name, found in sizes.items():
        if found != usual:
            raise DamagedError(
                f"vectors of {shown(name)} in the gallery have {found} values instead of {usual}: "
                f"{_RESTORE.format(name=shown(name))}"
            )


def are_unit(vectors: NDArray[Any]) -> bool:
    """Whether all of (E, D) are vectors of numbers with norm 1."""
    norms = np.linalg.norm(np.asarray(vectors, np.float64), axis=-1)
    return bool((np.abs(norms - 1) < FROM_UNIT).all())  # what is no number is not below, either


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


def _sum_of(table: str, of: str = "") -> str:
    return f"row_sum({', '.join(of + column for column in COLUMNS[table])})"


def _is_vector(blob: object) -> bool:
    if not isinstance(blob, bytes) or not blob or len(blob) % VECTOR.itemsize:
        return False
    return are_unit(np.frombuffer(blob, VECTOR))
