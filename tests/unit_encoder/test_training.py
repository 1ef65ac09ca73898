"""The loop stops and goes on without a trace, and never harms its last good checkpoint."""

import copy
import json
import math
import os
import random
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from encoder.errors import CheckpointError, ConfigError, StoreError, ToolkitError
from encoder.history import EmbeddingHistory
from encoder.losses import Batch, SoftmaxObjective, TripletObjective, teacher_projection
from encoder.models.rescnn import ResCNN, ResCNNConfig
from encoder.training import FitConfig, fit

ROOT = Path(__file__).parents[2]
CONFIG = FitConfig(steps=12, warmup_steps=3, checkpoint_every_s=-1.0, learning_rate=1e-2)


def batches(step):
    """Four voices, each a fixed spectrum under noise; another draw each step."""
    g = torch.Generator().manual_seed(1000 + step)
    speakers = torch.arange(8) % 4
    voices = torch.randn(4, 1, 8, generator=torch.Generator().manual_seed(7))
    features = voices[speakers] + 0.5 * torch.randn(8, 12, 8, generator=g)
    return Batch(features, speakers, torch.arange(8))


def parts(strategy="random", seed=0):
    torch.manual_seed(seed)
    model = ResCNN(ResCNNConfig(channels=(4,), blocks=1, embedding_size=6, n_mels=8))
    classifier = SoftmaxObjective(6, 4, scale=10.0)
    objective = TripletObjective(
        margin=0.5, strategy=strategy, classifier=classifier, softmax_weight=0.5
    )
    return model, objective


def run(out, config=CONFIG, *, kill_at=None, seed=0, batches=batches, **more):
    """Losses by step and the averaged weights; `kill_at` stops before that step is written."""
    losses = {}

    def on_step(step, measured):
        losses[step] = measured["loss"]
        if step == kill_at:
            raise KeyboardInterrupt

    try:
        result = fit(*parts(seed=seed), batches, config=config, out=out, on_step=on_step, **more)
    except KeyboardInterrupt:
        return losses, None
    return losses, result.averaged.state_dict()


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    return run(tmp_path_factory.mktemp("straight"))


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("kill_at", [1, 2, 7, 12])
def test_an_interrupted_run_goes_on_exactly(tmp_path, optimizer, kill_at):
    config = replace(CONFIG, optimizer=optimizer, momentum=0.9)
    losses, weights = run(tmp_path / "straight", config)
    before, _ = run(tmp_path / "stopped", config, kill_at=kill_at)
    torch.manual_seed(123)
    after, resumed = run(tmp_path / "stopped", config)
    assert sorted(after) == list(range(kill_at, 13))  # the unwritten step is done again
    assert {**before, **after} == losses
    assert all(before[step] == losses[step] for step in before)
    assert same(resumed, weights)


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import torch
torch.set_num_threads(1)
from test_training import LONG, batches, parts
from encoder.training import fit
def on_step(step, measured):
    print(step, measured["loss"].hex(), flush=True)
