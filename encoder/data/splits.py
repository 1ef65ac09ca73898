"""Speakers by split: for training, validation and scoring; none is in two."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace

from encoder.common.hashing import hash_share
from encoder.data.manifest import Utterance

__all__ = ["one_split_each", "split_speakers", "split_validation"]


def split_validation(
    utterances: list[Utterance], *, share: float
) -> tuple[list[Utterance], list[Utterance]]:
    """Set aside about `share` of the speakers for validation, by a hash of their name.

    The choice is stable: it does not depend on order, seed or the other speakers.
    """

    def held_back(speaker: str) -> bool:
        return hash_share(speaker) < share

    train = [u for u in utterances if not held_back(u.speaker)]
    return train, [u for u in utterances if held_back(u.speaker)]


_STRICTNESS = {"train": 0, "heldout": 1, "eval": 2}


def split_speakers(utterances: list[Utterance], *, share: float = 0.1) -> list[Utterance]:
    """Give a split to utterances without one: `heldout` for about `share` of the speakers.

    A speaker with a split elsewhere in the list keeps it. For the others a hash of the name
    decides, so that the choice does not depend on order or on other speakers; but where it would
    leave fewer than two speakers to train on, all are `train`.
    """
    stated = {u.speaker: u.split for u in utterances if u.split}
    open_ones = {u.speaker for u in utterances} - set(stated)
    held = {speaker for speaker in open_ones if hash_share(f"heldout {speaker}") < share}
    if "train" not in stated.values() and len(open_ones - held) < 2:
        held = set()
    choice = {speaker: "heldout" if speaker in held else "train" for speaker in open_ones}
    choice |= stated
    return [u if u.split else replace(u, split=choice[u.speaker]) for u in utterances]


def one_split_each(utterances: list[Utterance], warn: Callable[[str], None]) -> list[Utterance]:
    splits = defaultdict(set)
    for u in utterances:
        splits[u.speaker].add(u.split)
    several = {
        speaker: max(names, key=lambda split: _STRICTNESS.get(split, 3))
        for speaker, names in splits.items()
        if len(names) > 1
    }
    if several:
        first = min(several)
        warn(
            f"{len(several)} speakers are in more than one split, {first!r} first: all their "
            f"utterances go to the one further from training ({several[first]!r} for the first)"
        )
    return [replace(u, split=several[u.speaker]) if u.speaker in several else u for u in utterances]
