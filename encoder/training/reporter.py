"""How a training tells of its progress."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Protocol

__all__ = ["SILENT", "Reporter"]


class Reporter(Protocol):
    """Where a run tells how it goes."""

    def say(self, sentence: str) -> None:
        """Something the user may want to know."""
        ...

    def warn(self, sentence: str) -> None:
        """Something the user should know."""
        ...

    def bar(
        self, title: str, total: int
    ) -> contextlib.AbstractContextManager[Callable[[int, dict[str, float]], None]]:
        """A bar that is moved by (done, measured)."""
        ...


class _Silent:
    def say(self, sentence: str) -> None:
        pass

    def warn(self, sentence: str) -> None:
        pass

    @contextlib.contextmanager
    def bar(self, title: str, total: int) -> Iterator[Callable[[int, dict[str, float]], None]]:
        yield lambda done, measured: None


SILENT: Reporter = _Silent()  # tells nothing
