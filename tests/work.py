"""How much work a call is, in numbers that are the same on every machine."""

from __future__ import annotations

import sys
import tracemalloc


def work(function, *arguments, **named):
    """(lines of Python that ran, most bytes in use beyond those before, what it gave)."""
    lines = 0

    def count(frame, event, argument):
        nonlocal lines
        lines += event == "line"
        return count

    before = sys.gettrace()
    tracemalloc.start()
    try:
        sys.settrace(count)
        given = function(*arguments, **named)
    finally:
        sys.settrace(before)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return lines, most, given
