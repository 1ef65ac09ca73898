"""Results whose turns overlap, from a segmenter that tells speakers apart."""

import json
from itertools import pairwise

import numpy as np
import pytest
import torch

from diarize.clustering.agglomerative import Agglomerative
from diarize.core.speaker_count import SpeakerCount
from diarize.core.turns import UNKNOWN
from diarize.formats.rttm import read_rttm
from diarize.gallery.identification import Naming
from diarize.pipeline.config import DiarizeConfig
from diarize.pipeline.diarizer import Diarizer
from diarize.postprocessing.confidence import TurnCalibration
from diarize.postprocessing.config import AggregationConfig
from diarize.segmentation.base import ChunkActivity, Segmentation, Segmenter
from encoder.calibration.score_calibration import Calibration
from encoder.errors import ConfigError
from tests.support.tones import BandEmbedder

RATE, HOP = 16_000, 320
LENGTH_S = 24.0
TRUTH = {450.0: [(1, 8), (14, 20)], 950.0: [(6, 15), (21, 23)]}  # who (in Hz) speaks when
CALIBRATION = TurnCalibration(8.0, 0.5, 0.5).stored_in(Calibration("bands", 10.0, -5.0))


def sound():
    at = torch.arange(round(LENGTH_S * RATE)) / RATE
    wave = 0.001 * torch.randn(len(at), generator=torch.Generator().manual_seed(0))
    for hertz, turns in TRUTH.items():
        for start, end in turns:
            part = slice(start * RATE, end * RATE)
            wave[part] += 0.1 * torch.sin(2 * torch.pi * hertz * at[part])
    return wave


class Knows(Segmenter):
    """Chunks of 10 s that begin every 7 s and number their speakers anew each time."""

    def segment(self, blocks):
        length = sum(len(block) for block in blocks)
        frames = np.arange(-(-length // HOP)) * HOP / RATE
        who = np.stack(
            [
                np.any([(frames >= a) & (frames < b) for a, b in turns], axis=0)
                for turns in TRUTH.values()
            ],
            axis=1,
        ).astype(np.float32)
        starts = np.array([0, 350, 700])
        activity = np.zeros((3, 500, 3), np.float32)
        for c, start in enumerate(starts):
            activity[c][:, [c % 3, (c + 1) % 3]] = who[start : start + 500]
        edges = np.flatnonzero(np.diff(np.concatenate([[0], who.any(axis=1), [0]])))
        return Segmentation(edges.reshape(-1, 2) * HOP, ChunkActivity(activity, starts * HOP, HOP))


def diarize(calibration=CALIBRATION, **settings):
    diarizer = Diarizer(
        DiarizeConfig(**settings), Knows(), BandEmbedder(), Agglomerative(), calibration
    )
    return diarizer(sound(), speakers=2, uri="talk")


def spans(result):
    return [(round(t.start_s, 2), round(t.end_s, 2), t.speaker) for t in result.turns]


def test_both_speak_where_both_speak():
    assert spans(diarize()) == [
        (1, 8, "SPEAKER_00"),
        (6, 15, "SPEAKER_01"),
        (14, 20, "SPEAKER_00"),
        (21, 23, "SPEAKER_01"),
    ]


def test_exclusive_turns_never_overlap():
    found = spans(diarize(aggregation=AggregationConfig(exclusive=True)))
    assert all(a[1] <= b[0] for a, b in pairwise(found))
    assert found[0][0] == 1 and found[-1] == (21, 23, "SPEAKER_01")
    assert sum(end - start for start, end, _ in found) == pytest.approx(21)


def test_what_one_prepared_another_of_the_same_embedder_decides():
    def diarizer(embedder, exclusive=False):
        config = DiarizeConfig(aggregation=AggregationConfig(exclusive=exclusive))
        return Diarizer(config, Knows(), embedder, Agglomerative())

    prepared = diarizer(BandEmbedder()).prepare(sound(), uri="talk")
    for exclusive in (False, True, False):
        found = diarizer(BandEmbedder(), exclusive).decide(prepared, SpeakerCount.of(2))
        assert spans(found) == spans(diarize(aggregation=AggregationConfig(exclusive=exclusive)))
    with pytest.raises(ValueError, match="not with ffffffff"):
        diarizer(BandEmbedder("ffffffff")).decide(prepared)


def test_a_count_is_the_three_bounds_in_one():
    diarizer = Diarizer(DiarizeConfig(), Knows(), BandEmbedder(), Agglomerative())
    by_count, by_number = diarizer(sound(), count=SpeakerCount.of(2)), diarizer(sound(), speakers=2)
    assert by_count.to_json() == by_number.to_json()
    assert by_count.to_mapping()["asked"]["speakers"] == 2
    with pytest.raises(ConfigError, match="count is given"):
        diarizer(sound(), count=SpeakerCount.of(2), speakers=2)


def test_overlap_survives_the_formats(tmp_path):
    result = diarize()
    result.write_rttm(tmp_path / "talk.rttm")
    assert read_rttm(tmp_path / "talk.rttm")["talk"] == result.turns
    content = json.loads(result.to_json())
    assert [turn["start_s"] for turn in content["turns"]] == [1, 6, 14, 21]
    assert content["speakers"][0]["speech_s"] == 13 and content["speakers"][1]["speech_s"] == 11


def test_each_turn_has_its_own_confidence():
    result = diarize()
    assert result.confidence.shape == (4,) and (result.confidence > 0.5).all()
    numbers = result.window_turns
    assert set(numbers) <= {-1, 0, 1, 2, 3} and {0, 1, 2, 3} <= set(numbers)
    middle_s = result.windows.territory.mean(axis=1) / RATE
    for number, second in zip(numbers, middle_s, strict=True):
        if number >= 0:
            assert result.turns[number].start_s <= second < result.turns[number].end_s
    assert np.isnan(diarize(calibration=None).confidence).all()


def test_a_turn_without_a_window_is_unsure():
    """The second speaker's only windows are elsewhere."""
    result = diarize()
    first, second = result.speaker_regions
    regions = [first, np.concatenate([second, [[18 * RATE, 19 * RATE]]])]
    from dataclasses import replace

    more = replace(result, speaker_regions=regions)
    assert spans(more)[3] == (18, 19, "SPEAKER_01")
    assert more.confidence[3] == pytest.approx(1 / (1 + np.exp(-0.5)))  # the offset alone
    assert more.confidence[[0, 1, 2, 4]] == pytest.approx(result.confidence)
    doubtful = replace(more, config=replace(more.config, min_confidence=0.7))
    assert [t.speaker == UNKNOWN for t in doubtful.turns] == [0, 0, 0, 1, 0]


def test_two_voices_of_one_name_are_one_speaker():
    named = diarize().named(Naming(["Ada", "Ada"], [None, None], [None, None]))
    assert spans(named) == [(1, 20, "Ada"), (21, 23, "Ada")]
    assert len(named.confidence) == 2
    apart = diarize().named(Naming([None, "Ben"], [None, None], [None, None]))
    assert [turn.speaker for turn in apart.turns] == ["SPEAKER_00", "Ben", "SPEAKER_00", "Ben"]


def test_silence_has_no_turns():
    class Silent(Segmenter):
        def segment(self, blocks):
            list(blocks)
            activity = np.zeros((1, 50, 3), np.float32)
            chunks = ChunkActivity(activity, np.zeros(1, np.int64), HOP)
            return Segmentation(np.zeros((0, 2), np.int64), chunks)

    result = Diarizer(DiarizeConfig(), Silent(), BandEmbedder(), Agglomerative())(sound())
    assert result.turns == [] and result.confidence.shape == (0,)
