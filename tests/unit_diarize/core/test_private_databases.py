"""Databases hold voices: nobody but their owner can read them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from diarize.core.sqlite_file import DamagedError, open_database
from encoder.hub.paths import OWN_FOLDER
from tests.unit_diarize.core.test_sqlite_file import SETTINGS, notes, posix, write


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def loose():
    """New files are for everybody unless their maker says otherwise."""
    before = os.umask(0)
    yield
    os.umask(before)


@posix
def test_only_the_owner_can_read_what_is_new(tmp_path, loose):
    path = tmp_path / "new" / "deep" / "n.sqlite"
    with open_database(path, **SETTINGS, on_warning=pytest.fail) as data, data.writing() as sql:
        sql.execute("INSERT INTO note (text) VALUES ('one')")
        assert mode(path) == mode(Path(f"{path}-journal")) == 0o600
    assert mode(path.parent) == mode(path.parent.parent) == 0o700


@posix
def test_what_others_could_read_is_kept_from_them_and_said_once(tmp_path, loose):
    path = tmp_path / "n.sqlite"
    write(path, "one")
    said = []
    for before, after in ((0o644, 0o600), (0o666, 0o600), (0o444, 0o400)):
        path.chmod(before)
        for beside in ("wal", "shm"):  # as another mode of SQLite leaves them; empty: no use
            Path(f"{path}-{beside}").touch()
        with open_database(path, **SETTINGS, on_warning=said.append):
            pass
        assert mode(path) == after
        assert [mode(p) for p in tmp_path.glob("n.sqlite-*")] == [0o600] * 2
        (sentence,) = said
        assert repr(str(path)) in sentence and "only you" in sentence
        with open_database(path, **SETTINGS, on_warning=said.append):
            pass
        said.clear()
        path.chmod(0o600)
    assert mode(tmp_path) & 0o700 == 0o700 and notes(path) == ["one"]


@posix
def test_the_toolkits_own_folder_is_closed_and_no_other(tmp_path, loose):
    for name, after in ((OWN_FOLDER, 0o700), ("shared", 0o755)):
        (tmp_path / name).mkdir(mode=0o755)
        write(tmp_path / name / "n.sqlite", "one")
        assert mode(tmp_path / name) == after


@posix
def test_a_file_of_others_keeps_its_mode(tmp_path, loose):
    path = tmp_path / "diary.txt"
    path.write_text("no database")
    path.chmod(0o644)
    with pytest.raises(DamagedError):
        notes(path)
    assert mode(path) == 0o644
