"""A whole training run: corpus and config in, weights out; a stopped run goes on where it was.

Into the run's folder go the resolved config, for each phase its checkpoints and measurements
(`encoder.training.loop`), a picture of the curves, and the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from encoder.augmentation.room_kernels import measured_rooms
from encoder.data.batch_sampler import CropBatches
from encoder.data.corpora import read_corpus
from encoder.data.feature_bank import FeatureBank, bank_of
from encoder.data.manifest import Utterance
from encoder.data.noise_corpus import read_acoustics
from encoder.data.splits import split_validation
from encoder.errors import BackendUnavailable, CorpusError
from encoder.features.log_mel import FeatureConfig
from encoder.hub.paths import find_weights
from encoder.hub.weights_file import load_weights, save_weights
from encoder.losses.distillation import teacher_projection
from encoder.losses.memory_bank import MemoryBank
from encoder.models import ARCHITECTURES
from encoder.speaker_training.config import Phase, TrainConfig, TripletPhase, model_config
from encoder.speaker_training.objectives import SoftmaxObjective, TripletObjective
from encoder.speaker_training.validation import (
    MINIMUM_SPEAKERS,
    check_validation,
    eer_by_dataset,
    measured_rows,
)
from encoder.training.distributed import Engine, make_engine
from encoder.training.loop import FitConfig, FitResult, fit
from encoder.training.objective import Objective
from encoder.training.plot_curves import draw_curves
from encoder.training.reporter import SILENT, Reporter
from encoder.training.run_folder import check_same_run, describe_data, write_config

__all__ = [
    "Corpus",
    "load_network",
    "open_corpus",
    "read_teacher",
    "run_phases",
    "train",
]

PHASES = ("softmax", "triplet", "clean_finetune")  # their folders in that of the run
CROP_FRAMES = 160  # of the validation: 1.6 s, the window of diarization


@dataclass(frozen=True)
class Corpus:
    """What is trained on: utterances of `train`, those kept for validation, and backgrounds.

    rooms: (R, L, M) kernels of measured rooms. teacher: a unit vector (E,) for each `Item.copy`.
    """

    train: FeatureBank
    validation: FeatureBank
    noise: FeatureBank | None
    rooms: Tensor | None = None
    teacher: dict[str, Tensor] | None = None
    minimum_speakers: int = MINIMUM_SPEAKERS  # of a data set that is validated


def train(
    config: TrainConfig, data: Path, out: Path, *, cache: Path, name: str, report: Reporter = SILENT
) -> Path:
    """Train on the `train` speakers of a corpus; a stopped run goes on where it was.

    Args:
        config: Settings.
        data: Folder of the corpus, in any layout of `encoder.data.corpora`.
        out: Folder of the run: settings, checkpoints, measurements, curves and weights.
        cache: Folder in which banks of features are kept.
        name: The weights are called `name-HASH.safetensors`.
        report: Is told of progress; by default nothing is.

    Returns:
        The path of the weights.

    Raises:
        ToolkitError: The config or the corpus cannot be used, or a file cannot be written.
    """
    model_config(config)  # a mistake there should not wait for the banks
    utterances = [u for u in read_corpus(data, on_warning=report.warn) if u.split == "train"]
    kept, held_back = split_validation(utterances, share=config.validation_share)
    speakers = len({u.speaker for u in utterances})
    if config.validation_share > 0:
        check_validation(held_back, of=speakers, share=config.validation_share)
    about = describe_data((u.speaker, u.name) for u in utterances)
    check_same_run(out, config, about)  # before other workers start: all of them read it
    corpus = open_corpus(config, data, kept, held_back, cache=cache, report=report)
    engine = make_engine(config.engine)  # other workers start here, and find the banks built
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    model = load_network(config)
    if engine.is_main:
        _continue_older(out)
        write_config(out, config, about)
    selected = run_phases(config, model, corpus, out, engine=engine, report=report)
    path = Path()
    if engine.is_main:
        _draw(out, report)
        path = save_weights(selected, FeatureConfig(), out, name=name)
    return engine.broadcast(path)


def open_corpus(
    config: TrainConfig,
    data: Path,
    kept: Sequence[Utterance],
    held_back: Sequence[Utterance],
    *,
    cache: Path,
    report: Reporter,
) -> Corpus:
    """Banks of features for the utterances to train on and those held back, and the backgrounds
    that lie in `data`. CorpusError if nothing can be trained on."""
    both = _bank("train", [*kept, *held_back], cache, report, config)
    names = {(u.speaker, u.name) for u in held_back}
    aside = [(item.person, item.name) in names for item in both.items]
    sounds = read_acoustics(data, kinds=("noise", "music", "rir"))
    noises = [sound for sound in sounds if sound.speaker != "rir"]
    responses = [sound for sound in sounds if sound.speaker == "rir"]
    rooms = measured_rooms([u.path for u in responses], on_left_out=report.say)
    if not noises:
        report.say(f"no background sounds in {str(data)!r}: training without added noise")
    return Corpus(
        train=replace(both, items=[i for i, out in zip(both.items, aside, strict=True) if not out]),
        validation=replace(
            both, items=[i for i, out in zip(both.items, aside, strict=True) if out]
        ),
        noise=_bank("noise", noises, cache, report) if noises else None,
        rooms=rooms if len(rooms) else None,
        teacher=read_teacher(Path(config.teacher)) if config.teacher else None,
    )


def run_phases(
    config: TrainConfig,
    model: nn.Module,
    corpus: Corpus,
    out: Path,
    *,
    engine: Engine,
    report: Reporter,
    class_vectors: Callable[[Sequence[str]], Tensor] | None = None,
) -> nn.Module:
    """All phases of the config on `model`; the averaged network that `selected_weights` names.

    class_vectors: names of K speakers -> (K, D) unit vectors that the classifier starts from.
    """
    if corpus.validation.items:  # what cannot be measured is found out before the first step
        measured_rows(corpus.validation, minimum_speakers=corpus.minimum_speakers)
    softmax = _batches(config, corpus, config.softmax, config.seed)
    projection = None
    if corpus.teacher:
        teacher_size = len(next(iter(corpus.teacher.values())))
        projection = teacher_projection(model.config.embedding_size, teacher_size)  # type: ignore
    classifier = SoftmaxObjective(
        model.config.embedding_size,  # type: ignore[union-attr, arg-type]
        len(softmax.speakers),
        scale=config.softmax.scale,
        margin=config.softmax.margin,
        teacher_weight=config.softmax.teacher_weight,
        relation_weight=config.softmax.relation_weight,
        projection=projection,
    )
    if class_vectors is not None:
        with torch.no_grad():
            classifier.weight.copy_(class_vectors(softmax.speakers))
    report.say(
        f"{len(softmax.speakers)} speakers to train on, "
        f"{len({i.speaker for i in corpus.validation.items})} for validation"
    )
    phase = _Phase(config, corpus, out, engine, report)
    done = phase.fit(PHASES[0], model, classifier, softmax, config.softmax)
    model.load_state_dict(done.averaged.state_dict())
    for number, (name, triplets) in enumerate(
        zip(PHASES[1:], (config.triplet, config.clean_finetune), strict=True), start=1
    ):
        if triplets is None:
            continue
        objective = _triplet_objective(triplets, model, classifier, projection)
        batches = _batches(config, corpus, triplets, config.seed + number)
        done = phase.fit(name, model, objective, batches, triplets)
        model.load_state_dict(done.averaged.state_dict())
    return done.best if config.selected_weights == "best" else done.averaged


def _triplet_objective(
    phase: TripletPhase,
    model: nn.Module,
    classifier: SoftmaxObjective,
    projection: nn.Linear | None,
) -> TripletObjective:
    history = None
    if phase.history:
        history = MemoryBank(phase.history, model.config.embedding_size)  # type: ignore
    return TripletObjective(
        margin=phase.margin,
        strategy=phase.strategy,
        classifier=classifier,
        softmax_weight=phase.softmax_weight,
        teacher_weight=phase.teacher_weight,
        relation_weight=phase.relation_weight,
        projection=projection,
        history=history,
        hard_speakers=phase.hard_speakers,
    )


def read_teacher(path: Path) -> dict[str, Tensor]:
    """Unit vectors by `Item.copy`, with what all of them share (their mean) taken away."""
    try:
        with np.load(path) as stored:
            names, vectors = stored["names"], torch.from_numpy(stored["vectors"])
    except (OSError, KeyError, ValueError) as error:
        raise CorpusError(
            f"cannot read the teacher's vectors {str(path)!r}: make them with `python -m "
            'recipes.prepare.teacher_vectors`, or train without (teacher = "")'
        ) from error
    centred = nn.functional.normalize(vectors - vectors.mean(dim=0))
    return dict(zip(names.tolist(), centred, strict=True))


@dataclass(frozen=True)
class _Phase:
    """What all phases of a run share."""

    config: TrainConfig
    corpus: Corpus
    out: Path
    engine: Engine
    report: Reporter

    def fit(
        self,
        name: str,
        model: nn.Module,
        objective: Objective,
        batches: CropBatches,
        phase: Phase,
    ) -> FitResult:
        utterances = sum(item.channel == "" for item in self.corpus.train.items)
        config = _with_steps(phase, utterances, self.engine.world_size)
        with self.report.bar(name, config.steps) as moved:
            done = fit(
                model,
                objective,
                batches,
                config=config,
                out=self.out / name,
                validate=self._validate if self.corpus.validation.items else None,
                on_step=moved,
                on_warning=self.report.warn,
                engine=self.engine,
            )
        if done.validation:
            values = ", ".join(
                f"{key} {100 * value:.1f} %" for key, value in done.validation.items()
            )
            self.report.say(f"{name}: {values}")
        return done

    def _validate(self, model: nn.Module) -> dict[str, float]:
        rates = eer_by_dataset(
            model,
            self.corpus.validation,
            crop_frames=CROP_FRAMES,
            minimum_speakers=self.corpus.minimum_speakers,
        )
        return {"validation_eer_1.6s": rates["mean"]}


def _with_steps(phase: Phase, utterances: int, workers: int) -> FitConfig:
    """The phase's `fit` with as many steps as its epochs are."""
    if phase.epochs == 0:
        return phase.fit
    crops = phase.sampler.speakers * phase.sampler.utterances * workers
    return replace(phase.fit, steps=max(1, round(phase.epochs * utterances / crops)))


