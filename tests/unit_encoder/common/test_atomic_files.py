"""A file is replaced whole, or stays as it was."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from encoder.common.atomic_files import renamed_to, replacing, sweep, temporary_folder
from encoder.errors import StoreError

ROOT = Path(__file__).parents[3]
posix = pytest.mark.skipif(os.name != "posix", reason="locks, modes and signals of POSIX")
WRITER = """
import sys
from pathlib import Path
from encoder.common.atomic_files import replacing, temporary_folder
target = Path(sys.argv[1])
with replacing(target) as partial, temporary_folder(target) as folder:
    partial.write_text("half")
    (folder / "clip").write_text("half")
    print("there", flush=True)
    sys.stdin.read()
"""


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new/file"
    with replacing(path) as partial:
        partial.write_text("one")
        assert not path.exists()
    assert path.read_text() == "one"
    with pytest.raises(ZeroDivisionError), replacing(path) as partial:
        partial.write_text("half of tw")
        _ = 1 / 0
    with (
        pytest.raises(StoreError, match=r"cannot write .*file.*No space"),
        replacing(path) as partial,
    ):
        partial.write_text("half of tw")
        raise OSError(28, "No space left on device")
    with pytest.raises(StoreError, match="cannot write"), replacing(path / "below a file"):
        pass
    assert path.read_text() == "one"
    assert [p.name for p in path.parent.iterdir()] == ["file"]


def test_the_sentence_says_what_and_what_to_do(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(StoreError, match=r"^cannot write the list '.*x' \(.*\): sit down$"),
        replacing(tmp_path / "file" / "x", what="the list ", step="sit down"),
    ):
        pass


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@posix
def test_what_a_killed_process_has_left_is_removed_and_what_is_written_is_not(tmp_path):
    """Two writers of one folder; one is killed, and the next who writes there cleans up."""
    strangers = [".0123456789ab.part", ".x.partial", "0123456789ab.partial"]
    for name in strangers:
        (tmp_path / name).touch()
    both = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path / name)],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        for name in ("killed", "living")
    ]  # fmt: skip
    for process in both:
        assert process.stdout.readline() == b"there\n"
    sweep(tmp_path)
    assert len(names(tmp_path)) == len(strangers) + 4  # a file and a folder each
    both[0].send_signal(signal.SIGKILL)
    both[0].communicate(timeout=60)
    assert len(names(tmp_path)) == len(strangers) + 4
    with replacing(tmp_path / "next") as partial:
        partial.write_text("next")
        assert len(names(tmp_path)) == len(strangers) + 2 + 1
    both[1].communicate(timeout=60)
    assert both[1].returncode == 0
    assert names(tmp_path) == sorted([*strangers, "living", "next"])
    assert (tmp_path / "living").read_text() == "half"
    sweep(tmp_path / "absent")


@posix
def test_modes_of_what_is_written(tmp_path):
    def mode(path):
        return stat.S_IMODE(path.stat().st_mode)

    before = os.umask(0o022)
    try:
        path = tmp_path / "a" / "file"
        for private, file, folder in ((False, 0o644, 0o755), (True, 0o600, 0o700)):
            with replacing(path, private=private) as partial:
                assert mode(partial) == file
                partial.write_bytes(b"x")
            assert (mode(path), mode(path.parent)) == (file, folder)
            path.unlink()
            path.parent.rmdir()
        path = tmp_path / "file"
        for old, private, new in ((0o640, False, 0o640), (0o640, True, 0o600),
                                  (0o6755, False, 0o755)):  # fmt: skip
            path.touch()
            path.chmod(old)
            with renamed_to(path, private=private) as partial:
                partial.write_bytes(b"x")
            assert mode(path) == new
    finally:
        os.umask(before)


def test_a_folder_that_is_made_beside_its_place(tmp_path):
    with temporary_folder(tmp_path / "out") as partial:
        (partial / "x").touch()
        partial.replace(tmp_path / "out")
    with pytest.raises(ZeroDivisionError), temporary_folder(tmp_path / "other") as partial:
        (partial / "x").touch()
        1 / 0  # noqa: B018
    assert names(tmp_path) == ["out"] and names(tmp_path / "out") == ["x"]
