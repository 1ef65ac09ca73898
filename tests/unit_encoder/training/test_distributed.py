"""One worker is plain torch; two workers mine, differentiate and stop together.

The two-worker tests start this file as a program with two processes on the CPU, and look at what
each has written.
"""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from encoder.data.batch_sampler import Batch
from encoder.errors import BackendUnavailable, CheckpointError, ConfigError, ToolkitError
from encoder.losses.memory_bank import MemoryBank
from encoder.losses.mining import mine_triplets
from encoder.losses.triplet import cosine_triplet_loss
from encoder.models.rescnn import ResCNN, ResCNNConfig
from encoder.speaker_training.objectives import SoftmaxObjective, TripletObjective
from encoder.training.distributed import EngineConfig, SingleEngine, make_engine, serve_cpu
from encoder.training.loop import FitConfig, fit
from encoder.training.objective import Objective

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
CONFIG = FitConfig(
    steps=6, warmup_steps=2, learning_rate=1e-2, checkpoint_every_s=0.0, validate_every=3
)


def unit(*shape, seed):
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return nn.functional.normalize(x, dim=-1)


class Flat(nn.Module):
    """A network without batch norm: features (B, 5) -> embeddings (B, 4)."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(5, 4, bias=False)
        with torch.no_grad():
            self.linear.weight.copy_(unit(4, 5, seed=1))

    def forward(self, features):
        return nn.functional.normalize(self.linear(features), dim=1)


def share(rank):
    """A worker's batch; no speaker is in both."""
    speakers = torch.tensor([0, 0, 1, 1]) + 2 * rank
    return Batch(unit(4, 5, seed=10 + rank), speakers, torch.arange(4), unit(4, 4, seed=rank))


def objective_of(margin=0.5):
    torch.manual_seed(3)
    classifier = SoftmaxObjective(4, 4, scale=5.0)
    return TripletObjective(
        margin=margin, classifier=classifier, softmax_weight=0.5, teacher_weight=0.3
    )


def voices(number):
    """A batch that the number alone decides."""
    speakers = torch.arange(8) % 4
    g = torch.Generator().manual_seed(number)
    spectra = torch.randn(4, 1, 8, generator=torch.Generator().manual_seed(7))
    features = spectra[speakers] + 0.5 * torch.randn(8, 12, 8, generator=g)
    return Batch(features, speakers, torch.arange(8))


def fit_parts(seed):
    torch.manual_seed(seed)
    model = ResCNN(ResCNNConfig(channels=(4,), blocks=1, embedding_size=6, n_mels=8))
    classifier = SoftmaxObjective(6, 4, scale=10.0)
    objective = TripletObjective(
        margin=0.5, strategy="random", classifier=classifier, softmax_weight=0.5,
        history=MemoryBank(24, 6),
    )  # fmt: skip
    return model, objective


class BrokenAtOne(Objective):
    """An objective whose loss is broken on worker 1 alone."""

    def bind(self, engine):
        self.rank = engine.rank

    def forward(self, model, batch, *, progress):
        loss = model(batch.features).sum()
        return loss * (math.nan if self.rank == 1 else 1.0), {}


def sentence_of(action):
    try:
        action()
    except ToolkitError as error:
        return f"{type(error).__name__}: {error}"
    return None


