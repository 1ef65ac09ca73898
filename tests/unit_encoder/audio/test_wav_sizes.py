"""A WAV whose header has another size than the file: the rest is heard, or it is said."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from encoder.audio.load import SAMPLE_RATE, load_audio

SECONDS = 8


def chunk(name, content, *, order="<"):
    return name + struct.pack(f"{order}I", len(content)) + content + b"\0" * (len(content) % 2)


def wav(*chunks_before, size=None, behind=b""):
    """SECONDS of 16-bit noise, claiming `size` bytes."""
    samples = np.random.default_rng(0).integers(-3000, 3000, SECONDS * 16000, np.int16).tobytes()
    kind = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, 16000, 32000, 2, 16))
    data = b"data" + struct.pack("<I", len(samples) if size is None else size) + samples
    body = b"WAVE" + kind + b"".join(chunks_before) + data + behind
    return b"RIFF" + struct.pack("<I", len(body)) + body


def load(tmp_path, content):
    path = tmp_path / "x.wav"
    path.write_bytes(content)
    sentences = []
    return load_audio(path, on_warning=sentences.append), sentences


@pytest.mark.parametrize("seconds_told", [2, 5])
def test_what_follows_a_stale_size_is_heard_and_said(tmp_path, seconds_told):
    wave, sentences = load(tmp_path, wav(size=seconds_told * 32000))
    assert len(wave) == SECONDS * SAMPLE_RATE
    assert len(sentences) == 1
    assert f"({seconds_told}.0 s): the {SECONDS - seconds_told}.0 s behind that" in sentences[0]


@pytest.mark.parametrize(
    "behind",
    [
        chunk(b"LIST", b"INFOISFT\x05\0\0\0Lavf\0\0" * 3),
        chunk(b"id3 ", bytes(range(256)) * 200) + chunk(b"bext", b"\1" * 603),
        b"TAG" + b"\x20" * 125,
        bytes(512),
    ],
    ids=["LIST", "id3 and bext", "ID3v1", "zeros"],
)
def test_real_chunks_behind_the_sound_are_no_sound(tmp_path, behind):
    wave, sentences = load(tmp_path, wav(behind=behind))
    assert (len(wave), sentences) == (SECONDS * SAMPLE_RATE, [])


@pytest.mark.parametrize("before", [70_000, 10])
def test_a_cut_is_seen_behind_long_chunks_as_well(tmp_path, before):
    content = wav(chunk(b"bext", b"\1" * before))
    wave, sentences = load(tmp_path, content[: -4 * 32000])
    assert len(wave) == 4 * SAMPLE_RATE
    assert len(sentences) == 1 and "stops at 4.0 s but its header promises 4.0 s" in sentences[0]


def test_a_big_endian_twin_says_what_it_does_not_read(tmp_path):
    """Behind an AIFF's last chunk lies what is no chunk: FFmpeg stops, and it is said."""
    samples = (
        np.random.default_rng(0).integers(-3000, 3000, 32000, np.int16).astype(">i2").tobytes()
    )
    rate = bytes.fromhex("400cfa00000000000000")  # 16000 as 80 bits
    body = b"AIFF" + chunk(b"COMM", struct.pack(">hIh", 1, 32000, 16) + rate, order=">")
    body += chunk(b"SSND", bytes(8) + samples, order=">")
    form = b"FORM" + struct.pack(">I", len(body)) + body
    path = tmp_path / "x.aiff"
    path.write_bytes(form + b"\xff" * 10_000)
    sentences = []
    assert len(load_audio(path, on_warning=sentences.append)) == 32000
    assert len(sentences) == 1 and "10,000 bytes behind the end of its sound" in sentences[0]
