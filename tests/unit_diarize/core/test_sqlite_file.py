"""The one way to open an SQLite file: faults in one sentence, two processes, a kill."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from diarize.core.sqlite_file import DamagedError, open_database, version_of
from encoder.errors import StoreError

ROOT = Path(__file__).parents[3]
posix = pytest.mark.skipif(os.name != "posix", reason="modes and signals of POSIX")
SETTINGS = {
    "application_id": 0x64736401,
    "version": 3,
    "schema": "CREATE TABLE note (text TEXT UNIQUE, owner INTEGER REFERENCES owner(id));\n"
    "CREATE TABLE owner (id INTEGER PRIMARY KEY, text TEXT DEFAULT 'a;b');\n",
    "what": "notebook",
}
CHILD = f"""
import os, signal, sys
from diarize.core.sqlite_file import open_database
settings = {SETTINGS!r}
"""
READER = """
with open_database(sys.argv[1], **settings) as data, data.reading() as sql:
    sql.execute("SELECT count(*) FROM note").fetchone()
    print("there", flush=True)
    sys.stdin.read()
"""


def is_committing(path: Path) -> bool:
    """Whether a commit waits for readers to end: nobody may begin to read then."""
    with closing(sqlite3.connect(path, timeout=0)) as other:
        try:
            other.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError:
            return True
    return False


def notes(path: Path) -> list[str]:
    with open_database(path, **SETTINGS) as data, data.reading() as sql:
        return [row[0] for row in sql.execute("SELECT text FROM note ORDER BY rowid")]


def write(path: Path, *texts: str) -> None:
    with open_database(path, **SETTINGS) as data, data.writing() as sql:
        sql.executemany("INSERT INTO note (text) VALUES (?)", [(text,) for text in texts])


def child(code: str, *arguments: object, **options: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD + code, *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,  # type: ignore[call-overload]
    )


def test_the_file_and_its_folder_are_made_on_first_use(tmp_path):
    path = tmp_path / "new folder" / "a?b#c%20.sqlite"
    assert notes(path) == []
    write(path, "one", "two")
    assert notes(path) == ["one", "two"]
    assert [p.name for p in path.parent.iterdir()] == [path.name]  # no journal stays
    with sqlite3.connect(path) as plain:
        assert plain.execute("PRAGMA user_version").fetchone() == (3,)
        assert plain.execute("PRAGMA application_id").fetchone() == (0x64736401,)


def test_without_leave_to_create_nothing_is_made(tmp_path):
    for name, content in (("absent", None), ("empty", b"")):
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        opening = open_database(path, **SETTINGS, create=False, missing="write a note first")
        with (
            pytest.raises(StoreError, match=f"no notebook .*{name}.*: write a note first"),
            opening,
        ):
            pass
    assert [p.name for p in tmp_path.iterdir()] == ["empty"]


def test_all_of_a_block_or_nothing(tmp_path):
    path = tmp_path / "n.sqlite"
    write(path, "old")
    with open_database(path, **SETTINGS) as data:
        with pytest.raises(ZeroDivisionError), data.writing() as sql:
            sql.execute("INSERT INTO note (text) VALUES ('half')")
            1 / 0  # noqa: B018
        with pytest.raises(sqlite3.IntegrityError), data.writing() as sql:
            sql.execute("INSERT INTO note (text) VALUES ('half')")
            sql.execute("INSERT INTO note (text) VALUES ('old')")
        with pytest.raises(sqlite3.IntegrityError), data.writing() as sql:  # foreign keys are on
            sql.execute("INSERT INTO note VALUES ('half', 7)")
        with data.writing() as sql:  # it goes on after a failure
            sql.execute("INSERT INTO note (text) VALUES ('new')")
    assert notes(path) == ["old", "new"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"no database at all\n" * 100, ["is damaged or no notebook", "not a database"]),
        (b"SQLite format 3\0" + b"\xff" * 4000, ["is damaged or no notebook"]),
    ],
)
def test_what_is_no_database(tmp_path, content, words):
    path = tmp_path / "n.sqlite"
    path.write_bytes(content)
    with pytest.raises(DamagedError) as caught:
        notes(path)
    assert all(word in str(caught.value) for word in [*words, repr(str(path))])
    assert path.read_bytes() == content


def test_a_truncated_file(tmp_path):
    path = tmp_path / "n.sqlite"
    write(path, *(f"{i}" * 200 for i in range(200)))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    before = path.read_bytes()
    with pytest.raises(DamagedError, match="restore a copy of it"):
        notes(path)
    assert path.read_bytes() == before


def test_databases_of_others_and_of_other_versions(tmp_path):
    foreign = tmp_path / "foreign.sqlite"
    with sqlite3.connect(foreign) as plain:
        plain.execute("CREATE TABLE bookmark (url TEXT)")
    with pytest.raises(DamagedError, match=r"another program and no notebook: choose another"):
        notes(foreign)
    path = tmp_path / "n.sqlite"
    write(path, "kept")
    for version, words in ((4, "a newer version .*format 4, here 3.*: update"), (2, "an older")):
        with sqlite3.connect(path) as plain:
            plain.execute(f"PRAGMA user_version = {version}")
        with pytest.raises(StoreError, match=words):
            notes(path)


def test_a_broken_rule_while_reading_is_damage(tmp_path):
    path = tmp_path / "n.sqlite"
    write(path, "one")
    with (
        open_database(path, **SETTINGS) as data,
        pytest.raises(DamagedError, match="restore a copy"),
        data.reading(),
    ):
        raise sqlite3.IntegrityError("what SQLite says of garbled pages")


def test_places_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("x")
    for path, words in (
        (tmp_path, "is a folder: add a file name"),
        (tmp_path / "file" / "n.sqlite", "choose another place"),
        (tmp_path / ("x" * 300), "choose another place"),
        (Path("/proc/nothing/n.sqlite"), "choose another place"),
    ):
        with pytest.raises(StoreError, match=words) as caught:
            notes(path)
        assert str(caught.value).count("\n") == 0


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs another user to be")
def test_a_file_that_may_only_be_read(tmp_path):
    """As another user, since nothing is read-only for the superuser."""
    folder = tmp_path / "medium"
    write(folder / "n.sqlite", "one")
    (folder / "n.sqlite").chmod(0o444)
    folder.chmod(0o555)
    for above in (tmp_path, *tmp_path.parents):
        if above.stat().st_uid == os.geteuid() and not above.stat().st_mode & 0o001:
            above.chmod(above.stat().st_mode | 0o011)
    code = """
