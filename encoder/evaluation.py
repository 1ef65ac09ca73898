"""How well an embedder tells speakers apart.

Protocol: every utterance is embedded once, whole or as one centred crop; all pairs inside one data
set are verification trials (across data sets the channel would give the answer away), and
`encoder.identification` draws the identification trials. Measures are made for each data set with
at least `MINIMUM_SPEAKERS` speakers and averaged, every data set weighing the same.

`measure_by_dataset` takes the vectors of any embedder (`encoder.crops`). `eer_by_dataset` is the
short way for a network in training, on a feature bank (speed 1.0).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from encoder.dataset import FeatureBank
from encoder.errors import CorpusError
from encoder.features import normalise
from encoder.identification import enrolled_accuracy, identification_trials
from encoder.manifest import Utterance
from encoder.metrics import eer, min_dcf, verification_trials

__all__ = [
    "MINIMUM_SPEAKERS",
    "Measures",
    "ProtocolConfig",
    "bank_embeddings",
    "eer_by_dataset",
    "measure_by_dataset",
]

MINIMUM_SPEAKERS = 4


@dataclass(frozen=True)
class ProtocolConfig:
    """What is measured; results of two protocols are not comparable."""

    p_target: float = field(default=0.01, metadata={"help": "prior of the minimum detection cost"})
    enrolments: tuple[int, ...] = field(
        default=(1, 2, 3, 5), metadata={"help": "utterances that a speaker is enrolled with"}
    )
    negatives: int = field(default=99, metadata={"help": "wrong candidates of an identification"})
    anchors_per_speaker: int = field(
        default=10, metadata={"help": "identification trials of one speaker, at most"}
    )
    seed: int = field(default=0, metadata={"help": "of the identification trials"})


@dataclass(frozen=True)
class Measures:
    """One data set, or their mean (then the counts are sums).

    accuracy: top-1 share of the identification trials by number of enrolled utterances; those that
        the data set is too small for are absent.
    """

    eer: float
    min_dcf: float
    accuracy: dict[int, float]
    speakers: int
    utterances: int


@torch.inference_mode()
def bank_embeddings(
    model: nn.Module, bank: FeatureBank, rows: list[int], *, crop_frames: int | None
) -> np.ndarray:
    """(N, D) embeddings of the items `rows`; None embeds whole utterances, one at a time."""
    if crop_frames is None:
        return torch.cat([model(normalise(bank.frames(bank.items[i]))[None]) for i in rows]).numpy()
    parts = []
    for at in range(0, len(rows), 64):
        crops = []
        for i in rows[at : at + 64]:
            item = bank.items[i]
            offset = max(0, (item.frames - crop_frames) // 2)
            crops.append(normalise(bank.frames(item, offset, crop_frames)))
        parts.append(model(torch.stack(crops)))
    return torch.cat(parts).numpy()


def eer_by_dataset(
    model: nn.Module,
    bank: FeatureBank,
    *,
    crop_frames: int | None,
    speakers: set[str] | None = None,
    minimum_speakers: int = MINIMUM_SPEAKERS,
) -> dict[str, float]:
    """EER (fraction) for each data set, and their plain mean under "mean".

    CorpusError if no data set has enough speakers.
    """
    rows_of = defaultdict(list)
    for i, item in enumerate(bank.items):
        plain = item.speed == 1.0 and item.channel == ""
        if plain and (speakers is None or item.speaker in speakers):
            rows_of[item.dataset].append(i)
    result = {}
    for dataset, rows in sorted(rows_of.items()):
        names, labels = np.unique([bank.items[i].speaker for i in rows], return_inverse=True)
        if len(names) < minimum_speakers or len(names) == len(rows):
            continue
        vectors = bank_embeddings(model, bank, rows, crop_frames=crop_frames)
        result[dataset] = eer(*verification_trials(vectors, labels)).rate
    if not result:
        raise CorpusError(
            f"none of {len(rows_of)} data sets has {minimum_speakers} speakers and two utterances "
            "of one of them: an equal error rate needs more data"
        )
    result["mean"] = float(np.mean(list(result.values())))
    return result


def measure_by_dataset(
    vectors: NDArray[np.floating],
    utterances: Sequence[Utterance],
    *,
    config: ProtocolConfig | None = None,
) -> dict[str, Measures]:
    """Measures of unit vectors (N, D), one for each of N utterances, by data set, and "mean".

    The mean of an accuracy is over the data sets that have it. CorpusError if no data set has
    enough speakers.
    """
    config = config or ProtocolConfig()
    rows_of = defaultdict(list)
    for row, utterance in enumerate(utterances):
        rows_of[utterance.dataset].append(row)
    result = {}
    for dataset, rows in sorted(rows_of.items()):
        speakers = len({utterances[row].speaker for row in rows})
        if MINIMUM_SPEAKERS <= speakers < len(rows):
            result[dataset] = _measure(vectors[rows], [utterances[row] for row in rows], config)
    if not result:
        raise CorpusError(
            f"none of {len(rows_of)} data sets has {MINIMUM_SPEAKERS} speakers and two utterances "
            "of one of them: measuring an embedder needs more data"
        )
    result["mean"] = _mean(list(result.values()))
    return result


def _measure(
    vectors: NDArray[np.floating], utterances: list[Utterance], config: ProtocolConfig
) -> Measures:
    names, labels = np.unique([u.speaker for u in utterances], return_inverse=True)
    scores, is_target = verification_trials(vectors, labels)
    accuracy = {}
    for enrolment in config.enrolments:
        try:
            trials = identification_trials(
                labels,
                [u.take for u in utterances],
                enrolment=enrolment,
                negatives=config.negatives,
                per_speaker_limit=config.anchors_per_speaker,
                seed=config.seed,
            )
        except CorpusError:
            continue  # too small for it, which the result shows
        accuracy[enrolment] = enrolled_accuracy(vectors, trials)
    return Measures(
        eer=eer(scores, is_target).rate,
        min_dcf=min_dcf(scores, is_target, p_target=config.p_target),
        accuracy=accuracy,
        speakers=len(names),
        utterances=len(utterances),
    )


def _mean(parts: list[Measures]) -> Measures:
    enrolments = sorted({enrolment for part in parts for enrolment in part.accuracy})
    return Measures(
        eer=float(np.mean([part.eer for part in parts])),
        min_dcf=float(np.mean([part.min_dcf for part in parts])),
        accuracy={
            k: float(np.mean([part.accuracy[k] for part in parts if k in part.accuracy]))
            for k in enrolments
        },
        speakers=sum(part.speakers for part in parts),
        utterances=sum(part.utterances for part in parts),
    )
