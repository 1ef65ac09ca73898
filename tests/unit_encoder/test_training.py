"""The loop stops and goes on without a trace, and never harms its last good checkpoint."""

import copy
import json
import math
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from encoder.errors import CheckpointError, StoreError, ToolkitError
from encoder.losses import Batch, SoftmaxObjective, TripletObjective
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
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import torch
torch.set_num_threads(1)
from test_training import CONFIG, batches, parts
from encoder.training import fit
def on_step(step, measured):
    if step == 6:
        os.kill(os.getpid(), signal.SIGKILL)
fit(*parts(), batches, config=CONFIG, out=Path({out!r}), on_step=on_step)
"""


def test_a_killed_process_goes_on_exactly(tmp_path, straight):
    code = SCRIPT.format(tests=str(Path(__file__).parent), out=str(tmp_path))
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    (tmp_path / "last.partial").write_bytes(b"half a checkpoint")
    losses, weights = run(tmp_path)
    assert sorted(losses) == list(range(6, 13))
    assert losses == {step: pytest.approx(straight[0][step], rel=1e-5) for step in losses}
    assert weights.keys() == straight[1].keys()
    for name, value in weights.items():
        torch.testing.assert_close(value, straight[1][name])


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
