"""What was embedded in earlier steps: more negatives than a batch holds, and harder batches.

A ring of the last embeddings. They were made by slightly older weights, which is close enough to
find out who sounds like whom. `select_batch` uses that to draw speakers who are hard to tell apart:
a batch of random speakers soon holds no hard negative any more.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from encoder.errors import ConfigError

__all__ = ["HardBatch", "MemoryBank", "select_batch"]


class MemoryBank(nn.Module):
    """The last `size` embeddings with their speakers and sessions. The buffers are part of the
    state, so that a training that goes on chooses as it would have."""

    embeddings: Tensor
    speakers: Tensor
    takes: Tensor  # sessions; checkpoints hold it under this name
    pushed: Tensor

    def __init__(self, size: int, embedding_size: int) -> None:
        super().__init__()
        if size < 1 or embedding_size < 1:
            raise ConfigError(
                f"a history of {size} embeddings of {embedding_size} values cannot be: "
                "give sizes of at least 1"
            )
        self.register_buffer("embeddings", torch.zeros(size, embedding_size))
        self.register_buffer("speakers", torch.full((size,), -1))
        self.register_buffer("takes", torch.full((size,), -1))
        self.register_buffer("pushed", torch.tensor(0))  # rows ever pushed

    @property
    def size(self) -> int:
        """Rows the ring can hold."""
        return len(self.speakers)

    def __len__(self) -> int:
        """Rows it holds now."""
        return min(int(self.pushed), self.size)

    @torch.no_grad()
    def push(self, embeddings: Tensor, speakers: Tensor, sessions: Tensor) -> None:
        """Keep (N, D) embeddings, (N,) speakers and sessions in place of the oldest rows."""
        embeddings, speakers, sessions = (x[-self.size :] for x in (embeddings, speakers, sessions))
        N = len(speakers)
        rows = (torch.arange(N, device=self.speakers.device) + self.pushed) % self.size
        self.embeddings[rows] = embeddings.detach().to(self.embeddings)
        self.speakers[rows] = speakers.to(self.speakers)
        self.takes[rows] = sessions.to(self.takes)
        self.pushed += N

    def pool(self) -> tuple[Tensor, Tensor]:
        """Embeddings (H, D) and speakers (H,) of what is held, for `mine_triplets`; copies, since
        the rows may be overwritten before a loss is differentiated."""
        return self.embeddings[: len(self)].clone(), self.speakers[: len(self)].clone()


class HardBatch(NamedTuple):
    """P speakers (P,), and K rows (P, K) of the history that speak for each; both int64."""

    speakers: Tensor
    rows: Tensor


def select_batch(
    history: MemoryBank,
    *,
    speakers: int,
    utterances: int,
    generator: torch.Generator | None = None,
) -> HardBatch:
    """Draw one row of the history as anchor; then the speakers most similar to it.

    The anchor's speaker is drawn first, evenly, then one of its rows. A speaker is as similar as
    its most similar row. The result is ordered: the anchor's speaker, then the most similar ones;
    none comes twice, and there are fewer than `speakers` if the history knows fewer. Of the
    anchor's speaker the rows are the anchor and then the least similar ones (hard positives), of
    the others the most similar ones (hard negatives); a speaker with fewer than `utterances` rows
    repeats them in this order. `generator` is a CPU generator.
    """
    if speakers < 1 or utterances < 1:
        raise ConfigError(
            f"a batch of {speakers} speakers with {utterances} utterances cannot be: "
            "give at least 1 of both"
        )
    embeddings, known = (x.cpu() for x in history.pool())
    names = known.unique()
    if len(names) == 0:
        return HardBatch(names, torch.empty(0, utterances, dtype=torch.int64))
    own = names[torch.randint(len(names), (), generator=generator)]
    candidates = (known == own).nonzero().squeeze(1)
    anchor = candidates[torch.randint(len(candidates), (), generator=generator)]
    similarity = embeddings @ embeddings[anchor]
    membership = known[None, :] == names[:, None]  # (speakers known, H)
    closest = similarity.masked_fill(~membership, -torch.inf).amax(dim=1)
    closest[names == own] = torch.inf
    chosen = names[closest.argsort(descending=True, stable=True)[:speakers]]
    rank = torch.where(known == own, -similarity, similarity)
    rank[anchor] = torch.inf
    rows = []
    for name in chosen:
        ranked = (known == name).nonzero().squeeze(1)
        ranked = ranked[rank[ranked].argsort(descending=True, stable=True)]
        rows.append(ranked[torch.arange(utterances) % len(ranked)])
    return HardBatch(chosen, torch.stack(rows))
