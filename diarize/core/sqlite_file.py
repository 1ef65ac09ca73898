"""Opening an SQLite file so that nothing is lost and everything that fails is one sentence.

A rollback journal, since write-ahead logs do not work on network disks; every change is one
`BEGIN IMMEDIATE` transaction, so two processes wait for each other instead of failing half-way,
and a kill leaves the state before. A file that may only be read can be read. Nobody but its owner
can read it, as voices are in all of them. One of an older version is read as it is, and brought up
to date by the first change.

    with open_database(path, application_id=0x..., version=1, schema=SQL, what="gallery") as data:
        with data.writing() as sql:
            sql.execute("INSERT ...")
        with data.reading() as sql:
            rows = sql.execute("SELECT ...").fetchall()
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from encoder.common.private_files import create_private, make_private_folder, restrict
from encoder.errors import StoreError
from encoder.hub.paths import OWN_FOLDER

__all__ = [
    "TIMEOUT_S",
    "DamagedError",
    "Database",
    "damaged",
    "open_database",
    "row_sum",
    "version_of",
]

Upgrades = Mapping[int, Callable[[sqlite3.Connection], None]]  # version -> what leads to the next

TIMEOUT_S = 10.0  # how long another process may hold the file
_DAMAGED = (
    *("not a database", "malformed", "corrupt", "no such table", "no such column"),
    *("decode to UTF-8", "unsupported file format", "foreign key mismatch"),
    "user-defined function",  # ours take any value that can be in a sound file
)


class DamagedError(StoreError):
    """The file is no database of ours, or was one."""


class _Undo(Exception):  # noqa: N818 - no error
    pass


class Database:
    """An open file; see `open_database`. For one thread.

    changed: whether a change that was made here is in the file.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: Path,
        what: str,
        timeout_s: float,
        upgrades: Upgrades,
    ) -> None:
        self._connection = connection
        self.path = path
        self.what = what
        self.timeout_s = timeout_s
        self.changed = False
        self._upgrades = upgrades
        self._file = _file_number(path)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """All that is done in the block, or nothing of it. StoreError where it cannot be;
        sqlite3.IntegrityError passes, for the caller knows which rule was broken."""
        with self._transaction("BEGIN IMMEDIATE", "COMMIT") as connection:
            self._check_still_there()
            while (version := version_of(connection)) in self._upgrades:
                self._upgrades[version](connection)
                connection.execute(f"PRAGMA user_version = {version + 1}")
            yield connection

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One state of the file, whatever others write meanwhile. StoreError."""
        with self._transaction("BEGIN", "ROLLBACK") as connection:
            try:
                yield connection
            except sqlite3.IntegrityError as error:  # reading breaks no rule
                raise damaged(self.path, self.what, error) from error

    def check_writable(self) -> None:
        """The StoreError that a change would meet now. The file stays as it is."""
        with (
            contextlib.suppress(_Undo),
            self._transaction("BEGIN IMMEDIATE", "COMMIT") as connection,
        ):
            self._check_still_there()
            # It asks for a journal, too.
            connection.execute(f"PRAGMA user_version = {version_of(connection)}")
            raise _Undo

    def _check_still_there(self) -> None:
        if _file_number(self.path) != self._file:  # it would be written to a file that is gone
            raise StoreError(
                f"the {self.what} {str(self.path)!r} was moved or removed by another program "
                "meanwhile: try again"
            )

    @contextmanager
    def _transaction(self, begin: str, end: str) -> Iterator[sqlite3.Connection]:
        with _in_words(self.path, self.what, self.timeout_s):
            self._connection.execute(begin)
            try:
                yield self._connection
                self._connection.execute(end)
                self.changed |= end == "COMMIT"
            except BaseException as error:
                # A signal that comes during the commit is raised when that is done.
                committed = end == "COMMIT" and not isinstance(error, sqlite3.Error)
                self.changed |= committed and not self._connection.in_transaction
                with contextlib.suppress(sqlite3.Error):  # SQLite may have rolled back itself
                    self._connection.execute("ROLLBACK")
                raise


@contextmanager
def open_database(
    path: str | Path,
    *,
    application_id: int,
    version: int,
    schema: str,
    what: str,
    create: bool = True,
    missing: str = "check the path",
    timeout_s: float = TIMEOUT_S,
    synchronous: str = "FULL",
    upgrades: Upgrades | None = None,
    prepare: Callable[[sqlite3.Connection], None] | None = None,
    on_warning: Callable[[str], None] | None = None,
) -> Iterator[Database]:
    """The database in the file `path`, made with `schema` (SQL) and its folder on first use.

    application_id, version: written into the file, and refused if they are not what it holds.
    what: how sentences call the file, as in "gallery". Without `create` there must be one, and
    `missing` is the next step where there is none. upgrades: how a file of an older version becomes
    one of the next; it can be read before. prepare: is given the connection before it is used.
    on_warning: is given a sentence where other users could read the file until now. StoreError, or
    its kind DamagedError, says what is wrong with the file.
    """
    path = Path(path)
    upgrades = upgrades or {}
    try:
        is_new = not path.exists()
        if str(path) == ":memory:":  # SQLite's own word for no file at all
            raise StoreError(f"{str(path)!r} would keep nothing: give a file for the {what}")
        if path.is_dir():
            raise StoreError(f"the {what} {str(path)!r} is a folder: add a file name")
        if not is_new and not path.is_file():
            raise StoreError(f"the {what} {str(path)!r} is a device or pipe: give a file")
        if not create and (is_new or path.stat().st_size == 0):
            raise StoreError(f"there is no {what} {str(path)!r}: {missing}")
        if is_new:
            make_private_folder(path.parent)
            create_private(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise StoreError(
            f"cannot open the {what} {str(path)!r} ({reason}): choose another place"
        ) from error
    with _in_words(path, what, timeout_s):
        connection = sqlite3.connect(path, timeout=timeout_s, isolation_level=None)
    try:
        with _in_words(path, what, timeout_s):
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA trusted_schema = OFF")  # it came with the file
            connection.execute(f"PRAGMA synchronous = {synchronous}")
            connection.create_function("row_sum", -1, row_sum, deterministic=True)
            if prepare:
                prepare(connection)
            found = _identity(connection)
            if found == (0, 0, 0):
                _make(connection, application_id, version, schema)
                found = _identity(connection)
        if found[0] != application_id:
            raise DamagedError(
                f"{str(path)!r} is a database of another program and no {what}: choose another file"
            )
        if found[1] != version and found[1] not in upgrades:
            age, step = (
                ("a newer", "update the toolkit") if found[1] > version else ("an older", "move it")
            )
            raise StoreError(
                f"the {what} {str(path)!r} was written by {age} version of this toolkit "
                f"(format {found[1]}, here {version}): {step}, or choose another file"
            )
        with _in_words(path, what, timeout_s):
            _check_tables(connection, path, what, schema)
        if _keep_from_others(path) and not is_new and on_warning:
            on_warning(
                f"the {what} {str(path)!r} could be read by other users of this machine: "
                "from now on only you can"
            )
        yield Database(connection, path, what, timeout_s, upgrades)
    finally:
        connection.close()


def version_of(connection: sqlite3.Connection) -> int:
    """That of the file, as it is now."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def row_sum(*values: object) -> int:
    """A checksum of values of a row, as SQL has it under this name.

    CRC-32, for a disk changes bits and does not forge.
    """
    total = 0
    for value in values:
        if isinstance(value, (int, float)):  # SQLite may store 2.0 as 2
            content = struct.pack("<d", value)
        else:
            content = value if isinstance(value, bytes) else str(value).encode()
        total = zlib.crc32(content, zlib.crc32(f"{len(content)} ".encode(), total))
    return total


