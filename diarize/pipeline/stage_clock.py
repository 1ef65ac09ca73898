"""How long each stage of a run takes."""

from __future__ import annotations

import time

__all__ = ["StageClock"]


class StageClock:
    """Wall seconds by stage; each ends where the next one starts."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._now: str | None = None
        self._begin = 0.0

    def start(self, stage: str) -> None:
        """A stage begins, and so the one before it ends."""
        self.stop()
        self._now, self._begin = stage, time.perf_counter()

    def stop(self) -> None:
        """The stage that runs, if any, ends."""
        if self._now is not None:
            self.seconds[self._now] = time.perf_counter() - self._begin
        self._now = None
