"""What `fit` minimises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from encoder.training.distributed import Engine

__all__ = ["ChoosableBatches", "Objective"]


class Objective(nn.Module, ABC):
    """Turns a network and a batch into a loss; its own parameters are trained along.

    A subclass writes `forward`; the other methods do nothing unless it overrides them.
    """

    @abstractmethod
    def forward(
        self, model: nn.Module, batch: Any, *, progress: float
    ) -> tuple[Tensor, dict[str, float]]:
        """The loss, a scalar, and measurements by name; progress: the share of steps done."""

    def bind(self, engine: Engine) -> None:
        """Called once before the first step, with the engine that the training runs on."""

    def choose(self, number: int) -> Tensor | None:
        """(P,) int64, the speakers that batch `number` should hold; None for any."""
        return None

    def warning(self) -> str | None:
        """A sentence for the user, asked for after every step; None if there is nothing to say."""
        return None


@runtime_checkable
class ChoosableBatches(Protocol):
    """Batches by number of which it can be said which speakers they hold."""

    def choose(self, number: int, *, speakers: Any) -> Any:
        """The batch of that number, with these speakers (P,) among its own."""
        ...
