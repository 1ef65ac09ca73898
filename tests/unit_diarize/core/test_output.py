"""Atomic writing under real faults: nothing half written, nothing left behind."""

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from diarize.core.output import check_target, write_atomic
from encoder.errors import ConfigError, StoreError

ROOT = Path(__file__).parents[3]
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux devices")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def run(code: str, *arguments: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", code, *arguments]
    # Buffered, as a user's Python is, whatever this one was told.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": environment, **options}
    return subprocess.run(command, cwd=ROOT, timeout=60, **options)  # type: ignore[call-overload]


def test_text_and_bytes_replace_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "out.rttm"
    write_atomic(path, "grüße\n")
    assert path.read_bytes() == "grüße\n".encode()
    write_atomic(str(path), b"\x00\xff")
    assert path.read_bytes() == b"\x00\xff"
    assert names(tmp_path) == ["out.rttm"]


def test_a_reader_of_the_old_file_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "out.rttm"
    path.write_text("old")
    with path.open() as reader:
        write_atomic(path, "new")
        assert reader.read() == "old"
    assert path.read_text() == "new"


def test_modes_follow_the_umask_and_then_the_old_file(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch()
    write_atomic(tmp_path / "new", "x")
    assert (tmp_path / "new").stat().st_mode == plain.stat().st_mode
    (tmp_path / "new").chmod(0o640)
    write_atomic(tmp_path / "new", "y")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("missing/out.rttm", "create its folder first"),
        ("folder", "it is a folder"),
        ("file/out.rttm", "a part of the path is a file"),
        ("x" * 300, "choose a shorter name"),
        ("zero\0byte", "choose another place"),
    ],
)
def test_impossible_places_are_one_sentence(tmp_path: Path, name: str, step: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("old")
    with pytest.raises(StoreError, match=step) as caught:
        write_atomic(tmp_path / name, "new")
    assert repr(str(tmp_path / name)) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert names(tmp_path) == ["file", "folder"]
    assert (tmp_path / "file").read_text() == "old"


@linux
def test_a_write_that_stops_halfway_leaves_the_old_file_alone(tmp_path: Path) -> None:
    # A limit on file size fails in the middle of the write, as a full disk does.
    (tmp_path / "out").write_text("old")
    code = """
import resource, sys
from diarize.core.output import check_target, write_atomic
from encoder.errors import StoreError
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    write_atomic(sys.argv[1], b"x" * 1_000_000)
except StoreError as error:
    print(error)
"""
    done = run(code, str(tmp_path / "out"))
    assert b"File too large" in done.stdout, done.stderr
    assert names(tmp_path) == ["out"]
    assert (tmp_path / "out").read_text() == "old"


@linux
def test_a_full_device_is_reported() -> None:
    with pytest.raises(StoreError, match=r"No space left on device.*free some space"):
        write_atomic("/dev/full", "x")


@linux
def test_devices_are_written_through_not_replaced() -> None:
    write_atomic("/dev/null", "x")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target, link = tmp_path / "real" / "out", tmp_path / "link"
    link.symlink_to(target)
    for content in ("made through a dangling link", "replaced"):
        write_atomic(link, content)
        assert link.is_symlink()
        assert target.read_text() == content
    assert names(tmp_path / "real") == ["out"]


def test_a_named_pipe_is_written_through(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    data = b"x" * 200_000  # more than a pipe holds at once
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()), daemon=True)
    reader.start()
    write_atomic(pipe, data)
    reader.join(timeout=30)
    assert received == [data]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


WRITE = "import sys; from diarize.core.output import write_atomic; print('before'); "


@linux
@pytest.mark.parametrize("name", ["-", "/dev/stdout"])
def test_standard_output_keeps_its_order(tmp_path: Path, name: str) -> None:
    code = WRITE + "write_atomic(sys.argv[1], 'middle\\n'); print('after')"
    assert run(code, name).stdout == b"before\nmiddle\nafter\n"
    with (tmp_path / "redirected").open("wb") as handle:
        run(code, name, stdout=handle)
    assert (tmp_path / "redirected").read_bytes() == b"before\nmiddle\nafter\n"


