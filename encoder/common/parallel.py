"""Sharing work among threads of our own, each of which computes alone.

torch splits every operation among its threads and waits for the slowest at each end. Where another
program takes one of the cores, all wait for that core, hundreds of times a second. Whole pieces of
work, one to a thread, do not wait for others, use the cores better even on an idle machine, and
give results that do not depend on the number of threads.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

import torch

__all__ = ["in_threads", "one_thread"]

Item = TypeVar("Item")
Done = TypeVar("Done")

_lock = threading.Lock()
_inside = 0  # callers within `one_thread`
_users = 1  # threads that torch had before the first of them


@contextmanager
def one_thread() -> Iterator[int]:
    """Within, torch computes in the calling thread alone; gives the number of threads it had.

    The number is put back by whoever leaves, in any order.
    """
    global _inside, _users
    with _lock:
        if _inside == 0:
            _users = torch.get_num_threads()
        _inside += 1
    torch.set_num_threads(1)
    try:
        yield _users
    finally:
        with _lock:
            _inside -= 1
        torch.set_num_threads(_users)


def in_threads(work: Callable[[Item], Done], items: Iterable[Item]) -> Generator[Done, None, None]:
    """`work` of each item, in their order, by as many threads as torch has.

    Items are taken as they are needed, two for each thread ahead of what was given out; whoever
    stops early leaves no thread behind.
    """
    with one_thread() as workers:
        if workers == 1:
            yield from map(work, items)
            return
        # Threads start with torch's number for all cores, not with that of their maker.
        pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,))
        waiting: deque[Future[Done]] = deque()
        source = iter(items)
        try:
            waiting.extend(pool.submit(work, item) for item in islice(source, 2 * workers))
            while waiting:
                done = waiting.popleft().result()
                waiting.extend(pool.submit(work, item) for item in islice(source, 1))
                yield done
        finally:
            pool.shutdown(cancel_futures=True)
