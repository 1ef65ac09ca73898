"""From windows and their vectors to a speaker for each window, whatever number was asked for."""

from __future__ import annotations

import numpy as np

from diarize.clustering.api import MIN_DECIDING, cluster
from diarize.clustering.base import Clusterer
from diarize.clustering.count_enforcement import join_nearest
from diarize.core.labels import by_first_appearance
from diarize.core.vectors import Labels, Vectors
from diarize.embedding.windows import Windows
from diarize.pipeline.config import DiarizeConfig
from diarize.postprocessing.resegmentation import resegment
from encoder.calibration.plda import Plda

__all__ = ["label_windows"]


def label_windows(
    embeddings: Vectors,
    windows: Windows,
    clusterer: Clusterer,
    config: DiarizeConfig,
    *,
    plda: Plda | None = None,
) -> Labels:
    """(N,) speakers 0..K-1 by first appearance; -1 for vectors that cannot be compared.

    Windows of one local speaker each are clustered with settings for such windows, and only those
    that are clear take part in resegmentation, with the model `plda` if there is one; the others
    join the speaker whose mean is nearest. Windows that overlap all take part, without the model,
    which counts on windows that are independent.
    """
    clear = windows.is_clear(config.window)
    if windows.alone is None:
        labels = cluster(embeddings, clusterer, decides=clear)
        if config.resegment:
            labels = resegment(embeddings, windows, labels, config=config.resegmentation)
        return labels
    modelled = plda is not None and config.resegment
    clusterer = clusterer.for_speaker_windows(modelled=modelled)
    labels = cluster(embeddings, clusterer, decides=clear)
    if not config.resegment or labels.max(initial=-1) < 0:
        return labels
    clear &= labels >= 0
    decisive = labels if clear.sum() < MIN_DECIDING else np.where(clear, labels, -1)
    found = resegment(embeddings, windows, decisive, config=config.resegmentation, plda=plda)
    return by_first_appearance(np.where(labels < 0, -1, join_nearest(embeddings, found)))
