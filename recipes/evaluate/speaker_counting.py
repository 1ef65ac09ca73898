"""How many speakers: rules compared on the development conversations, and on single voices.

    python -m recipes.evaluate.speaker_counting --data ../shared/corpus
        [--embedder NAME|FILE|onnx:NAME ...] [--set segmenter=... ...]

The vectors of a recording are cut out once and kept, so that rules are compared in seconds. A rule
is tried with several values of its one knob. `left out`: counts right where each recording gets the
value that is best for the others. `alone`: of the single voices, cut out of the recordings by the
reference, how many are found to be one speaker. Two rows are no rules: `oracle speaker count` is
given the number, and shows the confusion that counting can at best leave; `windows` is the number
of speakers who have at least so many windows almost to themselves, which is about all that any rule
could find in these windows. Writes recipes/results/counting.json; with --embedder only into the
folder of --results.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Optional

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from diarize.clustering.agglomerative import Agglomerative, AgglomerativeConfig
from diarize.clustering.api import SpeakerCount, cluster
from diarize.clustering.base import Clusterer
from diarize.clustering.count_enforcement import dissolve, merge_similar
from diarize.clustering.hdbscan import Hdbscan, HdbscanConfig
from diarize.clustering.linkage.average_linkage import average_tree, cut_tree
from diarize.core.output import write_atomic
from diarize.core.vectors import group_means
from diarize.embedding.windows import Windows
from diarize.pipeline.config import load_config
from diarize.pipeline.diarizer import Diarizer
from diarize.postprocessing.turns import assemble
from diarize.scoring.report import score_recording
from encoder.calibration.score_calibration import Calibration
from encoder.common.atomic_files import replacing
from encoder.errors import ToolkitError
from recipes.shared.conversations import Conversation, conversations_in
from recipes.shared.embedders import (
    CorpusFolder,
    EmbedderNames,
    ResultsFolder,
    VectorCache,
    each_embedder,
    results_folder,
    stop,
)

PROTOCOL = "development conversations; single voices cut out of them by their references"
MINE, OTHERS = 0.9, 0.05  # of a window of a single voice: at least its own, at most of others
VOICE_WINDOWS = 12  # a single voice has so many windows or more
MOSTLY, HARDLY = 0.6, 0.3  # the same for what a rule could find
Labels = NDArray[np.int64]


class Seen(NamedTuple):
    """A recording's windows and vectors (N, D), and each speaker's share of a window (N, K)."""

    conversation: Conversation
    windows: Windows
    vectors: NDArray[np.float32]
    decides: NDArray[np.bool_]
    shares: NDArray[np.float64]


class Rule(NamedTuple):
    """Clusterers to choose from by one knob."""

    name: str
    knob: str
    values: Sequence[float]
    make: Callable[[float, Calibration], Clusterer]


@dataclass(frozen=True)
class Joined(Clusterer):
    """A cut where two windows are of one speaker with a calibrated probability; what is left of it
    is joined: twins by `merge_similar`, or clusters that are one voice with `probability`."""

    calibration: Calibration
    cut_at: float
    merge_ratio: float | None = None
    probability: float = 0.5
    smallest: int = 8

    def fit_predict(
        self, unit: NDArray[np.floating], count: SpeakerCount, group: Labels | None = None
    ) -> Labels:
        tree = average_tree(unit)
        highest = 1 - self.calibration.similarity(self.cut_at, WINDOW_S, WINDOW_S)
        labels = cut_tree(tree, int((tree[:, 2] > highest).sum()) + 1)
        labels = dissolve(unit, labels, max(self.smallest, round(0.01 * len(unit))))
        if self.merge_ratio is not None:
            return merge_similar(unit, labels, self.merge_ratio)
        return self._one_voice(unit, labels)

    def _one_voice(self, unit: NDArray[np.floating], labels: Labels) -> Labels:
        while True:
            labels = np.unique(labels, return_inverse=True)[1]
            K = int(labels.max()) + 1
            means = group_means(unit, labels, K)
            means /= np.linalg.norm(means, axis=1, keepdims=True)
            speech_s = STEP_S * np.bincount(labels) + WINDOW_S - STEP_S
            same = self.calibration.probability(means @ means.T, speech_s[:, None], speech_s)
            np.fill_diagonal(same, -1.0)
            a, b = divmod(int(same.argmax()), K)
            if K == 1 or same[a, b] < self.probability:
                return labels
            labels[labels == b] = a


def _agglomerative(**settings: Any) -> Clusterer:
    return Agglomerative(AgglomerativeConfig(**settings))


def _distance(probability: float, calibration: Calibration) -> Clusterer:
    least = calibration.similarity(probability, WINDOW_S, WINDOW_S)
    return _agglomerative(count_by="distance", max_distance=1 - least)


WINDOW_S, STEP_S = 1.6, 0.4  # as WindowConfig has them: what is calibrated, and what is new in it
CHANCES = (0.1, 0.3, 0.5, 0.7, 0.9)
HIGH = (0.5, 0.7, 0.9, 0.97, 0.99)
RATIOS = (0.6, 0.7, 0.8, 0.85, 0.9)
SHARES = (0.04, 0.08, 0.12)
MOST = (4, 12)
RULES = (
    Rule("pairs", "merge_ratio", RATIOS, lambda x, _: _agglomerative(merge_ratio=x)),
    *(
        Rule(
            by,
            "max_speakers_tried",
            MOST,
            lambda x, _, by=by: _agglomerative(count_by=by, max_speakers_tried=int(x)),
        )
        for by in ("eigengap", "silhouette")
    ),
    Rule("calibrated distance", "P", CHANCES, _distance),
    Rule("calibrated, twins joined", "P", CHANCES, lambda x, c: Joined(c, x, merge_ratio=0.85)),
    Rule("cut at 0.5, one voice joined", "P", HIGH, lambda x, c: Joined(c, 0.5, probability=x)),
    Rule(
        "hdbscan",
        "min_cluster_share",
        SHARES,
        lambda x, _: Hdbscan(HdbscanConfig(min_cluster_share=x)),
    ),
)


def main(
    data: CorpusFolder,
    embedder: EmbedderNames = None,
    settings: Annotated[Optional[list[str]], typer.Option("--set", help="a.b=c")] = None,  # noqa: UP045
    cache: VectorCache = Path("cache/vectors"),
    results: ResultsFolder = None,
) -> None:
    """Compare, print, write."""
    try:
        if (conversations := conversations_in(data)) is None:
            return
        measured = each_embedder(
            embedder, lambda name: _compare(name, conversations, cache, settings or [])
        )
        for one in measured:
            _show(one)
        if (kept := results_folder(results, embedder or settings)) is not None:
            stored = {"protocol": PROTOCOL, "embedders": measured}
            write_atomic(kept / "counting.json", json.dumps(stored, indent=1) + "\n")
    except ToolkitError as error:
        raise stop(error) from None


def _compare(
    name: str, conversations: list[Conversation], cache: Path, settings: list[str]
) -> dict[str, Any]:
    diarizer = Diarizer.from_config(
        replace(load_config(None, ["segmenter=silero", *settings]), embedder=name)
    )
    seen = [_seen(c, *found) for c, found in zip(
        conversations, _vectors(diarizer, conversations, cache), strict=True)]  # fmt: skip
    voices = [voice for one in seen for voice in _voices(one)]
    true = [one.shares.shape[1] for one in seen]
    rows = []
    for rule in RULES:
        if diarizer.calibration is None and rule.knob == "P":
            continue
        tried = [
            _measured(seen, voices, rule.make(value, diarizer.calibration)) for value in rule.values
        ]
        for value, row in zip(rule.values, tried, strict=True):
            rows.append({"rule": rule.name, "knob": rule.knob, "value": value, **row})
        rows[-1]["left_out"] = _left_out(np.array([row["found"] for row in tried]), np.array(true))
    oracle = _measured(seen, [], _agglomerative(), oracle=True)
    rows.append(
        {"rule": "oracle speaker count", "knob": "", "value": None, **oracle, "alone": None}
    )
    for least in (2, 4, 8):
        there = [_there(one, least) for one in seen]
        rows.append({"rule": "windows", "knob": "at least", "value": least, "found": there,
                     **_counts(there, true), "confusion": None, "alone": None})  # fmt: skip
    return {
        "name": name,
        "fingerprint": diarizer.embedder.fingerprint,
        "recordings": [one.conversation.name for one in seen],
        "true": true,
        "voices": len(voices),
        "rules": rows,
    }


def _vectors(
    diarizer: Diarizer, conversations: list[Conversation], cache: Path
) -> list[tuple[Windows, NDArray[np.float32]]]:
    """Windows and vectors of every conversation, from the cache if they are there."""
    config = diarizer.config
    about = [config.segmenter, str(config.segmentation), str(config.window)]
    about += [f"{c.name} {c.path.stat().st_size}" for c in conversations]
    key = hashlib.sha256("\n".join(about).encode()).hexdigest()[:12]
    path = cache / f"windows-{diarizer.embedder.fingerprint}-{key}.npz"
    if not path.is_file():
        arrays = {}
        for number, conversation in enumerate(conversations):
            found = diarizer(conversation.path)
            windows = found.windows
            columns = (windows.bounds, windows.territory, windows.region, found.embeddings)
            arrays.update({f"{number}-{at}": column for at, column in enumerate(columns)})
        with (
            replacing(path, what="the vectors ", private=True) as partial,
            partial.open("wb") as handle,
        ):
            np.savez(handle, **arrays)
    with np.load(path) as stored:
        columns = [[stored[f"{n}-{at}"] for at in range(4)] for n in range(len(conversations))]
    return [(Windows(*three), vectors) for *three, vectors in columns]


def _seen(conversation: Conversation, windows: Windows, vectors: NDArray[np.float32]) -> Seen:
    speakers = sorted({turn.speaker for turn in conversation.reference})
    starts, ends = windows.bounds.T / 16_000
    shares = np.zeros((len(windows), len(speakers)))
    for turn in conversation.reference:
        both_s = np.minimum(ends, turn.end_s) - np.maximum(starts, turn.start_s)
        shares[:, speakers.index(turn.speaker)] += np.clip(both_s, 0, None) / (ends - starts)
    return Seen(conversation, windows, vectors, windows.lengths_s >= 1.0, shares)


def _own(seen: Seen, least: float, most: float) -> NDArray[np.bool_]:
    """Which speaker (N, K) has a window of full length almost to itself."""
    others = seen.shares.sum(axis=1, keepdims=True) - seen.shares
    return (seen.shares > least) & (others < most) & seen.decides[:, None]


def _voices(seen: Seen) -> list[NDArray[np.float32]]:
    own = _own(seen, MINE, OTHERS).T
    return [seen.vectors[rows] for rows in own if rows.sum() >= VOICE_WINDOWS]


def _there(seen: Seen, least: int) -> int:
    return int((_own(seen, MOSTLY, HARDLY).sum(axis=0) >= least).sum())


def _measured(
    seen: list[Seen], voices: list[NDArray[np.float32]], clusterer: Clusterer, oracle: bool = False
) -> dict[str, Any]:
    found, confusion_s, reference_s = [], 0.0, 0.0
    for one in seen:
        count = SpeakerCount.of(one.shares.shape[1] if oracle else None)
        labels = cluster(one.vectors, clusterer, count, decides=one.decides)
        found.append(int(labels.max(initial=-1)) + 1)
        talk = one.conversation
        turns = assemble(one.windows, labels)
        full = score_recording(talk.name, talk.reference, turns, uem=talk.uem).der["full"]
        confusion_s += full.confusion_s
        reference_s += full.reference_s
    return {
        "found": found,
        **_counts(found, [one.shares.shape[1] for one in seen]),
        "confusion": confusion_s / reference_s,
        "alone": sum(int(cluster(rows, clusterer).max()) == 0 for rows in voices),
    }


def _counts(found: Sequence[int], true: Sequence[int]) -> dict[str, Any]:
    """Counts right, mean absolute error, and how often a true number became a found one."""
    both = np.stack([true, found], axis=1)
    matrix: dict[str, dict[str, int]] = {}
    for (is_, became), times in zip(*np.unique(both, axis=0, return_counts=True), strict=True):
        matrix.setdefault(str(is_), {})[str(became)] = int(times)
    right = int((both[:, 0] == both[:, 1]).sum())
    return {"right": right, "error": float(abs(both[:, 0] - both[:, 1]).mean()), "matrix": matrix}


def _left_out(found: Labels, true: Labels) -> int:
    """found (V, R) by value of the knob and recording: counts right where each recording gets the
    value that is best for the others; of equals the middle one."""
    right = found == true
    others = right.sum(axis=1, keepdims=True) - right
    best = [np.flatnonzero(column == column.max()) for column in others.T]
    chosen = [int(equals[len(equals) // 2]) for equals in best]
    return int(right[chosen, np.arange(len(true))].sum())


def _show(measured: dict[str, Any]) -> None:
    recordings, voices = len(measured["true"]), measured["voices"]
    table = Table(title=f"{measured['name']}: {recordings} recordings, {voices} single voices")
    titles = ("rule", "knob", "right", "left out", "error", "confus. %", "alone", "true: found")
    for title in titles:
        table.add_column(title, justify="left" if title in ("rule", "true: found") else "right")
    for row in measured["rules"]:
        knob = "" if row["value"] is None else f"{row['knob']} {row['value']:g}"
        matrix = "; ".join(
            f"{true}: " + " ".join(f"{k}x{n}" for k, n in found.items())
            for true, found in row["matrix"].items()
        )
        confusion = "" if row["confusion"] is None else f"{100 * row['confusion']:.1f}"
        alone = "" if row["alone"] is None else str(row["alone"])
        left_out = str(row.get("left_out", ""))
        table.add_row(
            row["rule"], knob, str(row["right"]), left_out, f"{row['error']:.2f}", confusion, alone,
            matrix,
        )  # fmt: skip
    Console(width=150).print(table)


if __name__ == "__main__":
    typer.run(main)