fit(*parts(), batches, config=LONG, out=Path({out!r}), on_step=on_step)
"""
LONG = replace(CONFIG, steps=60, checkpoint_every_s=0.01)


def killed_at(out, moment):
    """Losses by step of a process that is killed after `moment` steps and a little; None: never."""
    code = SCRIPT.format(tests=str(Path(__file__).parent), out=str(out))
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    losses = {}
    with subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE) as process:
        for line in process.stdout:
            step, loss = line.decode().split()
            losses[int(step)] = float.fromhex(loss)
            if len(losses) == moment:
                time.sleep(random.uniform(0, 0.02))
                process.kill()
    assert process.returncode == (0 if moment is None else -signal.SIGKILL)
    return losses


def test_a_process_killed_at_random_moments_goes_on_exactly(tmp_path):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the processes: sums then have the same order
    try:
        straight, weights = run(tmp_path / "straight", LONG)
    finally:
        torch.set_num_threads(threads)
    seen = []
    for moment in (random.randint(1, 25), random.randint(1, 25), None):
        if moment is not None:
            (tmp_path / "last.partial").write_bytes(b"half a checkpoint")
        seen.append(killed_at(tmp_path, moment))
    assert max(seen[-1]) == 60
    for losses in seen:  # bit by bit, also where a step was done twice
        assert losses == {step: straight[step] for step in losses}
    assert set().union(*seen) == set(range(1, 61))
    saved = torch.load(tmp_path / "last.pt", weights_only=True)
    assert same(saved["averaged"], weights)


def test_a_finished_run_is_not_run_again(tmp_path, straight):
    run(tmp_path)
    losses, weights = run(tmp_path)
    assert losses == {}
    assert same(weights, straight[1])


def test_without_resume_it_starts_over(tmp_path, straight):
    run(tmp_path, kill_at=5)
    losses, _ = run(tmp_path, resume=False)
    assert losses == straight[0]


def test_a_checkpoint_without_the_random_state_still_loads(tmp_path):
    """Checkpoints written before that key was added."""
    run(tmp_path, kill_at=8)
    saved = torch.load(tmp_path / "last.pt", weights_only=True)
    del saved["random"]
    torch.save(saved, tmp_path / "last.pt")
    assert sorted(run(tmp_path)[0]) == list(range(8, 13))


def make_older(path, **lacking):
    """Turn a checkpoint into one of the first format."""
    saved = torch.load(path, weights_only=True)
    for key in ("format", "best", "seconds"):
        del saved[key]
    saved["random"] = saved["random"][0]
    saved.update(lacking)
    torch.save(saved, path)


def test_a_checkpoint_of_the_first_format_goes_on_exactly(tmp_path, straight):
    run(tmp_path, kill_at=8)
    make_older(tmp_path / "last.pt")
    losses, weights = run(tmp_path)
    assert losses == {step: straight[0][step] for step in range(8, 13)}
    assert same(weights, straight[1])


def taught(step):
    """As `batches`, with a teacher of another size than the embedding."""
    teacher = torch.randn(8, 9, generator=torch.Generator().manual_seed(step))
    return batches(step)._replace(teacher=nn.functional.normalize(teacher, dim=1))


class HardBatches:
    """Batches that can be told which speakers to hold; it notes what it was told."""

    def __init__(self):
        self.told = {}

    def __call__(self, step):
        return taught(step)

    def choose(self, step, *, speakers):
        self.told[step] = speakers.tolist()
        rows = speakers.repeat(8)[:8]
        whole = taught(step)
        voices = torch.randn(4, 1, 8, generator=torch.Generator().manual_seed(7))
        return whole._replace(features=whole.features + voices[rows], speakers=rows)


def rich_parts(**more):
    """A model, and an objective that has everything an objective can have."""
    model, plain = parts("random")
    torch.manual_seed(5)
    return model, TripletObjective(
        margin=0.5, strategy="random", classifier=plain.classifier, softmax_weight=0.5,
        teacher_weight=0.5, relation_weight=0.5, projection=teacher_projection(6, 9),
        history=EmbeddingHistory(20, 6), hard_speakers=3, **more,
    )  # fmt: skip


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_format_1_checkpoint_may_lack_history_and_projection(tmp_path, optimizer):
    config = replace(CONFIG, optimizer=optimizer, momentum=0.9, steps=5)
    run(tmp_path, config)
    make_older(tmp_path / "last.pt")
    before = torch.load(tmp_path / "last.pt", weights_only=True)
    model, objective = rich_parts()
    optimizers = []
    config = replace(config, steps=6)
    fit(
        model, objective, HardBatches(), config=config, out=tmp_path,
        on_step=lambda step, _: optimizers.append(step),
    )  # fmt: skip
    assert optimizers == [6]
    after = torch.load(tmp_path / "last.pt", weights_only=True)
    assert after["format"] == 2 and "teacher.projection.weight" in after["objective"]
    # The optimiser's memory went on, at the right weights: one more step, and shapes that agree.
    for key, old in before["optimizer"]["state"].items():
        shapes = [
            {name: v.shape for name, v in saved.items() if torch.is_tensor(v)}
            for saved in (old, after["optimizer"]["state"][moved(before, after, key)])
        ]
        assert shapes[0] == shapes[1]
        if optimizer == "adamw":
            assert float(after["optimizer"]["state"][moved(before, after, key)]["step"]) == 6
    make_older(tmp_path / "last.pt")
    with pytest.raises(CheckpointError, match="does not belong"):  # but nothing may be dropped
        run(tmp_path, replace(config, steps=7))


def moved(before, after, key):
    """The number a parameter has after others were added at the end of the groups before it."""
    pairs = zip(
        before["optimizer"]["param_groups"], after["optimizer"]["param_groups"], strict=True
    )
    return next(
        new["params"][old["params"].index(key)] for old, new in pairs if key in old["params"]
    )


def test_a_checkpoint_of_a_newer_format_is_refused(tmp_path):
    run(tmp_path, kill_at=3)
    saved = torch.load(tmp_path / "last.pt", weights_only=True)
    torch.save({**saved, "format": 3}, tmp_path / "last.pt")
    with pytest.raises(CheckpointError, match=r"last\.pt' has format 3, .* up to 2: update"):
        run(tmp_path)


@pytest.mark.parametrize("kill_at", [4, 9])
def test_a_run_with_history_and_chosen_speakers_goes_on_exactly(tmp_path, kill_at):
    def rich_run(out, kill_at=None):
        losses, told = {}, HardBatches()

        def on_step(step, measured):
            losses[step] = measured["loss"]
            if step == kill_at:
                raise KeyboardInterrupt

        try:
            result = fit(*rich_parts(), told, config=CONFIG, out=out, on_step=on_step)
        except KeyboardInterrupt:
            return losses, told.told, None
        return losses, told.told, result.averaged.state_dict()

    losses, told, weights = rich_run(tmp_path / "straight")
    assert sorted(told) == list(range(3, 12))  # three batches of eight fill the history of twenty
    assert len({tuple(speakers) for speakers in told.values()}) > 3
    assert all(len(set(speakers)) == 3 for speakers in told.values())
    before, told_before, _ = rich_run(tmp_path / "stopped", kill_at)
    torch.manual_seed(99)
    after, told_after, resumed = rich_run(tmp_path / "stopped")
    assert {**before, **after} == losses
    assert {**told_before, **told_after} == told
    assert same(resumed, weights)


def test_batches_that_cannot_be_told_which_speakers(tmp_path):
    with pytest.raises(ConfigError, match=r"chooses 3 speakers .* set hard_speakers to 0"):
        fit(*rich_parts(), taught, config=CONFIG, out=tmp_path)


class Stuck(nn.Module):
    """An objective that has something to say at two steps."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.calls = inner, 0

    def forward(self, model, batch, *, progress):
        return self.inner(model, batch, progress=progress)

    def warning(self):
        self.calls += 1
        return f"step {self.calls}" if self.calls in (3, 5) else None


