"""Losses against nested loops and against torch's own cross entropy."""

import pytest
import torch

from encoder.data.batch_sampler import Batch
from encoder.errors import ConfigError
from encoder.losses.memory_bank import MemoryBank
from encoder.losses.mining import Triplets, mine_triplets
from encoder.losses.triplet import cosine_triplet_loss
from encoder.speaker_training.objectives import (
    SoftmaxObjective,
    TripletObjective,
    relation_loss,
    teacher_loss,
    teacher_projection,
)


def unit(*shape, seed=0):
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(x, dim=-1)


def rows(*triplets):
    a, p, n = zip(*triplets, strict=True) if triplets else ((), (), ())
    return Triplets(*(torch.tensor(x, dtype=torch.int64) for x in (a, p, n)))


class Identity(torch.nn.Module):
    """A network whose features are already embeddings."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(()))

    def forward(self, features):
        return torch.nn.functional.normalize(features * self.scale, dim=1)


@pytest.mark.parametrize("margin", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_triplet_loss_by_loops(seed, margin):
    embeddings = unit(9, 4, seed=seed)
    triplets = mine_triplets(embeddings, torch.arange(9) % 3, strategy="semi-hard")
    total = 0.0
    for a, p, n in zip(*(t.tolist() for t in triplets), strict=True):
        to_positive = sum(float(x * y) for x, y in zip(embeddings[a], embeddings[p], strict=True))
        to_negative = sum(float(x * y) for x, y in zip(embeddings[a], embeddings[n], strict=True))
        total += max(0.0, to_negative - to_positive + margin)
    got = cosine_triplet_loss(embeddings, triplets, margin=margin)
    assert got.shape == ()
    assert float(got) == pytest.approx(total / len(triplets.anchors), abs=1e-6)


def test_triplet_loss_hand_example():
    embeddings = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.8, 0.6], [-1.0, 0.0]])
    # cos(0, 1) = 0.6, cos(0, 2) = 0.8, cos(0, 3) = -1: broken by 0.2 + 0.1, and kept.
    loss = cosine_triplet_loss(embeddings, rows((0, 1, 2), (0, 1, 3)), margin=0.1)
    assert float(loss) == pytest.approx((0.3 + 0.0) / 2)


def test_triplet_gradient_pulls_and_pushes():
    embeddings = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.8, 0.6]], requires_grad=True)
    cosine_triplet_loss(embeddings, rows((0, 1, 2)), margin=0.1).backward()
    expected = torch.tensor([[0.2, -0.2], [-1.0, 0.0], [1.0, 0.0]])  # n - p, -a, a
    torch.testing.assert_close(embeddings.grad, expected)


def test_no_triplets_give_zero_with_a_gradient_of_zeros():
    embeddings = unit(3, 4).requires_grad_()
    loss = cosine_triplet_loss(embeddings, rows(), margin=0.1)
    loss.backward()
    assert float(loss.detach()) == 0
    assert torch.equal(embeddings.grad, torch.zeros(3, 4))


def test_softmax_without_margin_is_cross_entropy_of_scaled_cosines():
    torch.manual_seed(0)
    objective = SoftmaxObjective(4, 6, scale=12.0, margin=0.0)
    embeddings, speakers = unit(5, 4), torch.tensor([0, 5, 2, 2, 1])
    loss, measured = objective.loss(embeddings, speakers, 1.0)
    cosines = torch.nn.functional.cosine_similarity(
        embeddings[:, None], objective.weight[None], dim=2
    )
    expected = torch.nn.CrossEntropyLoss()(12.0 * cosines, speakers)
    torch.testing.assert_close(loss, expected)
    assert measured["loss"] == pytest.approx(expected.item())
    right = [int(cosines[i].argmax()) == int(k) for i, k in enumerate(speakers)]
    assert measured["accuracy"] == pytest.approx(sum(right) / 5)


@pytest.mark.parametrize(
    ("progress", "share"), [(0.0, 0.0), (0.05, 0.25), (0.1, 0.5), (0.2, 1.0), (0.9, 1.0)]
)
def test_the_margin_grows_over_the_first_fifth(progress, share):
    torch.manual_seed(0)
    objective = SoftmaxObjective(4, 3, scale=10.0, margin=0.4)
    embeddings, speakers = unit(6, 4), torch.tensor([0, 1, 2, 0, 1, 2])
    cosines = objective.logits(embeddings).detach().clone()
    for row, k in enumerate(speakers):
        cosines[row, k] -= 0.4 * share
    expected = torch.nn.functional.cross_entropy(10.0 * cosines, speakers)
    loss, _ = objective(
        torch.nn.Identity(), Batch(embeddings, speakers, speakers), progress=progress
    )
    torch.testing.assert_close(loss, expected)


def objectives(weight):
    torch.manual_seed(0)
    classifier = SoftmaxObjective(4, 3)
    return classifier, TripletObjective(margin=0.2, classifier=classifier, softmax_weight=weight)


BATCH = Batch(unit(6, 4, seed=3), torch.tensor([0, 1, 2, 0, 1, 2]), torch.arange(6))


def test_triplet_objective_adds_the_weighted_softmax():
    classifier, objective = objectives(0.25)
    loss, measured = objective(Identity(), BATCH, progress=0.0)
    triplets = mine_triplets(BATCH.features, BATCH.speakers)
    plain = cosine_triplet_loss(BATCH.features, triplets, margin=0.2)
    extra, _ = classifier.loss(BATCH.features, BATCH.speakers, 1.0)
    torch.testing.assert_close(loss, plain + 0.25 * extra)
    assert measured["triplet_loss"] == pytest.approx(float(plain))
    assert measured["loss"] == pytest.approx(float(loss.detach()))
    loss.backward()
    assert classifier.weight.grad.abs().sum() > 0


def test_triplet_objective_without_weight_has_no_classifier():
    _, objective = objectives(0.0)
    loss, measured = objective(Identity(), BATCH, progress=0.0)
    assert list(objective.parameters()) == []
    assert "accuracy" not in measured
    assert measured["triplet_loss"] == pytest.approx(float(loss.detach()))


def test_triplet_objective_prefers_other_takes():
    batch = Batch(unit(4, 4), torch.tensor([0, 0, 0, 1]), torch.tensor([1, 1, 2, 3]))
    loss, _ = TripletObjective(margin=1.0)(Identity(), batch, progress=0.0)
    e = batch.features
    terms = [e[a] @ e[3] - e[a] @ e[p] + 1 for a, p in [(0, 2), (1, 2), (2, 0), (2, 1)]]
    torch.testing.assert_close(loss, torch.stack(terms).relu().mean())


def test_violating_tells_collapse_from_success():
    objective, speakers = TripletObjective(margin=0.2), torch.tensor([0, 1, 0, 1])
    apart = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    shares = []
    for embeddings in (torch.ones(4, 2), apart, apart[[0, 1, 1, 1]]):
        loss, measured = objective(
            Identity(), Batch(embeddings, speakers, torch.arange(4)), progress=0.0
        )
        shares.append(measured["violating"])
        if len(shares) == 1:
            assert float(loss.detach()) == pytest.approx(0.2)
    assert shares == [1.0, 0.0, 1.0]
    alone = Batch(apart, torch.zeros(4, dtype=torch.int64), torch.arange(4))
    assert objective(Identity(), alone, progress=0.0)[1]["violating"] == 0.0


def test_teacher_loss_by_hand():
    mine = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    teacher = torch.tensor([[1.0, 0.0], [0.8, 0.6]])
    assert teacher_loss(mine, teacher).item() == pytest.approx((0 + (1 - 0.96)) / 2)
    assert teacher_loss(mine, None).item() == 0


@pytest.mark.parametrize("kind", ["softmax", "triplet"])
def test_objectives_add_the_weighted_teacher(kind):
    def objective(weight):
        torch.manual_seed(0)
        if kind == "softmax":
            return SoftmaxObjective(4, 3, teacher_weight=weight)
        return TripletObjective(margin=0.2, teacher_weight=weight)

    batch = BATCH._replace(teacher=unit(6, 4, seed=8))
    without, _ = objective(0.0)(Identity(), BATCH, progress=0.5)
    total, measured = objective(3.0)(Identity(), batch, progress=0.5)
    extra = teacher_loss(batch.features, batch.teacher)
    torch.testing.assert_close(total, without + 3.0 * extra)
    assert measured["teacher_loss"] == pytest.approx(extra.item())


def test_relation_loss_by_loops():
    mine, teacher = unit(5, 4, seed=1), unit(5, 7, seed=2)  # the sizes need not agree
    terms = [
        (float(mine[i] @ mine[j]) - float(teacher[i] @ teacher[j])) ** 2
        for i in range(5)
        for j in range(5)
        if i != j
    ]
    assert relation_loss(mine, teacher).item() == pytest.approx(sum(terms) / 20)
    assert relation_loss(mine, mine).item() == pytest.approx(0.0, abs=1e-12)


def test_relation_loss_of_one_utterance_is_zero_with_a_gradient():
    mine = unit(1, 4).requires_grad_()
    relation_loss(mine, unit(1, 4)).backward()
    assert torch.equal(mine.grad, torch.zeros(1, 4))


@pytest.mark.parametrize("kind", ["softmax", "triplet"])
def test_objectives_add_the_weighted_relations_and_project_to_the_teachers_size(kind):
    torch.manual_seed(1)
    projection = teacher_projection(4, 7)
    assert projection.weight.shape == (7, 4)

    def objective(**weights):
        torch.manual_seed(0)
        if kind == "softmax":
            return SoftmaxObjective(4, 3, **weights)
        return TripletObjective(margin=0.2, **weights)

    batch = BATCH._replace(teacher=unit(6, 7, seed=8))
    without, _ = objective()(Identity(), BATCH, progress=0.5)
    taught = objective(teacher_weight=3.0, relation_weight=2.0, projection=projection)
    total, measured = taught(Identity(), batch, progress=0.5)
    projected = torch.nn.functional.normalize(batch.features @ projection.weight.T, dim=1)
    same, related = teacher_loss(projected, batch.teacher), relation_loss(BATCH[0], batch.teacher)
    torch.testing.assert_close(total, without + 3.0 * same + 2.0 * related)
    assert measured["teacher_loss"] == pytest.approx(same.item())
    assert measured["relation_loss"] == pytest.approx(related.item())
    total.backward()
    assert projection.weight.grad.abs().sum() > 0
    assert projection.weight in set(taught.parameters())
    assert teacher_projection(4, 4) is None


def test_the_relation_alone_needs_no_projection():
    batch = BATCH._replace(teacher=unit(6, 7, seed=8))
    _, measured = TripletObjective(relation_weight=1.0)(Identity(), batch, progress=0.0)
    assert "teacher_loss" not in measured and measured["relation_loss"] > 0


TAUGHT = BATCH._replace(teacher=unit(6, 4, seed=8))


@pytest.mark.parametrize(
    ("make", "batch", "sentence"),
    [
        (lambda: TripletObjective(teacher_weight=0.5), BATCH, "0.5 .*no teacher's vectors: give"),
        (lambda: SoftmaxObjective(4, 3, relation_weight=2.0), BATCH, "relation_weight 2.0, but"),
        (lambda: SoftmaxObjective(4, 3), TAUGHT, "have a teacher's vectors, but .* are 0: set"),
        (lambda: TripletObjective(), TAUGHT, "have a teacher's vectors, but .* are 0: set"),
        (
            lambda: TripletObjective(teacher_weight=1.0),
            BATCH._replace(teacher=unit(6, 7)),
            r"have 7 values and the embedding 4: .* projection=teacher_projection\(4, 7\)",
        ),
        (lambda: TripletObjective(softmax_weight=0.3), BATCH, "0.3 without a classifier: give"),
        (lambda: TripletObjective(softmax_weight=-1.0), BATCH, "softmax_weight is -1.0: give 0"),
        (lambda: TripletObjective(teacher_weight=-1.0), BATCH, "teacher_weight is -1.0: give 0"),
        (lambda: TripletObjective(hard_speakers=4), BATCH, "4 without a history: give one"),
    ],
)
def test_what_would_be_ignored_is_refused(make, batch, sentence):
    with pytest.raises(ConfigError, match=sentence):
        make()(Identity(), batch, progress=0.0)


def test_negatives_come_from_the_history_too():
    history = MemoryBank(4, 2)
    objective = TripletObjective(margin=0.5, history=history)
    ones, zeros = torch.ones(2, dtype=torch.int64), torch.zeros(2, dtype=torch.int64)
    first = Batch(torch.tensor([[1.0, 0.0], [0.8, 0.6]]), ones, torch.arange(2))
    loss, _ = objective(Identity(), first, progress=0.0)
    assert float(loss.detach()) == 0.0  # one speaker, nothing remembered yet: no triplet
    second = Batch(torch.tensor([[0.0, 1.0], [0.6, 0.8]]), zeros, torch.arange(2))
    loss, measured = objective(Identity(), second, progress=0.0)
    # To the remembered speaker 1: 0 -> max(0, 0.6); 1 -> max(0.6, 0.96). Positives: 0.8.
    assert float(loss.detach()) == pytest.approx((0.6 - 0.8 + 0.5 + 0.96 - 0.8 + 0.5) / 2)
    assert measured["violating"] == 1.0
    assert history.speakers.tolist() == [1, 1, 0, 0]
    assert not history.embeddings.requires_grad


def test_the_history_chooses_once_it_is_full_and_by_the_number_alone():
    history = MemoryBank(12, 4)
    objective = TripletObjective(history=history, hard_speakers=2)
    assert TripletObjective(history=history).choose(0) is None
    speakers = torch.arange(12) % 6
    history.push(unit(11, 4), speakers[:11], speakers[:11])
    assert objective.choose(0) is None
    history.push(unit(1, 4), speakers[11:], speakers[11:])
    draws = [objective.choose(number).tolist() for number in range(20)]
    assert draws == [objective.choose(number).tolist() for number in range(20)]
    assert all(len(set(draw)) == 2 for draw in draws)
    assert len({draw[0] for draw in draws}) > 3


@pytest.mark.parametrize("steps_apart", [None, 90])
def test_a_collapse_is_told_once_it_has_lasted(steps_apart):
    """`steps_apart`: now and then one good batch, which is no collapse."""
    objective, speakers = TripletObjective(margin=0.2), torch.tensor([0, 1, 0, 1])
    alike = Batch(torch.ones(4, 2), speakers, torch.arange(4))
    apart = alike._replace(features=torch.tensor([[1.0, 0], [0, 1.0], [1.0, 0], [0, 1.0]]))
    said, seen = [], []
    for step in range(1, 402):
        good = steps_apart is not None and step % steps_apart == 0
        _, measured = objective(Identity(), apart if good else alike, progress=0.0)
        seen.append(measured.get("collapsed", 0.0))
        sentence = objective.warning()
        if sentence:
            said.append((step, sentence))
    if steps_apart:
        assert not any(seen) and said == []
        return
    assert seen == [0.0] * 199 + [1.0] * 202
    ((step, sentence),) = said
    assert step == 200
    assert all(word in sentence for word in ("0.2", "learning rate", "softmax", "semi-hard"))
    for batch in [apart] + [alike] * 200:  # after it has recovered, another collapse is news
        objective(Identity(), batch, progress=0.0)
        said.append(objective.warning())
    assert said[-1] == sentence and said[1:-1] == [None] * 200


def test_a_high_loss_that_is_not_the_margin_is_no_collapse():
    objective = TripletObjective(margin=0.2)
    rows = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.6, 0.8], [0.0, 1.0]])
    batch = Batch(rows, torch.tensor([0, 1, 0, 1]), torch.arange(4))  # all broken, and not alike
    for _ in range(250):
        _, measured = objective(Identity(), batch, progress=0.0)
    assert measured["violating"] == 1.0 and "collapsed" not in measured