from diarize.core.sqlite_file import open_database
from encoder.errors import StoreError
os.setuid(65534)
with open_database(sys.argv[1], **settings) as data:
    with data.reading() as sql:
        print(sql.execute("SELECT text FROM note").fetchall())
    try:
        with data.writing() as sql:
            sql.execute("INSERT INTO note (text) VALUES ('no')")
    except StoreError as error:
        print(error)
"""
    done = child(code, folder / "n.sqlite")
    out, err = done.communicate(timeout=60)
    assert done.returncode == 0, err.decode()
    read, refused = out.decode().splitlines()
    assert read == "[('one',)]"
    assert "readonly" in refused and refused.endswith("choose a file you may write to")


def test_what_would_keep_nothing_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path, words in ((":memory:", "keep nothing"), (os.devnull, "device or pipe")):
        with pytest.raises(StoreError, match=words):
            notes(Path(path))
    assert notes(tmp_path / ":memory:") == []  # a name like any other there
    assert [path.name for path in tmp_path.iterdir()] == [":memory:"]


def test_a_file_of_an_older_version_is_brought_up_to_date_by_a_change(tmp_path):
    path = tmp_path / "n.sqlite"
    write(path, "old")
    newer = {**SETTINGS, "version": 5}
    newer["upgrades"] = {
        3: lambda sql: sql.execute("ALTER TABLE note ADD COLUMN mark INTEGER DEFAULT 7"),
        4: lambda sql: sql.execute("UPDATE note SET mark = mark + 1"),
    }
    with open_database(path, **newer) as data:
        with data.reading() as sql:
            assert (version_of(sql), len(sql.execute("PRAGMA table_info(note)").fetchall())) == (
                *(3, 2),
            )
        data.check_writable()
        with pytest.raises(ZeroDivisionError), data.writing() as sql:
            assert version_of(sql) == 5
            1 / 0  # noqa: B018
        assert not data.changed
        with data.reading() as sql:
            assert version_of(sql) == 3
        with data.writing():
            pass
        assert data.changed
    with open_database(path, **newer) as data, data.reading() as sql:
        assert version_of(sql) == 5
        assert sql.execute("SELECT text, mark FROM note").fetchall() == [("old", 8)]
    with pytest.raises(StoreError, match="newer"):
        notes(path)


@posix
def test_a_signal_during_a_commit_does_not_hide_that_it_was_made(tmp_path):
    """A reader holds the commit up, so that the signal comes in the middle of it."""
    path = tmp_path / "n.sqlite"
    write(path, "old")
    code = """
