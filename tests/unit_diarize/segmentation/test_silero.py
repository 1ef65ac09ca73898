"""The Silero segmenter gives the package's own numbers, and leaves the process as it was."""

import contextlib
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from diarize.segmentation.silero import SileroSegmenter
from diarize.segmentation.silero_network import by_layers, chunk_by_chunk, fastest_exact
from encoder.audio.load import load_audio
from encoder.errors import AudioError

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def wave():
    return load_audio(ROOT / "recipes" / "samples" / "ami_ES2004a_600_660.flac")[: 16000 * 30 + 99]


@pytest.fixture(scope="module")
def segmenter():
    return SileroSegmenter()


def test_probabilities_are_those_of_the_package(segmenter, wave):
    """30 s span several batches, so context and state must pass from one to the next."""
    expected = segmenter._model.audio_forward(wave[None], 16000)[0].numpy()
    found, length = segmenter.activity([wave])
    assert length == len(wave)
    assert found.shape == expected.shape
    assert expected.min() < 0.1
    assert expected.max() > 0.9
    assert np.abs(found - expected).max() < 1e-4


def test_both_ways_give_the_same(segmenter, wave):
    chunks = torch.nn.functional.pad(wave, (64, 0)).unfold(0, 576, 512)
    slow = torch.cat(list(chunk_by_chunk(segmenter._model)([chunks[:300], chunks[300:]])))
    fast = torch.cat(list(by_layers(segmenter._model)([chunks[:99], chunks[99:]])))
    assert torch.allclose(slow, fast, atol=1e-4)


def test_the_installed_release_takes_the_fast_way(segmenter):
    """Else an hour costs ten times the seconds, and nobody would notice."""
    assert segmenter._stream.__qualname__.startswith("by_layers")


class RenamedInside:
    """A release whose public call works as ever, with other names inside."""

    def __init__(self, model):
        self.reset_states = model.reset_states
        self.call = model

    def __call__(self, chunk, rate):
        return self.call(chunk, rate)


class OtherInside(RenamedInside):
    """A release in which the known names are there, and the public call does something else."""

    def __init__(self, model):
        super().__init__(model)
        self._model = model._model

    def __call__(self, chunk, rate):
        return self.call(chunk, rate) * 0.5


@pytest.mark.parametrize("release", [RenamedInside, OtherInside])
def test_an_unknown_release_is_run_by_its_public_call(segmenter, release):
    stream = fastest_exact(release(segmenter._model))
    assert stream.__qualname__.startswith("chunk_by_chunk")


def test_loading_changes_nothing_in_the_process():
    """In a fresh process: threads, random numbers, warning filters and gradients as before."""
    code = """
import warnings, torch
torch.set_num_threads(3)
def state():
    return (torch.get_num_threads(), torch.random.get_rng_state().tolist(),
            list(warnings.filters), torch.is_grad_enabled(), torch.is_inference_mode_enabled())
before = state()
from diarize.segmentation import SEGMENTERS
segmenter = SEGMENTERS.load("silero")()
segmenter(torch.zeros(40_000))
assert state() == before, (state()[0], state()[2:], before[0], before[2:])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_family_is_listed_without_torch():
    code = "import sys, diarize.segmentation; assert 'torch' not in sys.modules"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_threads_are_as_before_also_after_a_fault_and_beside_another(segmenter):
    def hear(sound):
        before = torch.get_num_threads()
        with contextlib.suppress(AudioError):
            segmenter(sound)
        return before, torch.get_num_threads()

    sounds = [torch.zeros(60_000), torch.full((60_000,), torch.nan)] * 4
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        # A thread has a number of its own, which it takes from whoever set one last.
        with ThreadPoolExecutor(2, initializer=torch.set_num_threads, initargs=(2,)) as pool:
            for was, is_now in pool.map(hear, sounds):
                assert is_now == was
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_any_number_of_threads_gives_the_same_numbers(segmenter, wave, two_threads):
    found = []
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        found.append(segmenter.activity([wave])[0])
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


def test_a_fault_of_the_reader_comes_through_and_leaves_no_thread(segmenter, wave, two_threads):
    def reader():
        yield wave
        raise KeyboardInterrupt

    before = set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt):
        segmenter.segment(reader())
    assert set(threading.enumerate()) == before
    assert torch.get_num_threads() == 2


def test_a_stream_reads_a_few_pieces_ahead_and_can_be_left(segmenter, two_threads):
    """Memory does not grow with the recording, and whoever stops early waits for little."""
    taken = 0

    def pieces():
        nonlocal taken
        for _ in range(1000):
            taken += 1
            yield torch.zeros(1, 576)

    before = set(threading.enumerate())
    stream = segmenter._stream(pieces())
    next(stream)
    assert taken < 10
    stream.close()
    assert set(threading.enumerate()) == before
    assert torch.get_num_threads() == 2
