"""An offset, rumble or hum that is louder than the voice is taken away; all else stays as it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from diarize.audio.level import LevelMeter, level_out
from diarize.audio.recording import open_recording
from diarize.segmentation import SEGMENTERS
from encoder.audio.high_pass import HighPass, high_passed
from encoder.audio.load import SAMPLE_RATE, load_audio

MEETING = Path(__file__).parents[3] / "recipes" / "samples" / "ami_ES2004a_600_660.flac"


@pytest.fixture(scope="module")
def voice():
    return load_audio(MEETING, start_s=5, duration_s=12)


def troubles(length):
    at_s = torch.arange(length) / SAMPLE_RATE
    return {
        "offset": torch.ones(length),
        "50 Hz": torch.sin(2 * np.pi * 50 * at_s),
        "60 Hz": torch.sin(2 * np.pi * 60 * at_s),
        "rumble": torch.sin(2 * np.pi * 12 * at_s) + torch.sin(2 * np.pi * 31 * at_s),
    }


def spoken_s(wave, segmenter):
    found = SEGMENTERS.build(segmenter, {}, where="segmentation")
    regions = found.segment(iter(level_out(wave).split(480_000))).regions
    return float((regions[:, 1] - regions[:, 0]).sum()) / SAMPLE_RATE


@pytest.mark.parametrize("segmenter", ["neural", "silero"])
@pytest.mark.parametrize("trouble", ["offset", "50 Hz", "60 Hz", "rumble"])
def test_the_voice_is_found_beneath(voice, trouble, segmenter):
    plain_s = spoken_s(voice, segmenter)
    for amount in (0.03, 0.3):
        drowned = (voice + amount * troubles(len(voice))[trouble]).clamp(-1, 1)
        assert spoken_s(drowned, segmenter) == pytest.approx(plain_s, abs=0.15 * plain_s)


def test_it_is_said_in_one_sentence_and_only_then(voice):
    for wave, words in ((voice, []), (voice + 0.2, ["offset, rumble or hum"])):
        sentences = []
        with open_recording(
            wave, on_warning=sentences.append, on_progress=lambda read_s: None
        ) as recording:
            heard = torch.cat(list(recording.blocks()))
        assert [sentence[:21] for sentence in sentences] == words
        torch.testing.assert_close(heard, level_out(wave), rtol=0, atol=1e-5)


def test_a_clean_recording_is_only_made_louder(voice):
    meter = LevelMeter()
    meter.add(voice)
    assert not meter.drowned
    assert torch.equal(level_out(voice), voice * meter.gain)


@pytest.mark.parametrize(("hz", "least_db", "most_db"), [(0.5, -200, -60), (50, -200, -39),
    (60, -200, -39), (80, -1, 0.1), (120, -0.1, 0.1), (1000, -0.1, 0.1)])  # fmt: skip
def test_what_the_filter_lets_through(hz, least_db, most_db):
    at_s = torch.arange(8 * SAMPLE_RATE) / SAMPLE_RATE
    tone = torch.sin(2 * np.pi * hz * at_s)
    late = high_passed(tone)[4 * SAMPLE_RATE :]
    level_db = float(20 * torch.log10(late.square().mean().sqrt() * 2**0.5 + 1e-12))
    assert least_db <= level_db <= most_db


def test_blocks_go_through_as_the_whole_does(voice):
    filtered = HighPass()
    parts = [filtered.add(part) for part in voice.split(7_777)]
    torch.testing.assert_close(torch.cat(parts), high_passed(voice), rtol=0, atol=1e-7)
    assert len(HighPass().add(torch.zeros(0))) == 0
