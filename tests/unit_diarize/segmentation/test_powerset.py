"""Powerset classes and the loss over all orders of columns, against nested loops."""

from itertools import combinations, permutations, product

import pytest
import torch

from diarize.segmentation.network.powerset import IGNORED, Powerset


def test_the_seven_classes_of_three_speakers():
    assert Powerset().classes.int().tolist() == [
        [0, 0, 0],
        [1, 0, 0],
        [0, 1, 0],
        [0, 0, 1],
        [1, 1, 0],
        [1, 0, 1],
        [0, 1, 1],
    ]


@pytest.mark.parametrize(("speakers", "at_once"), [(1, 1), (2, 2), (3, 2), (4, 2), (4, 3)])
def test_classes_round_trip(speakers, at_once):
    powerset = Powerset(speakers, at_once)
    assert len(powerset) == sum(
        len(list(combinations(range(speakers), n))) for n in range(at_once + 1)
    )
    classes = powerset.of(powerset.classes[None])
    assert classes.tolist() == [list(range(len(powerset)))]
    chosen = torch.nn.functional.one_hot(classes, len(powerset)).float()
    assert torch.equal(powerset.activity(chosen), powerset.classes[None].float())


@pytest.mark.parametrize(("speakers", "at_once"), [(0, 0), (2, 3), (2, 0)])
def test_sets_that_cannot_be(speakers, at_once):
    with pytest.raises(ValueError, match="at once"):
        Powerset(speakers, at_once)


def test_three_at_once_leave_the_two_who_speak_most():
    activity = torch.tensor([[[1, 1, 1], [0, 1, 1], [0, 0, 1], [1, 1, 0], [0, 0, 0]]]).bool()
    # In all: 2, 3 and 3 frames, so the first gives way.
    assert Powerset().of(activity).tolist() == [[6, 6, 3, 4, 0]]


def test_of_equals_the_first_columns_count():
    assert Powerset().of(torch.ones(1, 2, 3).bool()).tolist() == [[4, 4]]
    assert Powerset(3, 1).of(torch.ones(1, 2, 3).bool()).tolist() == [[1, 1]]


def test_each_chunk_has_its_own_most_speaking():
    g = torch.Generator().manual_seed(3)
    activity = torch.rand(20, 50, 3, generator=g) < torch.rand(20, 1, 3, generator=g)
    together = Powerset().of(activity)
    for b, chunk in enumerate(activity):
        totals = chunk.sum(dim=0).tolist()
        for f, row in enumerate(chunk.tolist()):
            speaking = sorted((s for s in range(3) if row[s]), key=lambda s: (-totals[s], s))[:2]
            expected = [s in speaking for s in range(3)]
            assert Powerset().classes[together[b, f]].tolist() == expected


def test_the_shape_of_activity_is_checked():
    with pytest.raises(ValueError, match=r"\(B, F, 3\)"):
        Powerset().of(torch.zeros(2, 10, 4).bool())


def brute_force(powerset, log_probabilities, classes):
    """Loss and reordered classes of each chunk, by trying each order frame by frame."""
    sets = [tuple(s for s in range(powerset.speakers) if row[s]) for row in powerset.classes]
    losses, orders = [], []
    for frames, truth in zip(log_probabilities, classes.tolist(), strict=True):
        tried = []
        for order in permutations(range(powerset.speakers)):
            named = [
                q if q == IGNORED else sets.index(tuple(sorted(order[s] for s in sets[q])))
                for q in truth
            ]
            terms = [-frames[f, q] for f, q in enumerate(named) if q != IGNORED]
            tried.append((float(sum(terms)) / max(1, len(terms)), named))
        loss, named = min(tried, key=lambda pair: pair[0])
        losses.append(loss)
        orders.append(named)
    return torch.tensor(losses), torch.tensor(orders)


@pytest.mark.parametrize(("speakers", "at_once"), [(1, 1), (2, 2), (3, 2), (4, 2)])
@pytest.mark.parametrize("ignored", [0.0, 0.4])
def test_loss_is_that_of_the_best_order(speakers, at_once, ignored):
    powerset = Powerset(speakers, at_once)
    g = torch.Generator().manual_seed(speakers)
    scores = torch.randn(6, 30, len(powerset), generator=g, dtype=torch.float64).log_softmax(2)
    classes = torch.randint(len(powerset), (6, 30), generator=g)
    classes[torch.rand(6, 30, generator=g) < ignored] = IGNORED
    fit = powerset.fit(scores, classes)
    losses, named = brute_force(powerset, scores, classes)
    assert torch.allclose(fit.loss, losses.double())
    assert torch.equal(fit.classes, named)


def test_loss_does_not_depend_on_the_order_of_columns():
    g = torch.Generator().manual_seed(1)
    activity = torch.rand(4, 40, 3, generator=g) < torch.tensor([0.6, 0.4, 0.2])
    scores = torch.randn(4, 40, 7, generator=g).log_softmax(2)
    expected = Powerset().fit(scores, Powerset().of(activity)).loss
    for order in permutations(range(3)):
        swapped = Powerset().fit(scores, Powerset().of(activity[:, :, list(order)])).loss
        assert torch.allclose(swapped, expected)


def test_gradient_is_that_of_plain_cross_entropy_in_the_best_order():
    g = torch.Generator().manual_seed(2)
    classes = torch.randint(7, (3, 20), generator=g)
    one = torch.randn(3, 20, 7, generator=g, requires_grad=True)
    fit = Powerset().fit(one.log_softmax(2), classes)
    fit.loss.mean().backward()
    other = one.detach().clone().requires_grad_()
    torch.nn.functional.cross_entropy(other.flatten(0, 1), fit.classes.flatten()).backward()
    assert torch.allclose(one.grad, other.grad, atol=1e-7)


def test_a_chunk_of_ignored_frames_has_no_loss():
    scores = torch.zeros(1, 5, 7).log_softmax(2).requires_grad_()
    fit = Powerset().fit(scores, torch.full((1, 5), IGNORED))
    fit.loss.sum().backward()
    assert fit.loss.tolist() == [0.0]
    assert not scores.grad.any()


def test_soft_activity_sums_the_classes_in_which_one_speaks():
    p = torch.rand(7, generator=torch.Generator().manual_seed(4)).softmax(0)
    expected = [p[1] + p[4] + p[5], p[2] + p[4] + p[6], p[3] + p[5] + p[6]]
    assert torch.allclose(Powerset().activity(p), torch.stack(expected))


def test_every_order_of_every_class_is_a_class():
    powerset = Powerset()
    for order, q in product(permutations(range(3)), range(7)):
        activity = powerset.classes[q][list(order)]
        assert (powerset.classes == activity).all(dim=1).sum() == 1
