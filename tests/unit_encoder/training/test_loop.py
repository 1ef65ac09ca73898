"""The loop does what its settings say: rates, averages, validation, logs; and it learns."""

import copy
import json
import math
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from encoder.errors import ConfigError
from encoder.training.loop import FitConfig, fit
from encoder.training.objective import Objective
from tests.support.tiny_training import CONFIG, batches, parts, run, same

ROOT = Path(__file__).parents[3]


class Weight(nn.Module):
    """A model that is one number, with a norm that counts."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.zeros((), dtype=torch.float64))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))


class Slope(Objective):
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


def test_crops_a_second_are_measured_and_logged(tmp_path, monkeypatch):
    config, shown, now = replace(CONFIG, validate_every=6), {}, [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def slow(step):
        now[0] += 0.01 if step < 6 else 0.02
        return batches(step)

    def on_step(step, measured):
        shown[step] = measured
        now[0] += 0.02  # not the training's own time

    def validate(model):
        now[0] += 0.02  # nor this
        return {"eer": 0.5}

    fit(*parts(), slow, config=config, out=tmp_path, on_step=on_step, validate=validate)
    assert {"loss", "violating", "crops_per_s"} <= shown[3].keys()
    more = replace(config, steps=18)
    now[0] += 1000
    fit(*parts(), slow, config=more, out=tmp_path, validate=validate)  # the clock goes on
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [6, 12, 18]
    assert [row["seconds"] for row in rows] == [0.06, 0.18, 0.3]
    assert [row["crops_per_s"] for row in rows] == [800, 400, 400]


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
    config = replace(CONFIG, steps=12, validate_every=2, checkpoint_every_s=1e6)
    validate = lambda model: {"eer": 0.5}  # noqa: E731
    run(tmp_path, replace(config, checkpoint_every_s=0.0), kill_at=5, validate=validate)
    # Killed before step 5 was written; the next run writes no checkpoint until it is killed too.
    run(tmp_path, config, kill_at=9, validate=validate)
    run(tmp_path, config, validate=validate)
    rows = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(row)["step"] for row in rows] == [2, 4, 6, 8, 10, 12]
