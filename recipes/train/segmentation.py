"""Train the local segmentation network on simulated conversations.

    python -m recipes.train.segmentation --data CORPUS --out runs/segmentation

Voices are those of the split `train`; validation is the local error on the development
conversations with trusted references. The same command goes on after a stop, with the losses of an
undisturbed run. `--so-far` writes weights of the best validation of a run that still goes on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import torch
import typer

from diarize.segmentation.network.weights import save_network
from diarize.segmentation_training.config import SegmentationTrainConfig
from diarize.segmentation_training.train import checkpoint_network, train_segmentation
from diarize.segmentation_training.validation import ReferenceChunk, cut_chunks
from diarize.simulation.acoustics import Acoustics
from diarize.simulation.conversation_style import CROWD, STYLES
from diarize.simulation.mixing import Simulator
from diarize.simulation.speaker_bank import SpeakerBank
from encoder.audio.load import load_audio
from encoder.common.config import apply_overrides, from_mapping, read_toml
from encoder.data.corpora import read_corpus
from encoder.data.manifest import Utterance
from encoder.speaker_training.training_run import read_teacher
from encoder.training.run_folder import describe_data
from recipes.shared.conversations import read_conversations
from recipes.shared.progress import Terminal

CONFIG = Path(__file__).parents[1] / "configs" / "segmentation" / "small.toml"


def main(
    data: Annotated[Path, typer.Option(help="corpus folder")],
    out: Annotated[Path, typer.Option(help="checkpoints, metrics and weights go here")],
    config: Annotated[Path, typer.Option(help="TOML file")] = CONFIG,
    cache: Annotated[Path, typer.Option(help="speech is kept here")] = Path("cache/voices"),
    so_far: Annotated[bool, typer.Option("--so-far", help="write the best weights yet")] = False,
    settings: Annotated[Optional[list[str]], typer.Option("--set", help="a.b=c")] = None,  # noqa: UP045
) -> None:
    """Train, validate and write weights."""
    report = Terminal()
    with report.ending():
        values = apply_overrides(read_toml(config), settings or [])
        resolved = from_mapping(SegmentationTrainConfig, values)
        path = save_network(checkpoint_network(resolved, out), out) if so_far else None
        path = path or _train(resolved, data, out, cache, report)
    report.say(f"wrote {path}")


def _train(
    config: SegmentationTrainConfig, data: Path, out: Path, cache: Path, report: Terminal
) -> Path:
    utterances = [u for u in read_corpus(data, on_warning=report.warn) if u.split == "train"]
    with report.bar("voices", len({u.speaker for u in utterances})) as moved:
        voices = SpeakerBank.from_corpus(
            utterances,
            cache=cache,
            on_progress=lambda done, _: moved(done, {}),
            on_left_out=lambda sentence: report.warn(f"left out: {sentence}"),
        )
    acoustics = Acoustics.from_corpus(data, on_left_out=report.warn)
    simulator = Simulator(
        voices,
        acoustics,
        [*STYLES.values(), CROWD],
        chunk_s=config.batch.chunk_s,
        channel_augmentation=config.channel_augmentation,
    )
    validation = _development(data / "conversations", config)
    report.say(
        f"{len(voices.speakers)} speakers to train on, {len(validation)} chunks of conversations "
        "for validation"
    )
    vectors = (
        _vectors(voices.speakers, utterances, Path(config.teacher)) if config.teacher else None
    )
    about = describe_data((u.speaker, u.name) for u in utterances)
    return train_segmentation(
        config, simulator, validation, out, vectors=vectors, about=about, report=report
    )


def _vectors(speakers: list[str], utterances: list[Utterance], teacher: Path) -> torch.Tensor:
    """(N, E): the middle of the vectors of each speaker's utterances, zeros without one."""
    known = read_teacher(teacher)
    size = len(next(iter(known.values())))
    sums = {speaker: torch.zeros(size) for speaker in speakers}
    for utterance in utterances:
        if utterance.speaker in sums and utterance.name in known:
            sums[utterance.speaker] += known[utterance.name]
    return torch.nn.functional.normalize(torch.stack([sums[s] for s in speakers]), dim=1)


def _development(folder: Path, config: SegmentationTrainConfig) -> list[ReferenceChunk]:
    """Chunks of the recordings with trusted references; none without a corpus of them."""
    if not (folder / "manifest.tsv").exists():
        return []
    return [
        chunk
        for one in read_conversations(folder)
        if one.trusted
        for chunk in cut_chunks(
            load_audio(one.path), one.reference, uem=one.uem, chunk_s=config.batch.chunk_s
        )
    ]


if __name__ == "__main__":
    typer.run(main)
