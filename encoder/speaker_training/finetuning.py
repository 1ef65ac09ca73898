"""From trained weights to one's own speakers, with what that costs on all others.

The encoder before teaches the encoder after (its vectors of the clean utterances), and the
classifier starts from the speakers' mean vectors, so little is forgotten and a few minutes do.
Besides the result, the point halfway between the old and the new weights is tried (Wortsman et al.
2022, arXiv 2109.01903): it often keeps most of both.
"""

from __future__ import annotations

import copy
import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from encoder.data.corpora import read_corpus
from encoder.data.feature_bank import FeatureBank, bank_of
from encoder.data.manifest import Utterance
from encoder.errors import ConfigError, CorpusError
from encoder.features.log_mel import FeatureConfig
from encoder.hub.weights_file import save_weights
from encoder.speaker_training.config import TrainConfig
from encoder.speaker_training.training_run import load_network, open_corpus, run_phases
from encoder.speaker_training.validation import bank_embeddings, eer_by_dataset
from encoder.training.distributed import SingleEngine
from encoder.training.reporter import SILENT, Reporter
from encoder.training.run_folder import check_same_run, describe_data, write_config

__all__ = ["Candidate", "Finetuned", "best_of", "finetune", "hold_back"]

CROPS = {"1.6 s": 160, "3 s": 300}


@dataclass(frozen=True)
class Candidate:
    """Weights that could be kept; EER (fraction) by crop on the held-back utterances of the own
    speakers, and on general speakers (empty without a corpus of them)."""

    name: str
    own: dict[str, float]
    general: dict[str, float]


@dataclass(frozen=True)
class Finetuned:
    """candidates: before, halfway, after; kept: the one with the lowest mean of `own`; weights:
    where it was written, None if `before` is the best."""

    candidates: tuple[Candidate, ...]
    kept: Candidate
    weights: Path | None


def hold_back(
    utterances: Sequence[Utterance], *, share: float = 0.25
) -> tuple[list[Utterance], list[Utterance]]:
    """Utterances to train on, and those held back: of each speaker with 4 or more, `share` of them
    and at least 2, whole sessions first, chosen by a hash of the session.

    CorpusError unless two speakers have some held back.
    """
    by_speaker = defaultdict(list)
    for utterance in utterances:
        by_speaker[utterance.speaker].append(utterance)
    aside = set()
    speakers = 0
    for some in by_speaker.values():
        if len(some) < 4:
            continue
        order = sorted(some, key=lambda u: (hashlib.sha256(u.session.encode()).digest(), u.name))
        aside |= {(u.speaker, u.name) for u in order[: max(2, round(share * len(some)))]}
        speakers += 1
    if speakers < 2:
        raise CorpusError(
            f"{speakers} of {len(by_speaker)} speakers have 4 utterances or more, and it takes 2 "
            "such speakers to train on some utterances and test on others: add more"
        )
    kept = [u for u in utterances if (u.speaker, u.name) not in aside]
    return kept, [u for u in utterances if (u.speaker, u.name) in aside]


def finetune(
    config: TrainConfig,
    data: Path,
    out: Path,
    *,
    general: Path | None = None,
    cache: Path,
    name: str,
    report: Reporter = SILENT,
) -> Finetuned:
    """Go on training trained weights on one's own speakers.

    Into `out` go the run's files and, if they are better than before, the new weights.

    Args:
        config: Settings; `init` names the weights to go on from.
        data: Folder of the corpus of one's own speakers, all of whom are trained on.
        out: Folder of the run.
        general: Folder of a corpus whose `heldout` speakers show what was forgotten; None: unknown.
        cache: Folder in which banks of features are kept.
        name: The weights are called `name-HASH.safetensors`.
        report: Is told of progress; by default nothing is.

    Returns:
        The error rates before, halfway and after, and what was kept.

    Raises:
        ToolkitError: The config or a corpus cannot be used, or a file cannot be written.
    """
    if not config.init:
        raise ConfigError("init is empty: name the weights to go on from")
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    before = load_network(config).eval()
    kept, held_back = hold_back(read_corpus(data, on_warning=report.warn))
    about = describe_data((u.speaker, u.name) for u in (*kept, *held_back))
    check_same_run(out, config, about)
    corpus = open_corpus(config, data, kept, held_back, cache=cache, report=report)
    taught = _vectors(before, corpus.train)
    clean = {  # a telephone copy goes by its utterance's name, and learns from its vector
        item.copy: vector
        for item, vector in zip(corpus.train.items, taught, strict=True)
        if item.channel == ""
    }
    corpus = replace(corpus, teacher=clean, minimum_speakers=2)

    def class_vectors(speakers: Sequence[str]) -> Tensor:
        rows = defaultdict(list)
        for row, item in enumerate(corpus.train.items):
            rows[item.speaker].append(row)
        means = torch.stack([taught[rows[speaker]].mean(dim=0) for speaker in speakers])
        return nn.functional.normalize(means)

    write_config(out, config, about)
    engine = SingleEngine(config.engine.device, precision=config.engine.precision)
    after = run_phases(
        config,
        copy.deepcopy(before),
        corpus,
        out,
        engine=engine,
        report=report,
        class_vectors=class_vectors,
    )
    others = _general(general, cache, report)
    models = {"before": before, "halfway": _halfway(before, after), "after": after}
    candidates = tuple(
        Candidate(title, _rates(model, corpus.validation, 2), _rates(model, others, 4))
        for title, model in models.items()
    )
    best = best_of(candidates)
    weights = None
    if best.name != "before":
        weights = save_weights(models[best.name], FeatureConfig(), out, name=name)
    return Finetuned(candidates, best, weights)


def best_of(candidates: Sequence[Candidate]) -> Candidate:
    """The lowest mean error on the own speakers; of equals the first, which changes least."""
    return min(candidates, key=lambda c: sum(c.own.values()))


def _vectors(model: nn.Module, bank: FeatureBank) -> Tensor:
    """(N, D) vectors of the whole utterances of a bank."""
    rows = list(range(len(bank.items)))
    return torch.from_numpy(bank_embeddings(model, bank, rows, crop_frames=None))


def _general(folder: Path | None, cache: Path, report: Reporter) -> FeatureBank | None:
    if folder is None:
        return None
    utterances = [u for u in read_corpus(folder) if u.split == "heldout"]
    if not utterances:
        report.warn(f"{str(folder)!r} has no heldout speakers: what is forgotten cannot be shown")
        return None
    with report.bar("features heldout", len(utterances)) as moved:
        return bank_of(utterances, cache, "heldout", on_done=lambda done, _: moved(done, {}))


def _rates(model: nn.Module, bank: FeatureBank | None, minimum: int) -> dict[str, float]:
    if bank is None:
        return {}
    return {
        crop: eer_by_dataset(model, bank, crop_frames=frames, minimum_speakers=minimum)["mean"]
        for crop, frames in CROPS.items()
    }


@torch.no_grad()
def _halfway(before: nn.Module, after: nn.Module) -> nn.Module:
    """The mean of two networks of one ancestry, batch norm statistics included."""
    middle = copy.deepcopy(after)
    for key, value in middle.state_dict().items():
        if value.dtype.is_floating_point:
            value.lerp_(before.state_dict()[key], 0.5)
    return middle.eval()
