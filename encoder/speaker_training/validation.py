"""Error rates of a network in training, on a feature bank (speed 1.0).

Every utterance is embedded once, whole or as one centred crop; all pairs inside one data set are
verification trials. `encoder.evaluation.protocol` measures any embedder, and more, from its
vectors.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from encoder.data.feature_bank import FeatureBank
from encoder.errors import CorpusError
from encoder.evaluation.metrics import eer
from encoder.evaluation.protocol import MINIMUM_SPEAKERS, LabelledUtterance, large_sets
from encoder.evaluation.trials import verification_trials
from encoder.features.log_mel import normalise

__all__ = [
    "MINIMUM_SPEAKERS",
    "bank_embeddings",
    "check_validation",
    "eer_by_dataset",
    "measured_rows",
]


def check_validation(held_back: Sequence[LabelledUtterance], *, of: int, share: float) -> None:
    """CorpusError where those held back cannot be measured, before any of them is read.

    of: speakers that there are; share: of them that was asked for.
    """
    if not large_sets(held_back):
        found = len({utterance.speaker for utterance in held_back})
        raise CorpusError(
            f"{found} of {of} speakers are kept for validation (validation_share is {share}), but "
            f"an equal error rate takes {MINIMUM_SPEAKERS} of one data set and two utterances of "
            "one of them: raise the share, add speakers, or set it to 0 for no validation"
        )


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
    result = {}
    for dataset, rows in measured_rows(
        bank, speakers=speakers, minimum_speakers=minimum_speakers
    ).items():
        labels = np.unique([bank.items[i].speaker for i in rows], return_inverse=True)[1]
        vectors = bank_embeddings(model, bank, rows, crop_frames=crop_frames)
        result[dataset] = eer(*verification_trials(vectors, labels)).rate
    result["mean"] = float(np.mean(list(result.values())))
    return result


def measured_rows(
    bank: FeatureBank,
    *,
    speakers: set[str] | None = None,
    minimum_speakers: int = MINIMUM_SPEAKERS,
) -> dict[str, list[int]]:
    """The items, as they were recorded, of each data set that can be measured.

    CorpusError if no data set has enough speakers.
    """
    plain = [
        i
        for i, item in enumerate(bank.items)
        if item.speed == 1.0
        and item.channel == ""
        and (speakers is None or item.speaker in speakers)
    ]
    items = [bank.items[i] for i in plain]
    sets = large_sets(items, minimum_speakers=minimum_speakers)
    if not sets:
        raise CorpusError(
            f"none of {len({item.dataset for item in items})} data sets has {minimum_speakers} "
            "speakers and two utterances of one of them: an equal error rate needs more data"
        )
    return {dataset: [plain[k] for k in chosen] for dataset, chosen in sets.items()}