def worker(out):
    """What a process does; it writes what it has seen."""
    torch.set_num_threads(1)
    engine = make_engine(EngineConfig(device="cpu", devices=2))
    rank, found = engine.rank, {"world_size": engine.world_size}
    found["gathered"] = engine.gather(torch.tensor([[rank], [rank + 10]]))
    found["broadcast"] = engine.broadcast({"from": rank})

    model = Flat()
    objective = objective_of()
    network = engine.setup(model, objective)
    objective.bind(engine)
    loss, _ = objective(network, engine.to_device(share(rank)), progress=1.0)
    parameters = [*model.parameters(), *objective.parameters()]
    engine.backward(loss, parameters)
    found["gradients"] = [p.grad for p in parameters]

    near = TripletObjective(margin=0.5)
    near.bind(engine)
    rows = torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [-1.0, 0.0]])
    loss, _ = near(nn.Identity(), share(rank)._replace(features=rows, teacher=None), progress=1.0)
    found["loss_by_hand"] = float(loss)

    drawn, losses = [], {}

    def batches(number):
        drawn.append(number)
        return voices(number)

    def on_step(step, measured):
        losses[step] = measured["loss"]

    def train(folder, steps):
        model, objective = fit_parts(seed=rank)  # other weights on each: the first worker's count
        torch.manual_seed(50 + rank)
        config = FitConfig(**{**CONFIG.__dict__, "steps": steps})
        result = fit(
            model, objective, batches, config=config, out=out / folder, engine=engine,
            on_step=on_step, validate=lambda averaged: {"eer": averaged.affine.bias.sum().item()},
        )  # fmt: skip
        return model, objective, result

    model, objective, result = train("straight", 6)
    found |= {
        "model": model.state_dict(),
        "objective": objective.state_dict(),
        "averaged": result.averaged.state_dict(),
        "best": result.best.state_dict(),
        "validation": result.validation,
        "drawn": list(drawn),
        "losses": dict(losses),
    }
    # CONFIG.steps shapes the schedule, so a stop is a failure of batch 8 or 9, in step 4.
    losses.clear()

    def stops(number):
        if number >= 8:
            raise ToolkitError("stopped")
        return voices(number)

    model, objective = fit_parts(seed=rank)
    torch.manual_seed(50 + rank)
    stop = sentence_of(
        lambda: fit(model, objective, stops, config=CONFIG, out=out / "again", engine=engine,
                    on_step=on_step)
    )  # fmt: skip
    torch.manual_seed(1234)
    model, _, _ = train("again", 6)
    found |= {"stop": stop, "resumed": model.state_dict(), "resumed_losses": dict(losses)}

    found["broken"] = sentence_of(
        lambda: fit(fit_parts(0)[0], BrokenAtOne(), voices, config=CONFIG, out=out / "broken",
                    engine=engine)
    )  # fmt: skip
    if engine.is_main:
        (out / "bad").mkdir()
        (out / "bad" / "last.pt").write_text("no checkpoint")
    engine.gather(torch.zeros(1))  # worker 1 waits for the file
    found["damaged"] = sentence_of(
        lambda: fit(*fit_parts(0), voices, config=CONFIG, out=out / "bad", engine=engine)
    )
    torch.save(found, out / f"rank{rank}.pt")
    engine.gather(torch.zeros(1))  # the first process ends when both have written


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """What the two workers have seen, in order of rank, and the folder they wrote to."""
    out = tmp_path_factory.mktemp("two")
    done = subprocess.run(
        [sys.executable, __file__, str(out)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return [torch.load(out / f"rank{rank}.pt", weights_only=True) for rank in (0, 1)], out


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def test_workers_gather_in_order_and_hear_the_first(two):
    for found in two[0]:
        assert found["world_size"] == 2
        assert found["gathered"].tolist() == [[0], [10], [1], [11]]
        assert found["broadcast"] == {"from": 0}


def test_the_hardest_negative_comes_from_the_other_process(two):
    # Alone, all negatives are opposite to their anchor, and the loss is 0; the other worker has a
    # speaker right on top of each, so that all triplets break the margin by just the margin.
    assert [found["loss_by_hand"] for found in two[0]] == [0.5, 0.5]


def test_the_averaged_gradient_is_that_of_one_process_on_both_batches(two):
    model, objective = Flat(), objective_of()
    both = Batch(*(torch.cat(parts) for parts in zip(share(0), share(1), strict=True)))
    loss, _ = objective(model, both._replace(sessions=torch.arange(8)), progress=1.0)
    loss.backward()
    expected = [p.grad for p in (*model.parameters(), *objective.parameters())]
    negatives = mine_triplets(model(both.features), both.speakers).negatives
    halves = [int(n) // 4 for n in negatives]
    assert halves[:4] != [0] * 4 and halves[4:] != [1] * 4  # the other's rows are among them
    for found in two[0]:
        assert len(found["gradients"]) == len(expected) == 2
        for got, wanted in zip(found["gradients"], expected, strict=True):
            torch.testing.assert_close(got, wanted)
    # And the other worker's rows have a gradient of their own: without it this would hold too.
    own = model(both.features)
    triplets = mine_triplets(own, both.speakers)
    detached = [
        cosine_triplet_loss(
            torch.cat([own[half], own.detach()]), mine_triplets(
                own[half], both.speakers[half], pool=(own.detach(), both.speakers)
            ), margin=0.5,
        )
        for half in (slice(0, 4), slice(4, 8))
    ]  # fmt: skip
    full = torch.autograd.grad(
        cosine_triplet_loss(own, triplets, margin=0.5), model.linear.weight, retain_graph=True
    )
    half = torch.autograd.grad(sum(detached) / 2, model.linear.weight)
    assert (full[0] - half[0]).abs().max() > 1e-3


def test_both_workers_end_with_the_same_weights(two):
    one, other = two[0]
    for part in ("model", "objective", "averaged", "best"):
        assert same(one[part], other[part]), part
    assert one["validation"] == other["validation"] != {}
    assert one["drawn"][:6] == [0, 2, 4, 6, 8, 10]
    assert other["drawn"][:6] == [1, 3, 5, 7, 9, 11]
    assert sorted(one["losses"]) == [1, 2, 3, 4, 5, 6]
    assert other["losses"] == {}  # callbacks and files are the first worker's
    # The history holds what both have embedded: 3 steps of 16 rows, of which the last 24 stay.
    assert int(one["objective"]["history.pushed"]) == 6 * 16
    rows = (two[1] / "straight" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(row)["step"] for row in rows] == [3, 6]
    saved = torch.load(two[1] / "straight" / "last.pt", weights_only=True)
    assert saved["random"].shape[0] == 2 and not torch.equal(*saved["random"])


def test_two_workers_go_on_exactly(two):
    for found in two[0]:
        assert found["stop"] == "ToolkitError: stopped"
        assert same(found["resumed"], found["model"])
    assert two[0][0]["resumed_losses"] == two[0][0]["losses"]


def test_all_workers_stop_at_the_error_of_one(two):
    for found in two[0]:
        assert found["broken"].startswith("ToolkitError: the loss became nan at step 0")
        assert found["damaged"].startswith("CheckpointError: the checkpoint")


def test_one_worker_needs_nothing_but_torch():
    code = (
        "import sys, encoder.training.loop as t, encoder.training.distributed as e;"
        "print(type(e.make_engine(e.EngineConfig(device='cpu'))).__name__,"
        " any(m.startswith('lightning') for m in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["SingleEngine", "False"]


def test_one_worker_is_the_default_and_gathers_itself():
    engine = make_engine(EngineConfig(device="cpu"))
    assert isinstance(engine, SingleEngine)
    assert (engine.rank, engine.world_size, engine.is_main) == (0, 1, True)
    rows = unit(3, 2, seed=0)
    assert engine.gather(rows) is rows
    assert engine.broadcast("x") == "x"
    moved = engine.to_device(Batch(rows, torch.arange(3), torch.arange(3)))
    assert isinstance(moved, Batch) and moved.teacher is None
    model = Flat()
    with serve_cpu(model, engine.device) as served:
        assert served is model


def test_mixed_precision_learns_with_float32_outside(tmp_path):
    engine = SingleEngine("cpu", precision="bf16-mixed")
    model, objective = fit_parts(0)
    network = engine.setup(model, objective)
    features = voices(0).features
    mixed, exact = network.eval()(features), model(features)
    assert mixed.dtype == torch.float32
    assert 0 < (mixed - exact).abs().max() < 0.05
    losses = []
    config = FitConfig(steps=40, warmup_steps=3, learning_rate=1e-2)
    result = fit(
        *fit_parts(0), voices, config=config, out=tmp_path, engine=engine,
        on_step=lambda _, measured: losses.append(measured["loss"]),
    )  # fmt: skip
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])
    assert all(p.dtype == torch.float32 for p in result.averaged.parameters())


@pytest.mark.parametrize(("devices", "machines"), [(0, 1), (1, 0), (-2, 3)])
def test_a_number_of_workers_that_cannot_be(devices, machines):
    with pytest.raises(ConfigError, match=r"(devices|machines) is .*: give 1 to"):
        EngineConfig(devices=devices, machines=machines)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there():
    with pytest.raises(ConfigError, match="'cuda' is not there: set device to cpu"):
        make_engine(EngineConfig(device="cuda", devices=2))


def test_several_workers_without_fabric(monkeypatch):
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)
    with pytest.raises(BackendUnavailable, match="2 workers needs lightning-fabric"):
        make_engine(EngineConfig(device="cpu", devices=2))


def test_errors_of_the_first_worker_keep_their_kind(tmp_path):
    (tmp_path / "last.pt").write_text("no checkpoint")
    with pytest.raises(CheckpointError):
        fit(*fit_parts(0), voices, config=CONFIG, out=tmp_path, engine=SingleEngine())


if __name__ == "__main__":
    worker(Path(sys.argv[1]))
