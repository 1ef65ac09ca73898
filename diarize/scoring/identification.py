"""Identification on a folder of speakers or on a list: one among 100, and one among all.

The two protocols are those of `encoder.evaluation.identification` and
`encoder.evaluation.closed_set`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from diarize.core.text import plural
from diarize.formats.trial_lists import IdentificationList
from diarize.scoring.verification import notes_on, whole_files
from encoder.data.manifest import Utterance
from encoder.errors import CorpusError
from encoder.evaluation.bootstrap import Interval, interval_of, resample_shares
from encoder.evaluation.closed_set import closed_set_ranks
from encoder.evaluation.protocol import Measures, ProtocolConfig, measure_by_dataset

if TYPE_CHECKING:
    from encoder.inference.window_embedder import WindowEmbedder

__all__ = ["ListScore", "identify_corpus", "identify_list"]

MOST_PAIRS = 1_000_000  # of a data set; its error rates are of so many, drawn by chance


@dataclass(frozen=True)
class ListScore:
    """Closed-set identification on a list: shares right, 95 % intervals over speakers.

    left_out: files that cannot be read. tests_left_out: tests of speakers without any other.
    """

    top1: float
    top5: float | None
    intervals: dict[str, Interval]
    speakers: int
    tests: int
    left_out: int
    tests_left_out: int = 0

    def to_json(self) -> dict[str, Any]:
        """Plain numbers by name."""
        return asdict(self)


def identify_list(
    listed: IdentificationList,
    root: str | Path,
    embedder: WindowEmbedder,
    *,
    replicates: int = 500,
    seed: int = 0,
    on_done: Callable[[int, int], None] | None = None,
) -> tuple[ListScore, list[str]]:
    """Identify every test among all who are enrolled; sentences on files that cannot be read or are
    long, and on the tests of speakers who therefore are not enrolled.

    CorpusError if the list tests a speaker whom it does not enroll, or if fewer than two speakers
    or no test remain.
    """
    speakers = {listed.speakers[row] for row in listed.enroll}
    not_enrolled = [
        listed.speakers[row] for row in listed.test if listed.speakers[row] not in speakers
    ]
    if listed.enroll and not_enrolled:
        raise CorpusError(
            f"{not_enrolled[0]!r} is tested but not enrolled: give an utterance that enrolls them"
        )
    _check(len(speakers), len(listed.test), "the list has")
    paths = list(dict.fromkeys(listed.paths[row] for row in [*listed.enroll, *listed.test]))
    vectors, _, notes = whole_files(paths, root, embedder, on_done=on_done)
    place = {path: number for number, path in enumerate(paths)}
    names = {
        place[p]: who for p, who in zip(listed.paths, listed.speakers, strict=True) if p in place
    }
    readable = ~np.isnan(vectors[:, 0])
    enroll, test = (
        [row for row in (place[listed.paths[i]] for i in role) if readable[row]]
        for role in (listed.enroll, listed.test)
    )
    known = {names[row] for row in enroll}
    lost = Counter(names[row] for row in test if names[row] not in known)
    for speaker, count in lost.items():
        notes.append(
            f"left out: {plural(count, 'test')} of {speaker!r}, as no file that enrolls them can "
            "be read"
        )
    test = [row for row in test if names[row] in known]
    _check(len(known), len(test), "the files that can be read are of")
    ranks = closed_set_ranks(vectors, [names[n] for n in range(len(paths))], enroll, test)
    intervals: dict[str, Interval] = {}
    for places in (1, 5):
        draws = resample_shares(*ranks.by_speaker(places), replicates=replicates, seed=seed)
        if (found := interval_of(draws)) is not None and places < ranks.enrolled:
            intervals[f"top{places}"] = found
    top5 = ranks.top(5) if ranks.enrolled > 5 else None
    score = ListScore(
        top1=ranks.top(1),
        top5=top5,
        intervals=intervals,
        speakers=ranks.enrolled,
        tests=len(test),
        left_out=int((~readable).sum()),
        tests_left_out=lost.total(),
    )
    return score, notes


def _check(enrolled: int, tests: int, which: str) -> None:
    if enrolled < 2 or not tests:
        raise CorpusError(
            f"{which} {plural(enrolled, 'enrolled speaker')} and {plural(tests, 'test')}: "
            "identification needs two speakers and a test"
        )


def identify_corpus(
    utterances: Sequence[Utterance],
    embedder: WindowEmbedder,
    *,
    config: ProtocolConfig | None = None,
    most_pairs: int = MOST_PAIRS,
    on_done: Callable[[int, int], None] | None = None,
) -> tuple[dict[str, Measures], list[str]]:
    """Both protocols on whole utterances, by data set and "mean"; sentences on files that cannot be
    read or are long, and on data sets whose error rates are of drawn pairs.

    A data set needs two speakers here. CorpusError if none has them.
    """
    from encoder.inference.extraction import crop_vectors

    found = crop_vectors(embedder, utterances, crops={"full": None}, on_done=on_done)
    kept = [utterances[row] for row in found.kept]
    measures = measure_by_dataset(
        found.by_crop["full"], kept, config=config, minimum_speakers=2, most_pairs=most_pairs
    )
    notes = notes_on(found, [str(u.path) for u in utterances])
    for dataset, part in measures.items():
        pairs = part.utterances * (part.utterances - 1) // 2
        if dataset != "mean" and pairs > most_pairs:
            notes.append(
                f"{dataset!r} has {pairs:,} pairs of utterances: its equal error rate is of at "
                f"most {most_pairs:,} drawn by chance"
            )
    return measures, notes
