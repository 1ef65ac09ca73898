"""Training batches: P speakers x K crops each, augmented and normalised.

Batch number `step` depends on the seed and the step alone, so a run that stops and goes on sees the
batches it would have seen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from encoder.augmentation.spectral import AugmentConfig, augment
from encoder.common.settings import Settings, bounded
from encoder.data.feature_bank import FeatureBank
from encoder.errors import CorpusError
from encoder.features.log_mel import normalise

__all__ = ["Batch", "CropBatches", "SamplerConfig"]


class Batch(NamedTuple):
    """features (B, F, M) normalised log-mel; speakers and sessions (B,) int64; teacher (B, D) unit
    vectors, if there is one."""

    features: Tensor
    speakers: Tensor
    sessions: Tensor
    teacher: Tensor | None = None


@dataclass(frozen=True)
class SamplerConfig(Settings):
    """Shape of a batch."""

    speakers: int = bounded(32, least=1, most=1_000_000, help="P, different speakers in a batch")
    utterances: int = bounded(2, least=1, most=10_000, help="K, crops of each speaker")
    crop_frames: tuple[int, ...] = bounded(
        (160,), least=1, most=1_000_000, help="crop lengths in frames; one is drawn for each batch"
    )
    minimum_frames: int = bounded(
        60, least=1, most=1_000_000, help="shorter utterances are not used"
    )
    speeds: tuple[float, ...] = bounded(
        (0.9, 1.0, 1.1), least=0.5, most=2, help="speed copies used; each is a new speaker"
    )
    telephone: float = bounded(
        0.0,
        least=0,
        most=1,
        help="probability of a crop from the telephone copy, where the bank has one",
    )


class CropBatches:
    """Callable: step -> Batch. `speakers` lists the class names in label order; `teacher` holds a
    unit vector (D,) for every `Item.copy`; `rooms` are kernels of
    `encoder.augmentation.room_kernels`."""

    def __init__(
        self,
        bank: FeatureBank,
        noise: FeatureBank | None,
        *,
        sampler: SamplerConfig,
        augmentation: AugmentConfig,
        seed: int,
        teacher: dict[str, Tensor] | None = None,
        rooms: Tensor | None = None,
    ) -> None:
        usable = [
            i
            for i, item in enumerate(bank.items)
            if item.frames >= sampler.minimum_frames
            and item.speed in sampler.speeds
            and item.channel == ""
        ]
        self.speakers = sorted({bank.items[i].speaker for i in usable})
        if len(self.speakers) < 2:
            raise CorpusError(
                f"training needs at least 2 speakers, the corpus has {len(self.speakers)}: add more"
            )
        untaught = [n for i in usable if teacher and (n := bank.items[i].copy) not in teacher]
        if untaught:
            raise CorpusError(
                f"the teacher has no vector for {len(untaught)} utterances, {untaught[0]!r} first: "
                "make its vectors again for this corpus"
            )
        label = {name: k for k, name in enumerate(self.speakers)}
        session_ids: dict[str, int] = {}
        self._sessions = {
            i: session_ids.setdefault(bank.items[i].session, len(session_ids)) for i in usable
        }
        # speaker -> session -> items, so that two crops of a speaker come from two sessions if
        # possible
        self._by_speaker: list[dict[int, list[int]]] = [defaultdict(list) for _ in self.speakers]
        for i in usable:
            self._by_speaker[label[bank.items[i].speaker]][self._sessions[i]].append(i)
        self._calls = _telephone_copies(bank) if sampler.telephone else {}
        self.bank, self.noise, self.teacher, self.rooms = bank, noise, teacher, rooms
        self.sampler, self.augmentation, self.seed = sampler, augmentation, seed

    def __call__(self, step: int) -> Batch:
        return self.choose(step, speakers=())

    def choose(self, step: int, *, speakers: Sequence[int] | Tensor) -> Batch:
        """Batch number `step` with these different speakers, filled up to P with random others."""
        wanted = [int(k) for k in speakers]
        rng = np.random.default_rng([self.seed, step])
        frames = int(rng.choice(self.sampler.crop_frames))
        P = min(self.sampler.speakers, len(self.speakers))
        order = rng.choice(len(self.speakers), size=P, replace=False)
        chosen = [*wanted, *(int(k) for k in order if int(k) not in set(wanted))][:P]
        return self._batch(chosen, frames, rng)

    def _batch(self, chosen: Sequence[int], frames: int, rng: np.random.Generator) -> Batch:
        P = len(chosen)
        rows = [(k, i) for k in chosen for i in self._draw(int(k), rng)]
        rows = [rows[i] for i in _interleave(P, self.sampler.utterances)]
        speakers = torch.tensor([int(k) for k, _ in rows])
        drawn = [self._channel_of(i, rng) for _, i in rows]
        crops = torch.stack([self._crop(self.bank, i, frames, rng) for i in drawn])
        behind = None
        if self.noise is not None:
            picks = rng.integers(len(self.noise.items), size=len(rows))
            behind = torch.stack([self._crop(self.noise, int(i), frames, rng) for i in picks])
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        crops = augment(
            crops,
            behind,
            self.augmentation,
            generator=generator,
            speakers=speakers,
            rooms=self.rooms,
        )
        return Batch(
            features=normalise(crops),
            speakers=speakers,
            sessions=torch.tensor([self._sessions[i] for _, i in rows]),
            teacher=self._teacher_of([i for _, i in rows]),
        )

    def _teacher_of(self, items: list[int]) -> Tensor | None:
        if self.teacher is None:
            return None
        return torch.stack([self.teacher[self.bank.items[i].copy] for i in items])

    def _draw(self, speaker: int, rng: np.random.Generator) -> list[int]:
        """K items of a speaker, from different sessions as far as there are any."""
        sessions = self._by_speaker[speaker]
        order = [list(sessions)[t] for t in rng.permutation(len(sessions))]
        K = self.sampler.utterances
        return [int(rng.choice(sessions[order[k % len(order)]])) for k in range(K)]

    def _channel_of(self, index: int, rng: np.random.Generator) -> int:
        """The item, or now and then its telephone copy."""
        call = self._calls.get(index)
        return index if call is None or rng.random() >= self.sampler.telephone else call

    def _crop(self, bank: FeatureBank, index: int, frames: int, rng: np.random.Generator) -> Tensor:
        item = bank.items[index]
        offset = int(rng.integers(max(1, item.frames - frames + 1)))
        return bank.frames(item, offset, frames)


def _telephone_copies(bank: FeatureBank) -> dict[int, int]:
    """Item at speed 1 -> its copy through a telephone."""
    plain: dict[tuple[str, str, str, str], int] = {}
    copies = {}
    for i, item in enumerate(bank.items):
        key = (item.dataset, item.speaker, item.session, item.name)
        if item.channel.startswith("telephone") and key in plain:
            copies[plain[key]] = i
        elif item.channel == "" and item.speed == 1.0:
            plain[key] = i  # its copy follows it in the bank, so equal keys find their own
    return copies


def _interleave(P: int, K: int) -> list[int]:
    """Order s1, s2, ..., s1, s2, ...: a row's neighbours are other speakers, as babble needs."""
    return [p * K + k for k in range(K) for p in range(P)]
