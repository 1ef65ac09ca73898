"""Ctrl-C between two steps and not within one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["noting_interrupts"]


@contextmanager
def noting_interrupts() -> Iterator[Callable[[], bool]]:
    """Within it a Ctrl-C is only noted, and what is yielded tells of it; a second stops at once.

    Where Python's own way with it is not in force (another thread, a program that has its own, a
    job in the background), nothing is changed and nothing noted.
    """
    before = signal.getsignal(signal.SIGINT)
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or before is not signal.default_int_handler:
        yield lambda: False
        return
    noted = threading.Event()

    def note(number: int, frame: FrameType | None) -> None:
        noted.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, note)
    try:
        yield noted.is_set
    finally:
        signal.signal(signal.SIGINT, before)
