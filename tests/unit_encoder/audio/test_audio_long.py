"""Hours of sound: the clock does not drift and memory does not grow."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from encoder.audio.load import SAMPLE_RATE, probe_duration, stream_audio
from tests.support.synth import click_times, clicks, write_media

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("suffix", "codec", "duration_s"),
    [("m4a", "aac", 7200), ("mkv", "flac", 7200), ("mp3", "libmp3lame", 2400)],
)
def test_hours_do_not_drift(tmp_path, suffix, codec, duration_s):
    rate = 11025  # far from a simple ratio to 16 kHz
    silence = np.zeros((1, rate), np.float32)
    click = clicks([0.4], duration_s=1.0, rate=rate)
    seconds = {0, 1234, duration_s // 2, duration_s - 2}
    track = (click if second in seconds else silence for second in range(duration_s))
    encoder = {"frame_size": "1024"} if codec == "flac" else {}  # many times, rounded to 1 ms
    path = write_media(tmp_path / f"x.{suffix}", track, rate, codec=codec, encoder=encoder)

    size, found = 0, {}
    for index, block in enumerate(stream_audio(path, block_s=2.0, on_warning=pytest.fail)):
        size += len(block)
        for second in seconds & {2 * index, 2 * index + 1}:
            (time_s,) = click_times(block.numpy(), [second - 2 * index + 0.4])
            found[second] = time_s - (second - 2 * index) - 0.4

    assert set(found) == seconds
    assert max(map(abs, found.values())) < 0.001
    assert size / SAMPLE_RATE == pytest.approx(duration_s, abs=0.1)
    assert probe_duration(path) == pytest.approx(duration_s, abs=0.3)


MEASURE = """
import resource, sys
from encoder.audio.load import stream_audio
size = sum(len(block) for block in stream_audio(sys.argv[1], duration_s=float(sys.argv[2])))
print(size, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_streaming_twenty_minutes_takes_no_more_memory_than_one(tmp_path):
    if not sys.platform.startswith("linux"):
        pytest.skip("the peak of memory is measured in Linux's units")
    path = write_media(
        tmp_path / "x.wav", np.zeros((2, 44100), np.float32), 44100, codec="pcm_s16le"
    )
    size = 20 * 60 * 44100 * 4
    data = bytearray(path.read_bytes())
    at = data.index(b"data")
    data[at + 4 : at + 8] = size.to_bytes(4, "little")
    path.write_bytes(data[: at + 8])
    with path.open("r+b") as file:
        file.truncate(at + 8 + size)  # a sparse file: the silence takes no disk

    peaks_kb = []
    for minutes in (1, 20):
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, str(path), str(minutes * 60)],
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
        )
        samples, peak_kb = map(int, done.stdout.split())
        assert samples == minutes * 60 * SAMPLE_RATE
        peaks_kb.append(peak_kb)
    # the whole wave would be 77 MB more
    assert peaks_kb[1] - peaks_kb[0] < 12_000