def damaged(path: Path, what: str, reason: object) -> DamagedError:
    """What is said of a file that cannot be what it should be."""
    return DamagedError(
        f"{str(path)!r} is damaged or no {what} ({reason}): "
        "restore a copy of it, or choose another file"
    )


def _keep_from_others(path: Path) -> bool:
    """Whether others could have read the file, or what SQLite has beside it, until now."""
    beside = [path.with_name(f"{path.name}-{kind}") for kind in ("journal", "wal", "shm")]
    loose = [restrict(place) for place in (path, *beside)]
    if path.parent.name == OWN_FOLDER:
        restrict(path.parent)
    return any(loose)


def _check_tables(connection: sqlite3.Connection, path: Path, what: str, schema: str) -> None:
    """DamagedError where a table is none: a view may take for ever, a trigger change anything."""
    rows = connection.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
    if odd := [f"a {kind} {name!r}" for kind, name, _ in rows if kind not in ("table", "index")]:
        raise damaged(path, what, f"it holds {odd[0]}")
    there = {name for kind, name, sql in rows if str(sql).startswith("CREATE TABLE")}
    if missing := set(re.findall(r"CREATE TABLE (\w+)", schema)) - there:
        raise damaged(path, what, f"no such table: {min(missing)}")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _file_number(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _identity(connection: sqlite3.Connection) -> tuple[int, int, int]:
    """(application id, version, number of tables); all 0 in a new file."""
    connection.execute("BEGIN")  # all three from one state
    try:
        queries = (
            "PRAGMA application_id",
            "PRAGMA user_version",
            "SELECT count(*) FROM sqlite_master",
        )
        first, second, third = (int(connection.execute(q).fetchone()[0]) for q in queries)
    finally:
        connection.execute("ROLLBACK")
    return first, second, third


def _make(connection: sqlite3.Connection, application_id: int, version: int, schema: str) -> None:
    """In one transaction; nothing where another process was first."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
            for statement in _statements(schema):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {application_id}")
            connection.execute(f"PRAGMA user_version = {version}")
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _statements(schema: str) -> Iterator[str]:
    # `executescript` would commit the transaction that it is called in.
    held = ""
    for part in schema.split(";"):
        held += part + ";"
        if sqlite3.complete_statement(held):
            if held.strip(" \n;"):
                yield held
            held = ""


@contextmanager
def _in_words(path: Path, what: str, timeout_s: float) -> Iterator[None]:
    """Errors of SQLite as StoreError, but for broken rules and mistakes in our use of it."""
    try:
        yield
    except (sqlite3.ProgrammingError, sqlite3.InterfaceError, sqlite3.IntegrityError):
        raise
    except UnicodeDecodeError as error:  # of a sentence of SQLite's about a garbled name
        raise damaged(path, what, error) from error
    except sqlite3.Error as error:
        reason = str(error)
        if "locked" in reason or "busy" in reason:
            raise StoreError(
                f"the {what} {str(path)!r} has been in use by another program for {timeout_s:g} s: "
                "try again when that has finished"
            ) from error
        if any(word in reason for word in _DAMAGED):
            raise damaged(path, what, reason) from error
        steps = {"readonly": "choose a file you may write to", "full": "make room on the disk"}
        step = next((s for word, s in steps.items() if word in reason), "choose another place")
        raise StoreError(f"cannot use the {what} {str(path)!r} ({reason}): {step}") from error
