"""Our numbers against pyannote.metrics, on hundreds of random recordings."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from pyannote.core import Segment, Timeline
from pyannote.metrics.diarization import DiarizationErrorRate, JaccardErrorRate

from diarize.core.turns import Turn, merge_touching, to_annotation
from diarize.formats.rttm import read_rttm
from diarize.formats.uem import read_uem
from diarize.scoring import PROTOCOLS, score_diarization, score_jaccard
from diarize.scoring.protocols import Protocol

CORPUS = Path(__file__).parents[4] / "shared" / "corpus" / "conversations"
CASES = 150


def random_turns(generator: np.random.Generator, most_speakers: int) -> list[Turn]:
    """Up to 40 turns of up to 5 s, with gaps, overlaps and exactly touching ends.

    A speaker never overlaps itself: pyannote counts such a stretch twice, we once, on purpose.
    """
    speakers = int(generator.integers(1, most_speakers + 1))
    turns, time = [], 0.0
    for _ in range(int(generator.integers(0, 41))):
        length = float(generator.uniform(0.05, 5))
        speaker = f"S{generator.integers(speakers)}"
        turns.append(Turn(time, time + length, speaker))
        touch, overlap, gap = time + length, time + length * 0.6, time + length + 0.4
        time = float(generator.choice([touch, overlap, gap]))
    merged = merge_touching([t for t in turns if generator.random() < 0.9])
    return [t for t in merged if t.duration_s > 0.01]


def disturbed(turns: list[Turn], generator: np.random.Generator) -> list[Turn]:
    """A hypothesis that resembles `turns`: jittered, partly renamed, lost and invented."""
    result = []
    for start, end, speaker in turns:
        if generator.random() < 0.1:
            continue
        jitter = generator.normal(0, 0.2, 2)
        name = f"H{generator.integers(8)}" if generator.random() < 0.15 else speaker
        result.append(Turn(max(0.0, start + jitter[0]), end + jitter[1], name))
    return merge_touching(result)


def random_uem(generator: np.random.Generator) -> list[tuple[float, float]]:
    edges = np.sort(generator.uniform(0, 90, 2 * int(generator.integers(1, 4))))
    return [(float(a), float(b)) for a, b in edges.reshape(-1, 2)]


def assert_agreement(
    reference: list[Turn],
    hypothesis: list[Turn],
    uem: list[tuple[float, float]] | None,
    protocol: Protocol,
) -> None:
    options = {"collar": 2 * protocol.collar_s, "skip_overlap": protocol.skip_overlap}
    timeline = None if uem is None else Timeline([Segment(*region) for region in uem])
    pair = to_annotation(reference), to_annotation(hypothesis)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the extent stands in for the UEM
        der = DiarizationErrorRate(**options)(*pair, uem=timeline, detailed=True)
        jer = JaccardErrorRate(**options)(*pair, uem=timeline, detailed=True)
    ours = score_diarization(reference, hypothesis, uem=uem, protocol=protocol)
    assert ours.reference_s == pytest.approx(der["total"], abs=1e-6)
    assert ours.missed_s == pytest.approx(der["missed detection"], abs=1e-6)
    assert ours.false_alarm_s == pytest.approx(der["false alarm"], abs=1e-6)
    assert ours.confusion_s == pytest.approx(der["confusion"], abs=1e-6)
    assert ours.rate == pytest.approx(der["diarization error rate"], abs=1e-6)
    jaccard = score_jaccard(reference, hypothesis, uem=uem, protocol=protocol)
    assert jaccard.reference_speakers == jer["speaker count"]
    assert jaccard.error == pytest.approx(jer["speaker error"], abs=1e-6)


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.name)
@pytest.mark.parametrize("with_uem", [False, True], ids=["extent", "uem"])
def test_random_recordings(protocol: Protocol, with_uem: bool) -> None:
    spoken = 0.0
    for seed in range(CASES):
        generator = np.random.default_rng(seed)
        reference = random_turns(generator, 6)
        resembling = seed % 3 > 0
        hypothesis = disturbed(reference, generator) if resembling else random_turns(generator, 8)
        uem = random_uem(generator) if with_uem else None
        assert_agreement(reference, hypothesis, uem, protocol)
        spoken += sum(turn.duration_s for turn in reference)
    assert spoken > 1000  # the cases are not empty


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.name)
def test_more_speakers_than_letters(protocol: Protocol) -> None:
    generator = np.random.default_rng(7)
    reference = [Turn(n * 1.1, n * 1.1 + 1.3, f"r{n % 30}") for n in range(120)]
    hypothesis = [  # shortened at random, so that no two pairings share equally much time
        Turn(t.start_s + float(generator.uniform(0, 0.5)), t.end_s, f"h{n % 40}")
        for n, t in enumerate(reference)
    ]
    assert_agreement(reference, hypothesis, None, protocol)


@pytest.mark.corpus
@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.name)
def test_real_conversations(protocol: Protocol) -> None:
    if not CORPUS.is_dir():
        pytest.skip("the corpus is not beside the repository (../shared/corpus)")
    files = sorted(CORPUS.glob("*.rttm"))
    assert len(files) >= 10
    for seed, file in enumerate(files):
        (turns,) = read_rttm(file).values()
        reference = merge_touching(turns)
        hypothesis = disturbed(reference, np.random.default_rng(seed))
        map_file = file.with_suffix(".uem")
        uem = read_uem(map_file)[file.stem] if map_file.exists() else None
        assert_agreement(reference, hypothesis, uem, protocol)
