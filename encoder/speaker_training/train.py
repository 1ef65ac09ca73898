"""A whole training run: corpus and plan in, weights out; a stopped run goes on where it was.

Into the run's folder go the resolved plan, for each phase its checkpoints and measurements
(`encoder.training.loop`), a picture of the curves, and the weights.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from encoder.augmentation.room_kernels import measured_rooms
from encoder.common.atomic_files import replacing
from encoder.common.config import to_mapping
from encoder.data.batch_sampler import CropBatches
from encoder.data.corpora import read_corpus
from encoder.data.feature_bank import FeatureBank, bank_of
from encoder.data.manifest import Utterance
from encoder.data.noise_corpus import read_acoustics
from encoder.data.splits import split_validation
from encoder.errors import BackendUnavailable, ConfigError, CorpusError
from encoder.features.log_mel import FeatureConfig
from encoder.hub.paths import find_weights
from encoder.hub.weights_file import load_weights, save_weights
from encoder.losses.distillation import teacher_projection
from encoder.losses.memory_bank import MemoryBank
from encoder.models import ARCHITECTURES
from encoder.speaker_training.config import Phase, TrainConfig, TripletPhase, model_config
from encoder.speaker_training.objectives import SoftmaxObjective, TripletObjective
from encoder.speaker_training.validation import MINIMUM_SPEAKERS, eer_by_dataset
from encoder.training.distributed import Engine, make_engine
from encoder.training.loop import FitConfig, FitResult, fit
from encoder.training.plot_curves import draw_curves
from encoder.training.reporter import Reporter

__all__ = [
    "Corpus",
    "load_network",
    "open_corpus",
    "read_teacher",
    "run_phases",
    "train",
]

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
    plan: TrainConfig, data: Path, out: Path, *, cache: Path, name: str, report: Reporter
) -> Path:
    """Train on the `train` speakers of the corpus folder `data`; the path of the weights.

    The weights are called `name-HASH.safetensors`. Raises ToolkitError for a plan or a corpus that
    cannot be used.
    """
    model_config(plan)  # a mistake there should not wait for the banks
    utterances = [u for u in read_corpus(data, on_warning=report.warn) if u.split == "train"]
    kept, held_back = split_validation(utterances, share=plan.validation_share)
    corpus = open_corpus(plan, data, kept, held_back, cache=cache, report=report)
    engine = make_engine(plan.engine)  # other workers start here, and find the banks built
    torch.set_num_threads(plan.threads)
    torch.manual_seed(plan.seed)
    model = load_network(plan)
    if engine.is_main:
        with replacing(out / "plan.json") as partial:
            partial.write_text(json.dumps(to_mapping(plan), indent=1) + "\n", encoding="utf-8")
    shipped = run_phases(plan, model, corpus, out, engine=engine, report=report)
    path = Path()
    if engine.is_main:
        _draw(out, report)
        path = save_weights(shipped, FeatureConfig(), out, name=name)
    return engine.broadcast(path)


def open_corpus(
    plan: TrainConfig,
    data: Path,
    kept: Sequence[Utterance],
    held_back: Sequence[Utterance],
    *,
    cache: Path,
    report: Reporter,
) -> Corpus:
    """Banks of features for the utterances to train on and those held back, and the backgrounds
    that lie in `data`. CorpusError if nothing can be trained on."""
    both = _bank("train", [*kept, *held_back], cache, report, plan)
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
        teacher=read_teacher(Path(plan.teacher)) if plan.teacher else None,
    )


def run_phases(
    plan: TrainConfig,
    model: nn.Module,
    corpus: Corpus,
    out: Path,
    *,
    engine: Engine,
    report: Reporter,
    class_vectors: Callable[[Sequence[str]], Tensor] | None = None,
) -> nn.Module:
    """All phases of the plan on `model`; the averaged network that is to be shipped.

    class_vectors: names of K speakers -> (K, D) unit vectors that the classifier starts from.
    """
    softmax = _batches(plan, corpus, plan.softmax, plan.seed)
    projection = None
    if corpus.teacher:
        teacher_size = len(next(iter(corpus.teacher.values())))
        projection = teacher_projection(model.config.embedding_size, teacher_size)  # type: ignore
    classifier = SoftmaxObjective(
        model.config.embedding_size,  # type: ignore[union-attr, arg-type]
        len(softmax.speakers),
        scale=plan.softmax.scale,
        margin=plan.softmax.margin,
        teacher_weight=plan.softmax.teacher_weight,
        relation_weight=plan.softmax.relation_weight,
        projection=projection,
    )
    if class_vectors is not None:
        with torch.no_grad():
            classifier.weight.copy_(class_vectors(softmax.speakers))
    report.say(
        f"{len(softmax.speakers)} speakers to train on, "
        f"{len({i.speaker for i in corpus.validation.items})} for validation"
    )
    phase = _Phase(plan, corpus, out, engine, report)
    done = phase.fit("softmax", model, classifier, softmax, plan.softmax)
    model.load_state_dict(done.averaged.state_dict())
    for number, (name, triplets) in enumerate(
        (("triplet", plan.triplet), ("settle", plan.settle)), start=1
    ):
        if triplets is None:
            continue
        objective = _triplet_objective(triplets, model, classifier, projection)
        batches = _batches(plan, corpus, triplets, plan.seed + number)
        done = phase.fit(name, model, objective, batches, triplets)
        model.load_state_dict(done.averaged.state_dict())
    return done.best if plan.ship == "best" else done.averaged


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
    """Unit vectors by `Item.copy`, with what all voices share (their mean) taken away."""
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

    plan: TrainConfig
    corpus: Corpus
    out: Path
    engine: Engine
    report: Reporter

    def fit(
        self,
        name: str,
        model: nn.Module,
        objective: nn.Module,
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
    if phase.epochs < 0:
        raise ConfigError(f"epochs is {phase.epochs}: give 0 to count in fit.steps, or more")
    crops = phase.sampler.speakers * phase.sampler.utterances * workers
    return replace(phase.fit, steps=max(1, round(phase.epochs * utterances / crops)))


def load_network(plan: TrainConfig) -> nn.Module:
    """The network that the plan starts from: weights, or one drawn by chance."""
    config = model_config(plan)
    if plan.init:
        model = load_weights(find_weights(plan.init)).model
    else:
        model = ARCHITECTURES.load(plan.architecture)(config)
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # faster on CPU


def _batches(plan: TrainConfig, corpus: Corpus, phase: Phase, seed: int) -> CropBatches:
    taught = phase.teacher_weight > 0 or phase.relation_weight > 0
    return CropBatches(
        corpus.train,
        corpus.noise,
        sampler=phase.sampler,
        augmentation=phase.augmentation or plan.augmentation,
        seed=seed,
        teacher=corpus.teacher if taught else None,
        rooms=corpus.rooms,
    )


def _bank(
    name: str,
    utterances: Sequence[Utterance],
    cache: Path,
    report: Reporter,
    plan: TrainConfig | None = None,
) -> FeatureBank:
    """With the copies that the plan wants; without a plan as they are."""
    with report.bar(f"features {name}", len(utterances)) as moved:
        return bank_of(
            utterances,
            cache,
            name,
            speeds=plan.speeds if plan else (1.0,),
            one_copy=plan.one_copy if plan else False,
            telephone=plan.telephone if plan else 0.0,
            on_done=lambda done, _: moved(done, {}),
            on_left_out=lambda sentence: report.warn(f"left out: {sentence}"),
        )


def _draw(out: Path, report: Reporter) -> None:
    """A picture is a courtesy: without matplotlib the run still ends well."""
    measured = [out / phase / "metrics.jsonl" for phase in ("softmax", "triplet", "settle")]
    try:
        draw_curves([path for path in measured if path.exists()], out / "curves.png")
    except BackendUnavailable as error:
        report.say(str(error))
