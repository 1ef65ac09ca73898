"""A whole training run of the segmentation network: labelled chunks and a plan in, weights out.

A stopped run goes on where it was. Into its folder go the resolved plan, checkpoints and
measurements (`encoder.training.loop`), a picture of the curves, and the weights.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from diarize.segmentation.network.network import SegmentationNetwork, SegmentationNetworkConfig
from diarize.segmentation.network.powerset import Powerset
from diarize.segmentation.network.weights import DEFAULT, load_network, save_network
from diarize.segmentation_training.batches import ChunkBatches
from diarize.segmentation_training.config import SegmentationTrainConfig
from diarize.segmentation_training.objective import PowersetObjective
from diarize.segmentation_training.speaker_loss import SpeakerLoss
from diarize.segmentation_training.validation import ReferenceChunk, validate
from diarize.simulation.labelled_chunk import ChunkSource
from encoder.common.atomic_files import replacing
from encoder.common.config import to_mapping
from encoder.errors import BackendUnavailable, CheckpointError, ConfigError
from encoder.training.checkpointing import load_parts, read_checkpoint
from encoder.training.distributed import make_engine
from encoder.training.loop import fit
from encoder.training.plot_curves import draw_curves
from encoder.training.reporter import Reporter

__all__ = ["checkpoint_network", "powerset_of", "start_network", "train_segmentation"]

PHASE = "segmentation"  # the folder of its checkpoints in the run's folder


def train_segmentation(
    plan: SegmentationTrainConfig,
    source: ChunkSource,
    validation: Sequence[ReferenceChunk],
    out: Path,
    *,
    vectors: Tensor | None = None,
    name: str = DEFAULT,
    report: Reporter,
) -> Path:
    """Train on chunks of `source`; the path of the weights `name-HASH.safetensors` in `out`, those
    of the best validation, or the last without one. Raises ToolkitError for an unusable plan.

    vectors: (N, E) unit vectors of the voices by their number, for `SpeakerLoss`; zeros if unknown.
    """
    engine = make_engine(plan.engine)
    torch.set_num_threads(plan.threads)
    torch.manual_seed(plan.seed)
    network = start_network(plan)
    powerset = powerset_of(network)
    voices = _voice_term(plan, network, vectors)
    if engine.is_main:
        with replacing(out / "plan.json") as partial_file:
            text = json.dumps(to_mapping(plan), indent=1) + "\n"
            partial_file.write_text(text, encoding="utf-8")
    batches = ChunkBatches(
        source,
        powerset,
        config=plan.batch,
        seed=plan.seed,
        numbers=plan.fit.steps * engine.world_size,
        every=engine.world_size,
    )
    with batches, report.bar(name, plan.fit.steps) as moved:
        done = fit(
            network,
            PowersetObjective(powerset, voices),
            batches,
            config=plan.fit,
            out=out / PHASE,
            validate=partial(validate, chunks=validation, powerset=powerset)
            if validation
            else None,
            on_step=moved,
            on_warning=report.warn,
            engine=engine,
        )
    path = Path()
    if engine.is_main:
        if done.validation:
            values = ", ".join(f"{k} {100 * v:.1f} %" for k, v in done.validation.items())
            report.say(f"{values}; the best after {done.best_step} steps")
        _draw(out, report)
        path = save_network(cast(SegmentationNetwork, done.best), out, name=name)
    return engine.broadcast(path)


def start_network(plan: SegmentationTrainConfig) -> SegmentationNetwork:
    """The network that the plan starts from: weights, or one drawn by chance."""
    if not plan.init:
        return SegmentationNetwork(plan.model)
    if plan.model != SegmentationNetworkConfig():
        raise ConfigError(
            f"init is {plan.init!r} and [model] is given: take [model] out, it comes with the "
            "weights"
        )
    return load_network(plan.init).network.train()


def checkpoint_network(plan: SegmentationTrainConfig, out: Path) -> SegmentationNetwork:
    """The averaged network of the best validation so far of a run that may still go on."""
    path = out / PHASE / "best.pt"
    content = read_checkpoint(path)
    if content is None:
        raise CheckpointError(
            f"there is no checkpoint {str(path)!r} yet: wait for the first validation"
        )
    network = start_network(plan)
    load_parts(path, content, {"averaged": network})
    return network.eval()


def _voice_term(
    plan: SegmentationTrainConfig, network: SegmentationNetwork, vectors: Tensor | None
) -> SpeakerLoss | None:
    if plan.voices.weight == 0:
        return None
    if vectors is None:
        raise ConfigError(
            f"voices.weight is {plan.voices.weight}, but there are no teacher vectors: make them "
            "with `python -m recipes.prepare.teacher_vectors` and name them (teacher), or set the "
            "weight to 0"
        )
    return SpeakerLoss(vectors, 2 * network.config.hidden, plan.voices)


def powerset_of(network: SegmentationNetwork) -> Powerset:
    """The classes that a network tells apart."""
    return Powerset(network.config.speakers, network.config.at_once)


def _draw(out: Path, report: Reporter) -> None:
    """A picture is a courtesy: without matplotlib the run still ends well."""
    measured = out / PHASE / "metrics.jsonl"
    try:
        draw_curves([measured] if measured.exists() else [], out / "curves.png")
    except BackendUnavailable as error:
        report.say(str(error))