signal.signal(signal.SIGINT, signal.default_int_handler)
with open_database(sys.argv[1], **settings) as data:
    try:
        with data.writing() as sql:
            sql.execute("INSERT INTO note (text) VALUES ('new')")
            if len(sys.argv) > 2:
                os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
        print(data.changed)
"""
    done = child(code, path, "before")
    assert done.communicate(timeout=60)[0] == b"False\n" and notes(path) == ["old"]
    reader = child(READER, path)  # a process of its own: locks of one are no obstacle inside it
    assert reader.stdout.readline() == b"there\n"
    writer = child(code, path)
    while not is_committing(path):
        assert writer.poll() is None
    writer.send_signal(signal.SIGINT)
    reader.communicate(timeout=60)
    out, err = writer.communicate(timeout=60)
    assert (out, err) == (b"True\n", b"")
    assert notes(path) == ["old", "new"]


def test_a_locked_file_is_waited_for_and_then_said(tmp_path):
    path = tmp_path / "n.sqlite"
    write(path, "one")
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    words = "in use by another program for 0.2 s: try again"
    with pytest.raises(StoreError, match=words), open_database(path, **SETTINGS, timeout_s=0.2):
        pass
    holder.execute("ROLLBACK")
    with open_database(path, **SETTINGS, timeout_s=0.2) as data:
        holder.execute("BEGIN IMMEDIATE")
        with data.reading() as sql:  # reading goes on beside a writer
            assert sql.execute("SELECT count(*) FROM note").fetchone() == (1,)
        with pytest.raises(StoreError, match="in use"), data.writing():
            pass
    holder.close()
    assert notes(path) == ["one"]


def test_two_processes_write_at_once_and_both_succeed(tmp_path):
    """On a new file, so that they also race to make it."""
    path = tmp_path / "n.sqlite"
    code = """
sys.stdin.read(1)
for i in range(40):
    with open_database(sys.argv[1], **settings) as data, data.writing() as sql:
        (count,) = sql.execute("SELECT count(*) FROM note").fetchone()
        sql.execute("INSERT INTO note (text) VALUES (?)", (f"{sys.argv[2]}-{i} after {count}",))
"""
    both = [child(code, path, name) for name in "ab"]
    for one in both:
        one.stdin.write(b"x")
        one.stdin.flush()
    for one in both:
        _, err = one.communicate(timeout=120)
        assert one.returncode == 0, err.decode()
    written = notes(path)
    # Each count was read and used in one transaction, so none was seen twice.
    assert [int(text.split()[-1]) for text in written] == list(range(80))
    assert {text.split()[0] for text in written} == {f"{n}-{i}" for n in "ab" for i in range(40)}


def test_a_kill_inside_a_transaction_leaves_the_old_state(tmp_path):
    path = tmp_path / "n.sqlite"
    write(path, "old")
    code = """
with open_database(sys.argv[1], **settings) as data, data.writing() as sql:
    sql.execute("PRAGMA cache_size = 1")  # so that pages reach the file before the end
    sql.executemany("INSERT INTO note (text) VALUES (?)", [(f"{i}" * 500,) for i in range(2000)])
    print("there", flush=True)
    sys.stdin.read(1)
"""
    killed = child(code, path)
    assert killed.stdout.readline() == b"there\n"
    size = path.stat().st_size
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=60)
    assert size > 100_000 and (tmp_path / "n.sqlite-journal").exists()  # it was half-way
    assert notes(path) == ["old"]
    write(path, "new")
    assert notes(path) == ["old", "new"]
