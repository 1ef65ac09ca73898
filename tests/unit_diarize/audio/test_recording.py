"""A recording is the same however often, and from wherever, it is read."""

from __future__ import annotations

import errno
import io
import tempfile

import numpy as np
import pytest
import soundfile
import torch

import diarize.audio.recording
from diarize.audio.level import LevelMeter, level_out
from diarize.audio.recording import Recording, open_recording
from encoder.audio.load import load_audio
from encoder.errors import AudioError


def opened(audio, **how):
    how = {"on_warning": lambda sentence: None, "on_progress": lambda read_s: None} | how
    return open_recording(audio, **how)


def whole(recording):
    return torch.cat([torch.zeros(0), *recording.blocks()])


@pytest.fixture(scope="module")
def tune(tmp_path_factory):
    path = tmp_path_factory.mktemp("tune") / "tune.wav"
    rng = np.random.default_rng(0)
    soundfile.write(path, 0.02 * rng.standard_normal((70 * 16_000 + 77, 2)), 16_000, "FLOAT")
    return path


def test_it_is_the_whole_wave_at_one_level_each_time(tune):
    expected = level_out(load_audio(tune))
    with opened(tune) as recording:
        assert recording.length == len(expected) == 70 * 16_000 + 77
        for _ in range(3):
            torch.testing.assert_close(whole(recording), expected, rtol=1e-6, atol=0)


class NoRoom(tempfile.SpooledTemporaryFile):
    """A disk that is full after 2 MB."""

    def write(self, data):
        if self.tell() > 2_000_000:
            self._refuse()
        return super().write(data)

    def close(self):
        super().close()
        self._refuse()  # as a file does that could not write what was left in its buffer

    def _refuse(self):
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("where", ["disk", "again", "wave"])
def test_memory_disk_and_decoding_again_give_the_same(tune, where, monkeypatch):
    with opened(tune) as recording:
        expected = whole(recording)
    source = tune
    if where == "disk":
        monkeypatch.setattr(diarize.audio.recording, "IN_MEMORY", 1 << 20)
    elif where == "again":
        monkeypatch.setattr(diarize.audio.recording, "SpooledTemporaryFile", NoRoom)
    else:
        source = load_audio(tune)
    with opened(source) as recording:
        assert torch.equal(whole(recording), expected)
        assert torch.equal(whole(recording), expected)


def test_the_file_on_disk_is_gone_afterwards(tune, monkeypatch, tmp_path):
    monkeypatch.setattr(diarize.audio.recording, "IN_MEMORY", 1 << 20)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(KeyboardInterrupt), opened(tune) as recording:
        next(iter(recording.blocks()))
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_sought_in_is_read_several_times(tune, monkeypatch):
    class Pipe(io.BytesIO):
        def seekable(self):
            return False

    monkeypatch.setattr(diarize.audio.recording, "SpooledTemporaryFile", NoRoom)
    with opened(tune) as recording:
        expected = whole(recording)
    with opened(Pipe(tune.read_bytes())) as recording:
        assert torch.equal(whole(recording), expected)
        assert torch.equal(whole(recording), expected)


def test_warnings_are_told_once_and_progress_is_in_seconds(tune, tmp_path, monkeypatch):
    cut = tmp_path / "cut.wav"
    cut.write_bytes(tune.read_bytes()[:-3_000_000])
    monkeypatch.setattr(diarize.audio.recording, "SpooledTemporaryFile", NoRoom)
    told, read_s, taken = [], [], []
    with opened(cut, on_warning=told.append, on_progress=read_s.append) as recording:
        for block in recording.blocks(taken.append):
            assert len(block) <= 30 * 16_000
        whole(recording)
    assert len(told) == 1 and "cut off" in told[0]
    assert read_s[-1] == pytest.approx(recording.length / 16_000)
    assert taken == [30 * 16_000, recording.length]


def test_one_channel(tune):
    with opened(tune, channel=1) as recording:
        expected = level_out(load_audio(tune, channel=1))
        torch.testing.assert_close(whole(recording), expected, rtol=1e-6, atol=0)
    with pytest.raises(AudioError, match="no channel 2"), opened(tune, channel=2):
        pass


def test_a_recording_is_taken_as_it_is():
    own = Recording(5, 2.0, lambda: iter([torch.ones(2), torch.ones(3)]))
    with opened(own) as recording:
        assert whole(recording).tolist() == [2.0] * 5


def test_a_wave_has_one_axis():
    wrong = pytest.raises(ValueError, match=r"a wave \(T,\), not of shape \(1, 16000\)")
    with wrong, opened(torch.zeros(1, 16_000)):
        pass


@pytest.mark.parametrize("length", [0, 1, 6_399, 6_400, 100_001, 700_000])
def test_the_level_does_not_depend_on_how_the_sound_is_cut(length):
    wave = 0.01 * torch.randn(length, generator=torch.Generator().manual_seed(length))
    gains = set()
    for size in (1_000_000, 480_000, 6_400, 7_777):
        meter = LevelMeter()
        for piece in wave.split(size):
            meter.add(piece)
        gains.add(meter.gain)
    assert len(gains) == 1
