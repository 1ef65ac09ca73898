"""Pieces joined before they are turned into numbers give what they give one by one."""

import re

import numpy as np
import pytest
from av.audio.frame import AudioFrame
from hypothesis import given, settings
from hypothesis import strategies as st

from encoder.audio import timestamps
from encoder.audio.media.decoding import Piece, kind_of, samples_of
from encoder.audio.timestamps import Notes
from encoder.errors import AudioError

LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 6: "5.1"}
DTYPES = {"s16": "i2", "fltp": "f4", "flt": "f4", "u8p": "u1", "s32": "i4", "dblp": "f8"}


def make_frame(size, *, rate=8000, channels=2, kind="fltp", seed=0, holes=()):
    generator = np.random.default_rng(seed)
    dtype = np.dtype(DTYPES[kind])
    if dtype.kind == "f":
        data = generator.standard_normal((channels, size)).astype(dtype)
        for at, value in holes:
            data[at % channels, at % size] = value
    else:
        limits = np.iinfo(dtype)
        data = generator.integers(limits.min, limits.max, (channels, size), dtype, endpoint=True)
    if not kind.endswith("p"):
        data = data.T.reshape(1, -1)
    frame = AudioFrame.from_ndarray(
        np.ascontiguousarray(data), format=kind, layout=LAYOUTS[channels]
    )
    frame.sample_rate = rate
    return frame


def one_by_one(pieces, channel, notes, file_size):
    """The oracle: every piece is made numbers of, mixed and placed by itself."""
    clock, torn = timestamps._Clock(notes, file_size), 0
    for frame, at_s, lost in pieces:
        notes.packets += lost + (frame is not None)
        if frame is None:
            torn = lost
            break
        samples_CT = plain_samples(frame)
        if channel is not None:
            if channel >= len(samples_CT):
                raise AudioError(f"no channel {channel}")
            samples_CT = samples_CT[channel : channel + 1]
        if not np.isfinite(samples_CT).all():
            notes.add("number", clock.now_s)
            samples_CT = np.nan_to_num(samples_CT, nan=0.0, posinf=0.0, neginf=0.0)
        mono = samples_CT.mean(axis=0, dtype=np.float32)
        for part in clock.placed(mono, frame.sample_rate, at_s, lost):
            yield clock.kept(part)
    return clock.now_s, torn


def plain_samples(frame):
    data = frame.to_ndarray()
    if not frame.format.is_planar:
        data = data.reshape(frame.samples, -1).T
    if data.dtype.kind == "f":
        return data.astype(np.float32)
    scaled = data.astype(np.float32) * np.float32(2.0 ** (1 - 8 * data.dtype.itemsize))
    return scaled - np.float32(1) if data.dtype.kind == "u" else scaled


def played(play, pieces, channel):
    """Waves by run of one rate, what is returned, what is noted; or the error."""
    notes, runs = Notes("x"), []
    generator = play(iter(pieces), channel, notes, 1000)  # bytes: so small a file has few holes
    while True:
        try:
            wave, rate = next(generator)
        except StopIteration as stop:
            waves = [(rate, np.concatenate(parts).tobytes()) for rate, parts in runs]
            return waves, stop.value, list(notes.sentences())
        except AudioError as error:
            return re.search(r"no channel \d", str(error)).group()
        if not runs or runs[-1][0] != rate:
            runs.append((rate, []))
        runs[-1][1].append(wave)


NUMBERS = st.sampled_from([np.nan, np.inf, -np.inf, 1e38])
STEPS_S = st.one_of(  # how far a time lies from where the sound before it ended
    st.just(0.0),
    st.floats(-0.049, 0.049),
    st.floats(-0.2, 0.2),
    st.sampled_from([-0.05, 0.05, -0.003, 0.003, 0.0031, 1.5, -1.5, -6.0, 90.0, 4000.0]),
)


@st.composite
def sequences(draw):
    """Pieces whose times mostly follow one another, with whatever a file may come to."""
    pieces, clock_s = [], draw(st.sampled_from([0.0, 0.0, 0.7]))
    rate, channels, kind = 8000, 2, "fltp"
    wild = draw(st.booleans())
    for index in range(draw(st.integers(0, 25))):
        change = draw(st.integers(0, 30))
        if change == 0:
            rate = draw(st.sampled_from([8000, 1000, 44100]))
        if change in (1, 2):
            channels = draw(st.sampled_from(list(LAYOUTS)))
            kind = draw(st.sampled_from(list(DTYPES)))
        size = draw(st.sampled_from([1, 160, 400, 1152, 5000]))
        numbers = st.lists(st.tuples(st.integers(0, 5000), NUMBERS), max_size=2)
        holes = draw(numbers) if change == 3 else ()
        clock_s += draw(STEPS_S) if wild or change > 26 else 0.0
        timed = draw(st.integers(0, 9)) > 0
        frame = make_frame(size, rate=rate, channels=channels, kind=kind, seed=index, holes=holes)
        pieces.append(Piece(frame, clock_s if timed else None, int(draw(st.integers(0, 15)) == 0)))
        clock_s += size / rate
    if draw(st.integers(0, 5)) == 0:
        pieces.append(Piece(None, None, 1))
    return pieces


@settings(max_examples=150, deadline=None)
@given(sequences(), st.sampled_from([None, None, 0, 1]))
def test_joined_pieces_are_played_as_one_by_one(pieces, channel):
    with np.errstate(all="ignore"):
        assert played(timestamps._placed, pieces, channel) == played(one_by_one, pieces, channel)


def test_a_long_stretch_is_joined_up_to_each_whole_second():
    pieces = [Piece(make_frame(160, seed=i), i * 0.02) for i in range(120)]
    waves = [wave.size for wave, _ in timestamps._placed(iter(pieces), None, Notes("x"), 10**9)]
    assert waves == [160, 7840, 8000, 3200]  # the first is placed by itself


def test_nothing_is_decoded_before_it_is_needed():
    # what lies beyond the part asked for is not to be warned about
    taken = []

    def pieces():
        for index in range(1000):
            taken.append(index)
            yield Piece(make_frame(160), index * 0.02)

    heard = 0
    for wave, _ in timestamps._placed(pieces(), None, Notes("x"), 10**9):
        heard += wave.size
        if heard >= 16000:
            break
    assert len(taken) == 100


@pytest.mark.parametrize("kind", DTYPES)
@pytest.mark.parametrize("channels", LAYOUTS)
def test_frames_joined_are_frames_end_to_end(kind, channels):
    frames = [make_frame(s, channels=channels, kind=kind, seed=s) for s in (1, 7, 1000)]
    assert kind_of(frames[0]) == (kind, channels, 8000)
    expected = np.concatenate([plain_samples(frame) for frame in frames], axis=1)
    np.testing.assert_array_equal(samples_of(frames), expected)
