"""Of several audio tracks the right one is heard, and the others are named."""

from __future__ import annotations

import numpy as np
import pytest

from encoder.audio.load import SAMPLE_RATE, load_audio, readable_tracks
from encoder.errors import AudioError, ConfigError
from tests.support.synth import write_tracks

RATE = 16000
SECONDS = 3


def tone(hz, volume=0.3):
    return (volume * np.sin(2 * np.pi * hz * np.arange(SECONDS * RATE) / RATE)).astype(np.float32)


def pitch(wave):
    return round(float(np.abs(np.fft.rfft(wave)).argmax()) * SAMPLE_RATE / len(wave))


def load(path, **more):
    sentences = []
    return load_audio(path, on_warning=sentences.append, **more).numpy(), sentences


def test_which_was_heard_and_what_else_there_is(tmp_path):
    path = write_tracks(
        tmp_path / "x.mkv", [tone(300), tone(500)], titles=["Desktop", "Microphone"]
    )
    wave, sentences = load(path)
    assert pitch(wave) == 300
    assert len(sentences) == 1
    assert (
        "has 2 audio tracks: track 0 (Desktop) was heard, not track 1 (Microphone)" in sentences[0]
    )


@pytest.mark.parametrize("silence", [0.0, 1e-5])
def test_a_silent_track_gives_way(tmp_path, silence):
    path = write_tracks(tmp_path / "x.mkv", [tone(300, silence), tone(500), tone(700)])
    wave, sentences = load(path)
    assert pitch(wave) == 500
    assert (
        "track 1 was heard, as track 0 is silent throughout, not track 0, track 2" in sentences[0]
    )


def test_where_all_are_silent_it_is_the_first(tmp_path):
    wave, _ = load(write_tracks(tmp_path / "x.mkv", [tone(300, 0), tone(500, 0)]))
    assert not wave.any()


def test_a_track_can_be_chosen_and_all_can_be_mixed(tmp_path):
    path = write_tracks(tmp_path / "x.mkv", [tone(300), tone(500)])
    for track, hz in ((0, 300), (1, 500)):
        wave, sentences = load(path, track=track)
        assert (pitch(wave), sentences) == (hz, [])
    mix, sentences = load(path, track="mix")
    np.testing.assert_allclose(mix, (tone(300) + tone(500)) / 2, atol=1e-4)
    assert sentences == []
    with path.open("rb") as file:  # one file under all the readers
        np.testing.assert_array_equal(load(file, track="mix")[0], mix)


@pytest.mark.parametrize(
    ("track", "error", "sentence"),
    [
        (2, AudioError, "has no audio track 2: it has 2, so give one of 0 to 1"),
        (-1, ConfigError, "track -1 cannot be: tracks are counted from 0"),
        ("both", ConfigError, "track 'both' cannot be: give a number"),
    ],
)
def test_a_track_that_is_not_there(tmp_path, track, error, sentence):
    path = write_tracks(tmp_path / "x.mkv", [tone(300), tone(500)])
    with pytest.raises(error, match=sentence):
        load(path, track=track)


def test_the_only_track_and_the_only_channel_say_so(tmp_path):
    path = write_tracks(tmp_path / "x.mkv", [tone(300)])
    with pytest.raises(AudioError, match="it has one, 0, so leave the track out"):
        load(path, track=1)
    with pytest.raises(AudioError, match="it has one channel, 0, so leave the channel out"):
        load(path, channel=1)


def test_a_track_without_a_decoder_is_passed_over(tmp_path):
    """As phones with spatial audio write it: FFmpeg calls the larger one the best."""
    path = write_tracks(tmp_path / "x.mkv", [tone(300), tone(500)])
    data = path.read_bytes()
    at = data.rindex(b"A_PCM/INT/LIT")  # of the second track
    path.write_bytes(data[:at] + b"A_NOT/INT/LIT" + data[at + 13 :])
    wave, sentences = load(path)
    assert pitch(wave) == 300
    assert "not track 1 (cannot be decoded)" in sentences[0] and "choose" not in sentences[0]
    assert readable_tracks(path) == [0]
    with pytest.raises(AudioError, match="an audio track 1 of a kind that cannot be decoded"):
        load(path, track=1)
    mix, sentences = load(path, track="mix")
    np.testing.assert_array_equal(mix, wave)
    assert "has 2 audio tracks, of which 1 cannot be decoded here" in sentences[0]


def test_of_many_tracks_a_few_are_named(tmp_path):
    path = write_tracks(tmp_path / "x.mkv", [tone(300 + n) for n in range(12)])
    (sentence,) = load(path)[1]
    assert "has 12 audio tracks: track 0 was heard, not track 1, track 2, track 3" in sentence
    assert "track 5 and 6 more; choose" in sentence
