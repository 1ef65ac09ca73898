"""Noticing that a triplet training has died.

With hard negatives from the start a network may learn to give every utterance the same vector. Then
cos(a, n) = cos(a, p), every triplet breaks the margin, and the loss stays at the margin for good.
"""

from __future__ import annotations

from collections import deque

__all__ = ["CollapseDetector"]

_NEAR = 0.02  # of the margin
_NEARLY_ALL = 0.95  # of the triplets


class CollapseDetector:
    """Looks at every step's triplet loss and share of violating triplets."""

    def __init__(self, margin: float, *, steps: int = 200) -> None:
        self.margin = margin
        self._stuck: deque[bool] = deque(maxlen=steps)
        self._warned = False

    def collapsed(self, loss: float, violating: float) -> bool:
        """Whether the last `steps` losses were all within 2 % of the margin, each with nearly all
        triplets violating. Call it once a step."""
        near = abs(loss - self.margin) <= _NEAR * self.margin
        self._stuck.append(self.margin > 0 and near and violating >= _NEARLY_ALL)
        full = len(self._stuck) == self._stuck.maxlen
        return full and all(self._stuck)

    def warning(self) -> str | None:
        """A sentence for the user; once for each collapse."""
        collapsed = len(self._stuck) == self._stuck.maxlen and all(self._stuck)
        news, self._warned = collapsed and not self._warned, collapsed
        if not news:
            return None
        return (
            f"the triplet loss has stayed at its margin {self.margin} for {self._stuck.maxlen} "
            "steps and nearly all triplets break it, so all speakers get one vector: lower the "
            "learning rate, pre-train longer with softmax, or set the strategy to semi-hard"
        )
