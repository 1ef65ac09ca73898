"""Vectors of clips that were embedded before, so that a second run embeds only what is new.

A clip is known by the SHA-256 of its bytes, whatever it is called; its vector also by the embedder
and by everything else that makes it. A file of unchanged size and time is not read again. It is
only a cache: where the file is damaged it is set aside, where it cannot be written the work goes
on without, and `on_warning` is called.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from diarize.core.sqlite_file import (
    DamagedError,
    Database,
    open_database,
    row_sum,
    version_of,
)
from encoder.common.private_files import restrict
from encoder.errors import StoreError
from encoder.hub.paths import user_cache

__all__ = ["CachedClip", "ClipCache", "ClipKey", "default_cache"]

APPLICATION_ID = 0x64736363
VERSION = 2
SCHEMA = """
CREATE TABLE content (          -- which bytes a file held when it had this size and time
    path BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, digest BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE clip (             -- vector: float32, little endian; NULL: reason says why
    digest BLOB, fingerprint TEXT, recipe TEXT, vector BLOB, reason TEXT NOT NULL,
    speech_s REAL NOT NULL, duration_s REAL NOT NULL, warnings TEXT NOT NULL,
    checksum INTEGER,           -- of all else; NULL in rows of version 1
    PRIMARY KEY (digest, fingerprint, recipe)
);
"""
COLUMNS = "digest, fingerprint, recipe, vector, reason, speech_s, duration_s, warnings"
_T = TypeVar("_T")

COMMIT_EVERY_S = 2.0  # what a kill may lose
TRUSTED_AFTER_NS = 2_000_000_000  # a file younger than a clock's tick may change under its time


@dataclass(frozen=True, eq=False)
class CachedClip:
    """What a clip's bytes gave: vector (D,) unit float32, or None and the reason."""

    vector: NDArray[np.float32] | None
    speech_s: float
    duration_s: float
    reason: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class ClipKey:
    """A file as it was when it was looked up."""

    path: Path
    digest: bytes
    size: int
    mtime_ns: int


def default_cache() -> Path:
    """Where the cache is by default. StoreError for a user without a home."""
    try:
        return user_cache() / "clips.sqlite"
    except RuntimeError as error:
        raise StoreError(
            "there is no home folder for the cache of clips: name a file for it"
        ) from error


@dataclass(eq=False)
class ClipCache:
    """For one embedder (`fingerprint`) and one way to use it (`recipe`); from one thread."""

    path: Path
    fingerprint: str
    recipe: str
    on_warning: Callable[[str], None]
    _database: Database | None = None
    _files: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _waiting: dict[ClipKey, CachedClip | None] = field(default_factory=dict)
    _committed_s: float = field(default_factory=time.monotonic)

    @classmethod
    @contextmanager
    def open(
        cls, path: Path, fingerprint: str, recipe: str, on_warning: Callable[[str], None]
    ) -> Iterator[ClipCache]:
        """A cache in the file `path`, made on first use.

        StoreError only for a file that is no cache of this toolkit, which is left alone.
        """
        cache = cls(path, fingerprint, recipe, on_warning)
        with cache._files:
            cache._start()
            try:
                yield cache
            finally:
                cache.commit()

    def look_up(self, path: Path) -> tuple[ClipKey, CachedClip | None]:
        """The file's key and what it gave before, if it is known. OSError for unreadable files."""
        status = path.stat()
        absolute = path.absolute()
        size, time_ns = _stamp(status)
        digest = self._ask(lambda sql: _known_content(sql, absolute, size, time_ns))
        if digest is None:
            digest = _digest(path)
            if time.time_ns() - time_ns > TRUSTED_AFTER_NS:
                self._waiting[ClipKey(absolute, digest, size, time_ns)] = None
        key = ClipKey(absolute, digest, size, time_ns)
        own = (digest, self.fingerprint, self.recipe)
        clip = self._ask(lambda sql: _known_clip(sql, own))
        self._commit_now_and_then()
        return key, clip

    def keep(self, key: ClipKey, clip: CachedClip) -> None:
        """Remember it, unless the file has changed since it was looked up."""
        with contextlib.suppress(OSError):
            status = key.path.stat()
            if _stamp(status) == (key.size, key.mtime_ns):
                self._waiting[key] = clip
        self._commit_now_and_then()

    def commit(self) -> None:
        """Write what waits."""
        waiting, self._waiting = self._waiting, {}
        self._committed_s = time.monotonic()
        if waiting:
            self._ask(lambda sql: self._write(sql, waiting), writing=True)

    def _commit_now_and_then(self) -> None:
        if time.monotonic() - self._committed_s > COMMIT_EVERY_S:
            self.commit()

    def _write(self, sql: sqlite3.Connection, waiting: dict[ClipKey, CachedClip | None]) -> None:
        now_ns = time.time_ns()
        for key, clip in waiting.items():
            if now_ns - key.mtime_ns > TRUSTED_AFTER_NS:
                sql.execute(
                    "INSERT OR REPLACE INTO content VALUES (?, ?, ?, ?)",
                    (os.fsencode(key.path), key.size, key.mtime_ns, key.digest),
                )
            if clip is not None:
                vector = None if clip.vector is None else clip.vector.astype("<f4").tobytes()
                row = (
                    *(key.digest, self.fingerprint, self.recipe, vector, clip.reason),
                    *(clip.speech_s, clip.duration_s, json.dumps(clip.warnings)),
                )
                sql.execute(
                    f"INSERT OR REPLACE INTO clip ({COLUMNS}, checksum)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (*row, row_sum(*row)),
                )

    def _connect(self) -> None:
        self._database = self._files.enter_context(
            open_database(
                self.path,
                application_id=APPLICATION_ID,
                version=VERSION,
                schema=SCHEMA,
                what="cache of clips",
                upgrades={1: _to_version_2},
                on_warning=self.on_warning,
            )
        )

    def _start(self) -> None:
        try:
            self._connect()
        except DamagedError as error:
            if not _is_ours(self.path):
                raise
            self._start_anew(error)
        except StoreError as error:
            self._give_up(error)

    def _start_anew(self, error: StoreError) -> None:
        aside = self.path.with_name(f"{self.path.name}.damaged")
        self._database = None
        self._files.close()
        try:
            self.path.replace(aside)
            restrict(aside)
            # A journal of the old file would be played into the new one.
            self.path.with_name(f"{self.path.name}-journal").unlink(missing_ok=True)
            self._connect()
        except (OSError, StoreError):
            self._give_up(error)
        else:
            self.on_warning(
                f"the cache of clips {str(self.path)!r} was damaged: a new one is begun, "
                f"the old one is {aside.name!r}"
            )

    def _give_up(self, error: StoreError) -> None:
        self._database = None
        self.on_warning(f"going on without a cache, for {error}")

    def _ask(self, work: Callable[[sqlite3.Connection], _T], *, writing: bool = False) -> _T | None:
        """What `work` gives; None and a warning where the file fails, None without a file."""
        if self._database is None:
            return None
        try:
            with self._database.writing() if writing else self._database.reading() as sql:
                return work(sql)
        except DamagedError as error:
            self._start_anew(error)
        except StoreError as error:
            self._give_up(error)
        return None


def _stamp(status: os.stat_result) -> tuple[int, int]:
    """Size and time of a file, as the database holds them: a clock may be centuries off, beyond
    64 bits of nanoseconds, and then counts from their other end."""
    return status.st_size, (status.st_mtime_ns + 2**63) % 2**64 - 2**63


def _known_content(sql: sqlite3.Connection, path: Path, size: int, time_ns: int) -> bytes | None:
    query = "SELECT digest FROM content WHERE path = ? AND size = ? AND mtime_ns = ?"
    row = sql.execute(query, (os.fsencode(path), size, time_ns)).fetchone()
    return row[0] if row else None


def _to_version_2(sql: sqlite3.Connection) -> None:
    sql.execute("ALTER TABLE clip ADD COLUMN checksum INTEGER")


def _known_clip(sql: sqlite3.Connection, own: tuple[bytes, str, str]) -> CachedClip | None:
    is_whole = f"coalesce(checksum = row_sum({COLUMNS}), 1)" if version_of(sql) > 1 else "1"
    query = (
        f"SELECT {is_whole}, vector, reason, speech_s, duration_s, warnings FROM clip"
        " WHERE digest = ? AND fingerprint = ? AND recipe = ?"
    )
    row = sql.execute(query, own).fetchone()
    if row is None or not row[0]:  # changed by the disk
        return None
    _, stored, reason, speech_s, duration_s, warnings = row
    vector = None
    try:  # a disk may have changed anything
        if stored is not None:
            vector = np.frombuffer(stored, "<f4").astype(np.float32)
            if not abs(float(np.linalg.norm(vector)) - 1) < 1e-3:  # NaN is not below, either
                return None
        said = tuple(str(sentence) for sentence in json.loads(warnings))
        return CachedClip(vector, float(speech_s), float(duration_s), str(reason), said)
    except (TypeError, ValueError, RecursionError):
        return None


def _digest(path: Path) -> bytes:
    sha = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            sha.update(block)
    return sha.digest()


def _is_ours(path: Path) -> bool:
    """Whether a damaged file was a cache: by its mark, or as it lies where only caches lie."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        if file.read(72)[68:] == APPLICATION_ID.to_bytes(4, "big"):
            return True
    with contextlib.suppress(StoreError, OSError):
        return path.resolve() == default_cache().resolve()
    return False
