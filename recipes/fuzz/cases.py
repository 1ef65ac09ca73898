"""What is fed to which command: one case of each kind for a generator of random numbers."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from recipes.fuzz.media_cases import media_case
from recipes.fuzz.seeds import Seeds
from recipes.fuzz.setting_cases import setting_case
from recipes.fuzz.stored_cases import gallery_case, weights_case
from recipes.fuzz.table_cases import table_case
from recipes.fuzz.watch import Case

__all__ = ["KINDS", "case_of"]


def case_of(kind: str, seed: int, number: int, seeds: Seeds) -> Case:
    """The case of that number; the same for the same seed, whatever was tried before."""
    return KINDS[kind](Random(f"{seed} {kind} {number}"), seeds)


KINDS: dict[str, Callable[[Random, Seeds], Case]] = {
    "media": media_case,
    "tables": table_case,
    "settings": setting_case,
    "galleries": gallery_case,
    "weights": weights_case,
}
