"""The loop says what is wrong in a sentence and never harms its last good checkpoint."""

import resource
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from encoder.errors import CheckpointError, StoreError, ToolkitError
from encoder.models.rescnn import ResCNN, ResCNNConfig
from encoder.speaker_training.objectives import SoftmaxObjective
from encoder.training.loop import fit
from encoder.training.objective import Objective
from tests.support.tiny_training import CONFIG, batches, parts, run, same

ROOT = Path(__file__).parents[3]


class Stuck(Objective):
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


class Poison(Objective):
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