@linux
def test_unbuffered_standard_output_gets_everything() -> None:
    code = "from diarize.core.output import write_atomic; write_atomic('-', b'x' * 1_000_000)"
    done = run(code, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    assert done.stdout == b"x" * 1_000_000


@linux
def test_a_redirected_descriptor_is_not_cut_loose(tmp_path: Path) -> None:
    with (tmp_path / "log").open("ab") as handle:
        handle.write(b"first\n")
        handle.flush()
        write_atomic(f"/dev/fd/{handle.fileno()}", "second\n")
        handle.write(b"third\n")
    assert (tmp_path / "log").read_bytes() == b"first\nsecond\nthird\n"


@linux
def test_a_full_standard_output_is_a_store_error_without_an_echo_at_exit() -> None:
    code = (
        "from diarize.core.output import write_atomic\nfrom encoder.errors import StoreError\n"
        "import sys\ntry:\n    write_atomic('-', 'x')\n"
        "except StoreError as e:\n    print(e, file=sys.stderr)"
    )
    with Path("/dev/full").open("wb") as full:
        done = run(code, stdout=full)
    assert done.returncode == 0
    assert done.stderr.count(b"\n") == 1
    assert b"cannot write '-' (No space left on device)" in done.stderr


@linux
def test_a_closed_pipe_is_a_store_error_without_an_echo_at_exit() -> None:
    code = (
        "from diarize.core.output import write_atomic\nfrom encoder.errors import StoreError\n"
        "import sys\ntry:\n    write_atomic('-', 'x' * 1_000_000)\n"
        "except StoreError as e:\n    print(e, file=sys.stderr)"
    )
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        done = run(code, stdout=write_end)
    finally:
        os.close(write_end)
    assert done.returncode == 0
    assert done.stderr.count(b"\n") == 1
    assert b"Broken pipe" in done.stderr


def test_a_name_that_is_not_utf8_is_escaped_not_refused(tmp_path: Path) -> None:
    write_atomic(tmp_path / "out", "caf\udce9")
    assert (tmp_path / "out").read_bytes() == b"caf\\udce9"


@pytest.mark.parametrize(
    "bad", ["no/such/out.rttm", ".", "file/out.rttm", "x" * 300 + ".csv", "x" * 300 + "/y.csv"]
)
def test_a_target_that_cannot_be_written_is_known_beforehand(tmp_path, bad):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot write"):
        check_target(tmp_path / bad)


@pytest.mark.parametrize("good", ["new.rttm", "old.rttm", "/dev/null", "-", "/dev/stdout"])
def test_a_target_that_can_be_written_is_left_untouched(tmp_path, good):
    (tmp_path / "old.rttm").write_text("old")
    check_target(good if good[0] in "-/" else tmp_path / good)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["old.rttm"]


def test_a_target_that_is_an_input_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.csv").write_text("x")
    (tmp_path / "other.csv").write_text("x")
    (tmp_path / "link.csv").symlink_to("in.csv")
    inputs = ["none.csv", tmp_path / "in.csv"]
    for target in ("in.csv", "./link.csv", tmp_path / "in.csv"):
        with pytest.raises(ConfigError, match=r"\.csv' would replace .* choose another name"):
            check_target(target, inputs=inputs)
    for target in ("-", "new.csv", "other.csv"):
        check_target(target, inputs=inputs)


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
def test_a_terminal_gets_names_without_what_it_would_obey_and_files_get_them_exactly(tmp_path):
    text = "SPEAKER a\x1b]0;x\x07 1\ttab Ö\nnext\u202e\n"
    write_atomic(tmp_path / "out.rttm", text)
    assert (tmp_path / "out.rttm").read_bytes() == text.encode()
    code = (
        "import sys; from diarize.core.output import write_atomic; write_atomic('-', sys.argv[1])"
    )
    ask = [sys.executable, "-c", code, text]
    piped = subprocess.run(ask, stdout=subprocess.PIPE, check=True, cwd=ROOT)
    assert piped.stdout == text.encode()
    ours, theirs = os.openpty()
    subprocess.run(ask, stdout=theirs, check=True, cwd=ROOT)
    os.close(theirs)
    shown = os.read(ours, 1000).decode().replace("\r\n", "\n").expandtabs(1)
    os.close(ours)
    assert shown == "SPEAKER a\\x1b]0;x\\x07 1 tab Ö\nnext\\u202e\n"
