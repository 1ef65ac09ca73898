"""What cannot be sought in is copied once, and can then be read as often as one likes."""

import io
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from encoder.audio.load import load_audio, probe_duration, reopenable
from encoder.errors import AudioError
from tests.support.synth import write_media

ROOT = Path(__file__).parents[3]


class Pipe(io.BytesIO):
    """What another command writes: it is there once, and cannot be sought in."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: int) -> int:
        raise io.UnsupportedOperation("a pipe cannot be sought in")


@pytest.fixture(scope="module")
def call(tmp_path_factory):
    noise = 0.1 * np.random.default_rng(0).standard_normal((1, 16000)).astype(np.float32)
    return write_media(tmp_path_factory.mktemp("media") / "call.m4a", noise, 16000, codec="aac")


@pytest.mark.parametrize("kind", ["path", "text", "file", "memory"])
def test_what_can_be_sought_in_is_not_copied(call, kind):
    with call.open("rb") as file:
        source = {
            "path": call, "text": str(call), "file": file, "memory": io.BytesIO(call.read_bytes()),
        }[kind]  # fmt: skip
        with reopenable(source) as again:
            assert again is source
            assert torch.equal(load_audio(again), load_audio(again))
        if kind in ("file", "memory"):
            assert not source.closed


def test_a_pipe_is_copied_and_read_twice(call):
    with reopenable(Pipe(call.read_bytes())) as source:
        first = load_audio(source)
        assert torch.equal(load_audio(source), first)
        assert torch.equal(first, load_audio(call))
        assert probe_duration(source) == probe_duration(call)
        with reopenable(source) as once_more:
            assert once_more is source
        assert not source.closed
    assert source.closed


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
def test_a_fifo_is_copied_and_messages_speak_of_its_path(tmp_path, call):
    path = tmp_path / "fifo.m4a"
    os.mkfifo(path)
    for data in (call.read_bytes(), b"no media"):
        writer = threading.Thread(target=path.write_bytes, args=(data,))
        writer.start()
        with reopenable(path) as source:
            writer.join()
            if data == b"no media":
                for _ in range(2):
                    with pytest.raises(AudioError) as caught:
                        load_audio(source)
                    assert str(caught.value).startswith(repr(str(path)))
            else:
                assert torch.equal(load_audio(source), load_audio(source))


TWICE = """
from encoder.audio.load import load_audio, reopenable
from encoder.errors import AudioError
try:
    with reopenable("-") as source:
        print(source == "-", [len(load_audio(source)) for _ in range(2)])
except AudioError as error:
    print(error)
"""


def test_standard_input_can_be_read_twice(call, tmp_path):
    def said(**stdin):
        done = subprocess.run(
            [sys.executable, "-c", TWICE], capture_output=True, cwd=ROOT, check=True, **stdin
        )
        assert done.stderr == b""
        return done.stdout.decode().strip()

    size = len(load_audio(call))
    assert said(input=call.read_bytes()) == f"False [{size}, {size}]"
    with call.open("rb") as file:
        assert said(stdin=file) == f"True [{size}, {size}]"
    assert said(input=b"no media").startswith("standard input cannot be read as media")
    assert said(input=b"") == (
        "standard input is empty (0 bytes): record, copy or download it again"
    )


def test_what_is_missing_is_said_at_once(tmp_path):
    with pytest.raises(AudioError, match="does not exist: check the path"):
        reopenable(tmp_path / "nonesuch.wav").__enter__()


@contextmanager
def files_no_larger_than(size):
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [100, 50_000, 5_000_000])  # refused when flushed, when written
def test_a_full_disk_is_said_in_one_sentence(size):
    with (
        files_no_larger_than(size // 2),
        pytest.raises(AudioError, match="cannot be copied to a temporary file") as caught,
    ):
        load_audio(Pipe(bytes(size)))
    assert "\n" not in str(caught.value) and "set TMPDIR" in str(caught.value)
    assert "'the given stream'" in str(caught.value)


@pytest.mark.parametrize("source", [None, 3, np.zeros(16000, np.float32)])
def test_what_is_no_source_is_named(source):
    words = f"of type {type(source).__name__}: give the path"
    with pytest.raises(AudioError, match=words):
        load_audio(source)
