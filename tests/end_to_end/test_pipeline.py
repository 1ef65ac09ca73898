"""The whole path on real speech, from Python."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import diarize.audio.recording
from diarize import Diarizer
from diarize.clustering import CLUSTERERS
from diarize.clustering.api import SpeakerCount, cluster
from diarize.core.turns import speaking_time
from diarize.formats.rttm import read_rttm
from diarize.pipeline.config import load_config
from diarize.scoring import score_recording
from diarize.segmentation import SEGMENTERS
from encoder import load_audio
from encoder.errors import CheckpointError, ToolkitError
from encoder.inference.window_embedder import Stretch

pytestmark = pytest.mark.wheel


@pytest.fixture(scope="session")
def diarizer():
    return Diarizer.from_config()


@pytest.fixture(scope="session")
def wave(meeting):
    return load_audio(meeting)


@pytest.fixture(scope="session")
def result(diarizer, meeting):
    return diarizer(meeting)


def test_the_meeting_is_diarized_far_better_than_by_one_speaker(result, meeting):
    (reference,) = read_rttm(meeting.with_suffix(".rttm")).values()
    everything = [reference[0]._replace(start_s=0.0, end_s=60.0)]
    ours = score_recording("m", reference, result.turns, uem=[(0.0, 60.0)]).der["full"]
    one = score_recording("m", reference, everything, uem=[(0.0, 60.0)]).der["full"]
    assert ours.rate < 0.50 < one.rate  # measured: 0.46 and 0.61
    assert (ours.missed_s + ours.false_alarm_s) / ours.reference_s < 0.30


def test_turns_are_in_order_and_inside(result):
    assert result.turns == sorted(result.turns)
    assert all(0 <= t.start_s < t.end_s <= result.duration_s for t in result.turns)
    assert result.duration_s == pytest.approx(60.0, abs=0.01)
    names = list(dict.fromkeys(t.speaker for t in result.turns))
    assert names == sorted(names)  # numbered by first appearance


@pytest.mark.parametrize("clusterer", CLUSTERERS.names())
@pytest.mark.parametrize("speakers", [1, 2, 4, 7])
def test_the_known_number_of_speakers_is_what_comes_out(diarizer, result, clusterer, speakers):
    labels = cluster(result.embeddings, CLUSTERERS.load(clusterer)(), SpeakerCount.of(speakers))
    assert len(set(labels)) == speakers


def test_counts_reach_the_turns(diarizer, wave):
    some = wave[: 20 * 16_000]
    assert len(diarizer(some, speakers=3).speakers) == 3
    assert len(diarizer(some, max_speakers=1).speakers) == 1
    assert len(diarizer(some, min_speakers=5).speakers) >= 5


def test_the_same_recording_twice_gives_the_same_turns(diarizer, result, meeting):
    again = diarizer(meeting)
    assert again.turns == result.turns
    np.testing.assert_array_equal(again.embeddings, result.embeddings)


def test_the_file_in_blocks_of_any_length_is_the_whole_wave(
    diarizer, result, wave, meeting, monkeypatch
):
    assert diarizer(wave, uri=result.uri).to_rttm() == result.to_rttm()
    for block_s in (1.7, 60.0):
        monkeypatch.setattr(diarize.audio.recording, "BLOCK", round(block_s * 16_000))
        monkeypatch.setattr(diarize.audio.recording, "IN_MEMORY", 1 << 20)
        again = diarizer(meeting)
        assert again.turns == result.turns
        assert np.array_equal(again.embeddings, result.embeddings)


def test_windows_that_share_work_keep_their_voices(diarizer, wave):
    """A window is nearer to itself alone than to windows that it does not overlap."""
    some = wave[5 * 16_000 : 17 * 16_000]
    starts = np.arange(0, len(some) - 25_600, 6_400)
    bounds = np.stack([starts, starts + 25_600], axis=1)
    (shared,) = diarizer.embedder.embed_stretches([Stretch(some, bounds)])
    similarity = shared @ diarizer.embedder.embed_windows(some, bounds).T
    own = np.diag(similarity)
    assert own.min() > 0.7 and np.median(own) > 0.9
    apart = np.abs(np.subtract.outer(starts, starts)) >= 25_600
    assert (own > np.where(apart, similarity, -1).max(axis=1)).mean() > 0.9


@pytest.mark.parametrize("gain", [0.25, 0.003])
def test_loudness_does_not_change_who_spoke(diarizer, wave, gain):
    plain, other = diarizer(wave, speakers=4), diarizer(wave * gain, speakers=4)
    error = score_recording("m", plain.turns, other.turns, uem=[(0.0, 60.0)]).der["full"]
    assert error.rate < 0.02


@pytest.mark.parametrize("samples", [0, 1, 100, 16_000, 160_000])
def test_silence_of_any_length_is_an_empty_result(diarizer, samples):
    result = diarizer(torch.zeros(samples))
    assert result.turns == [] and result.speakers == {}
    assert result.to_mapping()["speakers"] == []


def test_two_seconds_of_speech_are_one_speaker_unless_two_are_asked_for(diarizer, wave):
    some = wave[8 * 16_000 : 10 * 16_000]
    assert len(diarizer(some).speakers) == 1
    assert len(diarizer(some, speakers=2).speakers) == 2


def test_more_speakers_than_windows_is_said(diarizer, wave):
    result = diarizer(wave[8 * 16_000 : 9 * 16_000], speakers=5)
    assert 1 <= len(result.speakers) < 5
    assert len(result.warnings) == 1 and "5 speakers were asked for" in result.warnings[0]


def test_one_voice_alone_is_one_speaker(meeting, wave):
    """Cut out of a meeting: to our segmentation network the seams are changes of speaker."""
    diarizer = Diarizer.from_config(load_config(settings=["segmenter=silero"]))
    (reference,) = read_rttm(meeting.with_suffix(".rttm")).values()
    busiest = max({t.speaker for t in reference}, key=lambda s: speaking_time(reference)[s])
    alone = np.zeros(len(wave), int)
    for turn in reference:
        part = slice(round(turn.start_s * 16_000), round(turn.end_s * 16_000))
        alone[part] += 1 if turn.speaker == busiest else 10
    piece = wave[torch.from_numpy(alone == 1)]
    assert len(piece) > 10 * 16_000
    assert len(diarizer(piece).speakers) == 1


@pytest.mark.parametrize("segmenter", SEGMENTERS.names())
def test_every_segmenter_serves(segmenter, wave):
    try:
        diarizer = Diarizer.from_config(load_config(None, [f"segmenter={segmenter}"]))
    except CheckpointError as error:
        if segmenter != "pyannote":
            raise
        pytest.skip(str(error))  # its weights are fetched once
    assert len(diarizer(wave[: 20 * 16_000]).turns) >= 2


def test_progress_is_reported_stage_by_stage(diarizer, meeting):
    seen = []
    diarizer(meeting, on_stage=lambda stage, done, total: seen.append((stage, done, total)))
    stages = list(dict.fromkeys(stage for stage, _, _ in seen))
    assert stages == ["read", "segment", "embed", "cluster"]
    embedded = [(done, total) for stage, done, total in seen if stage == "embed"]
    assert embedded[-1][0] == embedded[-1][1] == len(diarizer(meeting).windows)


def test_annotation_holds_every_turn(result):
    annotation = result.annotation
    assert len(list(annotation.itertracks())) == len(result.turns)
    assert sorted(annotation.labels()) == sorted(result.speakers)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (["window.stepp_s=1"], "window.stepp_s"),
        (["clusterer=kmeans"], "agglomerative, hdbscan"),
        (["clustering.agglomerative.foo=1"], "clustering.agglomerative.foo"),
        (["clustering.kmeans.foo=1"], "kmeans"),
        (["window.step_s=fast"], "fast"),
        (["window.step_s"], "a.b=value"),
        (["embedder=nonesuch"], "nonesuch"),
    ],
)
def test_settings_that_cannot_be_used_are_named(settings, says):
    with pytest.raises(ToolkitError, match=says):
        Diarizer.from_config(load_config(None, settings))