def test_warnings_are_passed_on(tmp_path):
    model, objective = parts()
    said = []
    fit(model, Stuck(objective), batches, config=CONFIG, out=tmp_path, on_warning=said.append)
    assert said == ["step 3", "step 5"]


class Poison(nn.Module):
    """An objective that goes wrong in one step, in the loss or only in its gradient."""

    def __init__(self, inner, at, where):
        super().__init__()
        self.inner, self.at, self.where = inner, at, where

    def forward(self, model, batch, *, progress):
        loss, measured = self.inner(model, batch, progress=progress)
        if self.at is not None and round(progress * CONFIG.steps) == self.at:
            zero = (next(model.parameters()) * 0).sum()
            bad = {"nan": zero * torch.nan, "inf": zero + torch.inf, "gradient": zero.sqrt()}
            loss = loss + bad[self.where]
        return loss, measured


@pytest.mark.parametrize("where", ["nan", "inf", "gradient"])
def test_a_broken_loss_is_a_sentence_and_the_checkpoint_stays_good(tmp_path, where, straight):
    model, objective = parts()
    what = "gradient" if where == "gradient" else "loss"
    with pytest.raises(ToolkitError, match=rf"the {what} became (nan|inf) at step 5: lower learn"):
        fit(model, Poison(objective, 5, where), batches, config=CONFIG, out=tmp_path)
    saved = torch.load(tmp_path / "last.pt", weights_only=True)
    assert saved["step"] == 5
    assert all(v.isfinite().all() for k in ("model", "averaged") for v in saved[k].values())
    model, objective = parts()
    result = fit(model, Poison(objective, None, ""), batches, config=CONFIG, out=tmp_path)
    assert same(result.averaged.state_dict(), straight[1])


