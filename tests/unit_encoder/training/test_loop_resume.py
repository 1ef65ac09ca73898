"""A run that was stopped goes on without a trace, also from checkpoints of older versions."""

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from encoder.errors import CheckpointError, ConfigError
from encoder.losses.memory_bank import MemoryBank
from encoder.speaker_training.objectives import TripletObjective, teacher_projection
from encoder.training.loop import fit
from tests.support.tiny_training import CONFIG, LONG, batches, parts, run, same

ROOT = Path(__file__).parents[3]


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
import torch
torch.set_num_threads(1)
from tests.support.tiny_training import LONG, batches, parts
from encoder.training.loop import fit
def on_step(step, measured):
    print(step, measured["loss"].hex(), flush=True)
    sys.stdin.readline()
fit(*parts(), batches, config=LONG, out=Path({out!r}), on_step=on_step)
"""


def killed_at(out, moment):
    """Losses by step of a process that is killed after `moment` steps and a little; None: never.
    It is told to go on after each step, so that none is far when it is killed."""
    code = SCRIPT.format(out=str(out))
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    losses = {}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "bufsize": 0}
    with subprocess.Popen([sys.executable, "-c", code], env=env, **pipes) as process:
        for line in process.stdout:
            step, loss = line.decode().split()
            losses[int(step)] = float.fromhex(loss)
            process.stdin.write(b"\n")
            if len(losses) == moment:
                time.sleep(random.uniform(0, 0.02))
                process.kill()
    assert process.returncode == (0 if moment is None else -signal.SIGKILL)
    return losses


@pytest.mark.slow
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
        history=MemoryBank(20, 6), hard_speakers=3, **more,
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
