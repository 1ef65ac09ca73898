"""A whole training run of the segmentation network: labelled chunks and a config in, weights out.

A stopped run goes on where it was. Into its folder go the resolved config, checkpoints and
measurements (`encoder.training.loop`), a picture of the curves, and the weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

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
from encoder.errors import BackendUnavailable, CheckpointError, ConfigError
from encoder.training.checkpointing import load_parts, read_checkpoint
from encoder.training.distributed import make_engine
from encoder.training.loop import fit
from encoder.training.plot_curves import draw_curves
from encoder.training.reporter import Reporter
from encoder.training.run_folder import check_same_run, write_config

__all__ = ["checkpoint_network", "powerset_of", "start_network", "train_segmentation"]

PHASE = "segmentation"  # the folder of its checkpoints in the run's folder


def train_segmentation(
    config: SegmentationTrainConfig,
    source: ChunkSource,
    validation: Sequence[ReferenceChunk],
    out: Path,
    *,
    vectors: Tensor | None = None,
    about: Mapping[str, Any] | None = None,
    name: str = DEFAULT,
    report: Reporter,
) -> Path:
    """Train on chunks of `source`; the path of the weights `name-HASH.safetensors` in `out`, those
    of the best validation, or the last without one. Raises ToolkitError for an unusable config.

    vectors: (N, E) unit vectors of the speakers by their number, for `SpeakerLoss`; zeros if
    unknown. about: what tells the speech of `source` from other speech (`describe_data`): a run
    that was stopped does not go on with another.
    """
    check_same_run(out, config, about)  # before other workers start: all of them read it
    engine = make_engine(config.engine)
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    network = start_network(config)
    powerset = powerset_of(network)
    speaker_loss = _speaker_loss(config, network, vectors)
    if engine.is_main:
        write_config(out, config, about)
    batches = ChunkBatches(
        source,
        powerset,
        config=config.batch,
        seed=config.seed,
        numbers=config.fit.steps * engine.world_size,
        every=engine.world_size,
    )
    with batches, report.bar(name, config.fit.steps) as moved:
        done = fit(
            network,
            PowersetObjective(powerset, speaker_loss),
            batches,
            config=config.fit,
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


def start_network(config: SegmentationTrainConfig) -> SegmentationNetwork:
    """The network that the config starts from: weights, or one drawn by chance."""
    if not config.init:
        return SegmentationNetwork(config.model)
    if config.model != SegmentationNetworkConfig():
        raise ConfigError(
            f"init is {config.init!r} and [model] is given: take [model] out, it comes with the "
            "weights"
        )
    return load_network(config.init).network.train()


def checkpoint_network(config: SegmentationTrainConfig, out: Path) -> SegmentationNetwork:
    """The averaged network of the best validation so far of a run that may still go on."""
    path = out / PHASE / "best.pt"
    content = read_checkpoint(path)
    if content is None:
        raise CheckpointError(
            f"there is no checkpoint {str(path)!r} yet: wait for the first validation"
        )
    network = start_network(config)
    load_parts(path, content, {"averaged": network})
    return network.eval()


def _speaker_loss(
    config: SegmentationTrainConfig, network: SegmentationNetwork, vectors: Tensor | None
) -> SpeakerLoss | None:
    if config.speaker_loss.weight == 0:
        return None
    if vectors is None:
        raise ConfigError(
            f"speaker_loss.weight is {config.speaker_loss.weight}, but there are no vectors of the "
            "speakers: run `python -m recipes.prepare.teacher_vectors` and name the file "
            "as teacher, or set the weight to 0"
        )
    return SpeakerLoss(vectors, 2 * network.config.hidden, config.speaker_loss)


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