def load_network(config: TrainConfig) -> nn.Module:
    """The network that the config starts from: weights, or one drawn by chance."""
    shape = model_config(config)
    if config.init:
        model = load_weights(find_weights(config.init)).model
    else:
        model = ARCHITECTURES.load(config.architecture)(shape)
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # faster on CPU


def _batches(config: TrainConfig, corpus: Corpus, phase: Phase, seed: int) -> CropBatches:
    taught = phase.teacher_weight > 0 or phase.relation_weight > 0
    return CropBatches(
        corpus.train,
        corpus.noise,
        sampler=phase.sampler,
        augmentation=phase.augmentation or config.augmentation,
        seed=seed,
        teacher=corpus.teacher if taught else None,
        rooms=corpus.rooms,
    )


def _bank(
    name: str,
    utterances: Sequence[Utterance],
    cache: Path,
    report: Reporter,
    config: TrainConfig | None = None,
) -> FeatureBank:
    """With the copies that the config wants; without a config as they are."""
    with report.bar(f"features {name}", len(utterances)) as moved:
        return bank_of(
            utterances,
            cache,
            name,
            speeds=config.speeds if config else (1.0,),
            one_speed_copy=config.one_speed_copy if config else False,
            telephone=config.telephone if config else 0.0,
            on_done=lambda done, _: moved(done, {}),
            on_left_out=lambda sentence: report.warn(f"left out: {sentence}"),
        )


def _continue_older(out: Path) -> None:
    """A run of before the last phase got its present name goes on in it."""
    before, now = out / "settle", out / PHASES[2]
    if before.is_dir() and not now.exists():
        before.rename(now)


def _draw(out: Path, report: Reporter) -> None:
    """A picture is a courtesy: without matplotlib the run still ends well."""
    measured = [out / phase / "metrics.jsonl" for phase in PHASES]
    try:
        draw_curves([path for path in measured if path.exists()], out / "curves.png")
    except BackendUnavailable as error:
        report.say(str(error))