def other_model(path):
    model = ResCNN(ResCNNConfig(channels=(5,), blocks=1, embedding_size=6, n_mels=8))
    fit(model, SoftmaxObjective(6, 4), batches, config=replace(CONFIG, steps=1), out=path.parent)


def other_optimizer(path):
    run(path.parent, replace(CONFIG, steps=1, optimizer="sgd"))


def truncated(path):
    run(path.parent, replace(CONFIG, steps=1))
    path.write_bytes(path.read_bytes()[:-500])


DAMAGE = {
    "other-model": other_model,
    "other-optimizer": other_optimizer,
    "truncated": truncated,
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("hello"),
    "folder": lambda path: path.mkdir(),
    "list": lambda path: torch.save([1, 2], path),
    "dict": lambda path: torch.save({"step": 3}, path),
}


@pytest.mark.parametrize("harm", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_foreign_or_damaged_checkpoint_is_refused_and_kept(tmp_path, harm):
    path = tmp_path / "last.pt"
    harm(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(CheckpointError, match=r"last\.pt.*choose another output folder"):
        run(tmp_path)
    assert before is None or path.read_bytes() == before


def test_a_failed_write_keeps_the_good_checkpoint(tmp_path):
    run(tmp_path, kill_at=4)
    good = (tmp_path / "last.pt").read_bytes()
    (tmp_path / "last.partial").mkdir()  # nothing can be written beside
    with pytest.raises(StoreError, match=r"cannot write the checkpoint .*last\.pt"):
        run(tmp_path)
    assert (tmp_path / "last.pt").read_bytes() == good


def test_a_full_disk_keeps_the_good_checkpoint(tmp_path, straight):
    """No file may grow beyond a size that the checkpoint does not fit in, as on a full disk."""
    run(tmp_path, kill_at=4)
    good = (tmp_path / "last.pt").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(good) // 2, hard))
    try:
        with pytest.raises(StoreError, match=r"cannot write .*last\.pt.* make room and run"):
            run(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / "last.pt").read_bytes() == good
    assert not (tmp_path / "last.partial").exists()
    losses, weights = run(tmp_path)  # there is room again
    assert losses == {step: straight[0][step] for step in range(4, 13)}
    assert same(weights, straight[1])


@pytest.mark.parametrize("name", ["last.pt", "metrics.jsonl"])
def test_a_place_that_cannot_be_written(tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "kept").touch()
    with pytest.raises(StoreError, match=name):
        run(tmp_path, resume=False, validate=lambda model: {"x": 0.0})
    assert (tmp_path / name / "kept").exists()
    assert not (tmp_path / "last.partial").exists()


@pytest.mark.parametrize("out", ["file", "file/below"])
def test_an_output_folder_that_cannot_be_made(tmp_path, out):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="cannot make the folder"):
        run(tmp_path / out)


class Weight(nn.Module):
    """A model that is one number, with a norm that counts."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.zeros((), dtype=torch.float64))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))


class Slope(nn.Module):
    """loss = w: plain SGD moves w down by exactly the learning rate."""

    def forward(self, model, batch, *, progress):
        model.count += 1
        return model.w, {"loss": float(model.w.detach())}


def path_of_w(config, out):
    model, seen = Weight(), []
    result = fit(
        model, Slope(), lambda step: None, config=config, out=out,
        on_step=lambda step, _: seen.append(float(model.w.detach())),
    )  # fmt: skip
    return seen, result


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
@pytest.mark.parametrize("warmup", [0, 4])
def test_learning_rate_schedule(tmp_path, schedule, warmup):
    config = FitConfig(
        steps=20, optimizer="sgd", momentum=0.0, weight_decay=0.0, learning_rate=0.5,
        final_learning_rate=0.1, schedule=schedule, warmup_steps=warmup,
    )  # fmt: skip
    seen, _ = path_of_w(config, tmp_path)
    rates = [before - after for before, after in zip([0.0, *seen], seen, strict=False)]
    for step, rate in enumerate(rates):
        if schedule == "cosine":
            expected = 0.1 + 0.4 * (1 + math.cos(math.pi * step / 20)) / 2
        else:
            expected = 0.5 - 0.4 * step / 20
        if step < warmup:
            expected *= (step + 1) / warmup
        assert rate == pytest.approx(expected)


def test_the_gradient_is_clipped(tmp_path):
    config = FitConfig(
        steps=1, optimizer="sgd", momentum=0.0, weight_decay=0.0, learning_rate=1.0,
        warmup_steps=0, gradient_clip=0.25,
    )  # fmt: skip
    assert path_of_w(config, tmp_path)[0] == [pytest.approx(-0.25, rel=1e-4)]


def test_the_average_of_the_weights(tmp_path):
    config = FitConfig(steps=40, optimizer="sgd", momentum=0.9, warmup_steps=0, average_decay=0.7)
    seen, result = path_of_w(config, tmp_path)
    kept = 0.0
    for step, w in enumerate(seen, start=1):
        decay = min(0.7, (step + 1) / (step + 10))
        kept = decay * kept + (1 - decay) * w
    assert float(result.averaged.w.detach()) == pytest.approx(kept)
    assert abs(kept - seen[-1]) > 1e-3
    assert int(result.averaged.count) == 40  # counters are copied, not averaged


def test_validation_sees_the_averaged_model_and_is_logged(tmp_path):
    model, objective = parts()
    seen = []

    def validate(averaged):
        assert not averaged.training
        assert averaged is not model
        seen.append(copy.deepcopy(averaged.state_dict()))
        return {"eer": float(len(seen))}

    result = fit(
        model, objective, batches, config=replace(CONFIG, steps=11, validate_every=4),
        out=tmp_path, validate=validate,
    )  # fmt: skip
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [(row["step"], row["eer"]) for row in rows] == [(4, 1.0), (8, 2.0), (11, 3.0)]
    assert all(math.isfinite(row["loss"]) for row in rows)
    assert result.validation == {"eer": 3.0}
    assert same(seen[-1], result.averaged.state_dict())
    assert model.training


VALUES = [0.5, 0.3, 0.2, math.nan, 0.2, 0.4]  # at steps 2, 4, ..., 12; the lowest comes twice


def judged(seen, name="eer", values=VALUES):
    def validate(averaged):
        seen[len(seen)] = copy.deepcopy(averaged.state_dict())
        return {"other": float(-len(seen)), name: values[len(seen) - 1]}

    return validate


@pytest.mark.parametrize("kill_at", [None, 7, 9])
def test_the_best_validated_weights_are_kept(tmp_path, kill_at):
    config = replace(CONFIG, validate_every=2, best_by="eer")
    model, objective = parts()
    seen, more = {}, {"config": config, "out": tmp_path}

    def on_step(step, _):
        if step == kill_at:
            raise KeyboardInterrupt

    if kill_at:
        with pytest.raises(KeyboardInterrupt):
            fit(model, objective, batches, validate=judged(seen), on_step=on_step, **more)
        model, objective = parts()
    result = fit(model, objective, batches, validate=judged(seen), **more)
    assert (result.best_step, result.best_value) == (6, 0.2)
    assert same(result.best.state_dict(), seen[2])
    assert not same(result.best.state_dict(), result.averaged.state_dict())
    assert not result.best.training
    saved = torch.load(tmp_path / "best.pt", weights_only=True)
    assert (saved["step"], saved["value"], saved["name"]) == (6, 0.2, "eer")
    assert same(saved["averaged"], seen[2])
    again = fit(*parts(), batches, **more)  # nothing left to do; the best is still known
    assert (again.best_step, again.validation) == (6, {})
    assert same(again.best.state_dict(), seen[2])


def test_best_by_is_the_first_value_unless_named(tmp_path):
    config = replace(CONFIG, validate_every=2)
    result = fit(*parts(), batches, config=config, out=tmp_path, validate=judged({}))
    assert (result.best_step, result.best_value) == (12, -6.0)
    assert result.best is result.averaged
    config = replace(config, best_by="nonesuch")
    with pytest.raises(ConfigError, match=r"'nonesuch', but .* other, eer: choose one"):
        fit(*parts(), batches, config=config, out=tmp_path / "b", validate=judged({}))


def test_without_validation_the_last_is_the_best(tmp_path):
    result = fit(*parts(), batches, config=CONFIG, out=tmp_path)
    assert result.best is result.averaged
    assert (result.best_step, result.best_value) == (None, None)
    assert not (tmp_path / "best.pt").exists()


def test_crops_a_second_are_measured_and_logged(tmp_path):
    config, shown = replace(CONFIG, validate_every=6), {}

    def slow(step):
        time.sleep(0.01)
        return batches(step)

    def on_step(step, measured):
        shown[step] = measured
        time.sleep(0.02)  # not the training's own time

    validate = lambda model: time.sleep(0.02) or {"eer": 0.5}  # noqa: E731
    fit(*parts(), slow, config=config, out=tmp_path, on_step=on_step, validate=validate)
    assert {"loss", "violating", "crops_per_s"} <= shown[3].keys()
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [6, 12]
    first, second = (row["seconds"] for row in rows)
    assert rows[0]["crops_per_s"] == pytest.approx(6 * 8 / first, rel=0.05)
    assert rows[1]["crops_per_s"] == pytest.approx(6 * 8 / (second - first), rel=0.05)
    assert 0 < rows[0]["crops_per_s"] <= 800
    more = replace(config, steps=18)
    fit(*parts(), slow, config=more, out=tmp_path, validate=validate)  # the clock goes on too
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert rows[2]["seconds"] >= second + 0.06


def test_every_fiftieth_step_is_logged(tmp_path):
    path_of_w(FitConfig(steps=120), tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [50, 100]


@pytest.mark.parametrize("strategy", ["hard", "semi-hard"])
def test_it_learns(tmp_path, strategy):
    model, objective = parts(strategy)
    losses, accuracy = [], []

    def on_step(_, measured):
        losses.append(measured["triplet_loss"])
        accuracy.append(measured["accuracy"])

    config = replace(CONFIG, steps=80, checkpoint_every_s=99.0)
    fit(model, objective, batches, config=config, out=tmp_path, on_step=on_step)
    assert sum(losses[-10:]) < 0.3 * sum(losses[:10])
    assert sum(accuracy[-10:]) > 9


def test_the_log_of_a_resumed_run_has_every_step_once(tmp_path):
    config = replace(CONFIG, steps=12, validate_every=2, checkpoint_every_s=1e9)
    validate = lambda model: {"eer": 0.5}  # noqa: E731
    run(tmp_path, replace(config, checkpoint_every_s=-1.0), kill_at=5, validate=validate)
    # Killed before step 5 was written; the next run writes no checkpoint until it is killed too.
    run(tmp_path, config, kill_at=9, validate=validate)
    run(tmp_path, config, validate=validate)
    rows = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(row)["step"] for row in rows] == [2, 4, 6, 8, 10, 12]
