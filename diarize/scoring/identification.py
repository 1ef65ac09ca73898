"""Identification on a folder of speakers or on a list: one among 100, and one among all.

The two protocols are those of `encoder.identification` and `encoder.closed_set`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from diarize.scoring.trials import IdentificationList
from diarize.scoring.verification import whole_files
from encoder.bootstrap import Interval, interval_of, resample_shares
from encoder.closed_set import closed_set_ranks
from encoder.errors import CorpusError
from encoder.manifest import Utterance
from encoder.protocol import Measures, ProtocolConfig, measure_by_dataset

if TYPE_CHECKING:
    from encoder.crops import WindowEmbedder

__all__ = ["ListScore", "identify_corpus", "identify_list"]


@dataclass(frozen=True)
class ListScore:
    """Closed-set identification on a list: shares right, 95 % intervals over speakers."""

    top1: float
    top5: float | None
    intervals: dict[str, Interval]
    speakers: int
    tests: int
    left_out: int

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
    """Tell every test among all who are enrolled; sentences on the files that cannot be read.

    CorpusError if a tested speaker is not enrolled, or nothing remains to enrol or to test.
    """
    paths = list(dict.fromkeys(listed.paths[row] for row in [*listed.enrol, *listed.test]))
    vectors, _, left_out = whole_files(paths, root, embedder, on_done=on_done)
    place = {path: number for number, path in enumerate(paths)}
    names = {
        place[p]: who for p, who in zip(listed.paths, listed.speakers, strict=True) if p in place
    }
    readable = ~np.isnan(vectors[:, 0])
    enrol, test = (
        [row for row in (place[listed.paths[i]] for i in role) if readable[row]]
        for role in (listed.enrol, listed.test)
    )
    if not enrol or not test:
        raise CorpusError(
            f"{len(enrol)} files enrol and {len(test)} are tested: identification needs both"
        )
    told = closed_set_ranks(vectors, [names[n] for n in range(len(paths))], enrol, test)
    intervals: dict[str, Interval] = {}
    for places in (1, 5):
        draws = resample_shares(*told.by_speaker(places), replicates=replicates, seed=seed)
        if (found := interval_of(draws)) is not None and places < told.enrolled:
            intervals[f"top{places}"] = found
    top5 = told.top(5) if told.enrolled > 5 else None
    score = ListScore(
        told.top(1), top5, intervals, told.enrolled, len(test), int((~readable).sum())
    )
    return score, left_out


def identify_corpus(
    utterances: Sequence[Utterance],
    embedder: WindowEmbedder,
    *,
    config: ProtocolConfig | None = None,
    on_done: Callable[[int, int], None] | None = None,
) -> tuple[dict[str, Measures], list[str]]:
    """Both protocols on whole utterances, by data set and "mean"; sentences on unreadable files.

    A data set needs two speakers here. CorpusError if none has them.
    """
    from encoder.crops import crop_vectors

    found = crop_vectors(embedder, utterances, crops={"full": None}, on_done=on_done)
    kept = [utterances[row] for row in found.kept]
    measures = measure_by_dataset(found.by_crop["full"], kept, config=config, minimum_speakers=2)
    return measures, found.left_out
