"""Work shared among threads comes back in order and leaves everything as it was."""

from __future__ import annotations

import threading

import pytest
import torch

from encoder.common.parallel import in_threads, one_thread


@pytest.fixture(params=[1, 2, 4])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_results_come_in_order(threads):
    later = threading.Event()

    def slow_first(n):
        if n == 1:
            later.set()
        # With several threads the first is done after the second; a timeout is a failure.
        assert n > 0 or threads == 1 or later.wait(60)
        return n * n

    assert list(in_threads(slow_first, range(20))) == [n * n for n in range(20)]
    assert list(in_threads(slow_first, [])) == []
    assert torch.get_num_threads() == threads


def test_each_thread_computes_alone(threads):
    seen = list(in_threads(lambda _: (torch.get_num_threads(), threading.get_ident()), range(50)))
    assert {number for number, _ in seen} == {1}
    assert len({ident for _, ident in seen}) <= threads
    assert (threading.get_ident() in {ident for _, ident in seen}) == (threads == 1)


def test_items_are_taken_a_little_ahead(threads):
    taken = []
    results = in_threads(lambda n: n, (taken.append(n) or n for n in range(1000)))
    assert next(results) == 0
    assert len(taken) <= 2 * threads + 1
    results.close()


def test_stopping_early_leaves_nothing_behind(threads):
    before = threading.active_count()
    results = in_threads(lambda n: n, range(1000))
    next(results)
    results.close()
    assert threading.active_count() == before
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("where", ["work", "items"])
def test_errors_pass_through(threads, where):
    def work(n):
        if where == "work" and n == 3:
            raise ValueError("here")
        return n

    def items():
        for n in range(6):
            if where == "items" and n == 3:
                raise ValueError("here")
            yield n

    before, got = threading.active_count(), []
    with pytest.raises(ValueError, match="here"):
        got.extend(in_threads(work, items()))
    assert threading.active_count() == before and torch.get_num_threads() == threads


def test_leaving_in_any_order_puts_the_number_back(threads):
    first, second = one_thread(), one_thread()
    assert first.__enter__() == threads
    assert second.__enter__() == threads
    assert torch.get_num_threads() == 1
    first.__exit__(None, None, None)
    second.__exit__(None, None, None)
    assert torch.get_num_threads() == threads
    with one_thread() as again:
        assert again == threads
