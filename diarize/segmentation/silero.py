"""Regions from the Silero voice activity model that the `silero-vad` package carries (MIT).

The model reads chunks of 512 samples (32 ms), each with the 64 samples before it, and hands an
LSTM state from chunk to chunk. Only that LSTM has to wait for the chunk before: here the layers
below and above it take 256 chunks at once, which gives the numbers of the package's own loop
(to about 1e-5) in a fraction of its time.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from diarize.segmentation import Segmentation, Segmenter, recut
from diarize.segmentation.hysteresis import HysteresisConfig, binarize
from encoder.units import SAMPLE_RATE

_threads = torch.get_num_threads()
try:
    from silero_vad import load_silero_vad
finally:
    # Importing the package sets torch to one thread for the whole process.
    torch.set_num_threads(_threads)

__all__ = ["SileroConfig", "SileroSegmenter"]

HOP = 512
CONTEXT = 64
CHUNKS_AT_ONCE = 256
_ONE_AT_A_TIME = threading.Lock()

# From chunks with their context (F, CONTEXT + HOP) to speech probabilities (F,), keeping the
# state for the chunks that follow.
Stream = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class SileroConfig:
    """Settings of `SileroSegmenter`; the thresholds are on the probability of speech."""

    hysteresis: HysteresisConfig = field(
        default_factory=HysteresisConfig,
        metadata={"help": "how probabilities become regions"},
    )


class SileroSegmenter(Segmenter):
    """Silero VAD, block by block; BackendUnavailable comes from the registry without the package.

    The model hears absolute loudness and misses speech that is very quiet, which is why the
    pipeline brings every recording to one level first.
    """

    Config = SileroConfig

    def __init__(self, config: SileroConfig | None = None) -> None:
        self.config = config or SileroConfig()
        with warnings.catch_warnings():
            # The package's way to load is deprecated, which is not the caller's concern.
            warnings.simplefilter("ignore", DeprecationWarning)
            self._model = load_silero_vad()
        self._open_stream = _fastest_exact(self._model)

    def segment(self, blocks: Iterable[Tensor]) -> Segmentation:
        """Find the regions of the wave made up by `blocks`; see `Segmenter.segment`."""
        activity, length = self.activity(blocks)
        regions = binarize(activity, hop=HOP, length=length, config=self.config.hysteresis)
        return Segmentation(regions)

    def activity(self, blocks: Iterable[Tensor]) -> tuple[npt.NDArray[np.float32], int]:
        """Return the speech probability (F,) of each 512 samples, and the wave's length.

        The last chunk is filled up with zeros, as the package does.
        """
        probabilities, length = [np.zeros(0, dtype=np.float32)], 0
        stream = self._open_stream()
        before = torch.zeros(CONTEXT)
        for piece in recut(blocks, size=CHUNKS_AT_ONCE * HOP):
            length += len(piece)
            with torch.inference_mode():
                wave = torch.cat([before, torch.from_numpy(piece), torch.zeros(-len(piece) % HOP)])
                with _one_thread():
                    chance = stream(wave.unfold(0, CONTEXT + HOP, HOP))
                probabilities.append(chance.numpy())
                before = wave[-CONTEXT:]
        return np.concatenate(probabilities), length


@contextmanager
def _one_thread() -> Iterator[None]:
    """The LSTM's steps are so small that waking a second thread for each takes several times as
    long as doing them alone, where threads sleep while they wait (OMP_WAIT_POLICY=PASSIVE)."""
    with _ONE_AT_A_TIME:  # or the second to enter would restore what the first has set
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


def _fastest_exact(model: Any) -> Callable[[], Stream]:
    """Choose `_batched_stream` if this release's model gives the same numbers by it.

    The batched way reaches into the model, whose inside the package does not promise to keep.
    """
    # A chirp: any sound that moves the probabilities will do. They are low, hence the logits.
    wave = torch.sin(torch.linspace(0, 90, CONTEXT + 16 * HOP) ** 2) * 0.3
    chunks = wave.unfold(0, CONTEXT + HOP, HOP).clone()
    chunks[0, :CONTEXT] = 0
    with torch.inference_mode():
        expected = _plain_stream(model)(chunks).logit()
        try:
            same = torch.allclose(_batched_stream(model)(chunks).logit(), expected, atol=1e-3)
        except (AttributeError, RuntimeError, IndexError):
            same = False
    return lambda: _batched_stream(model) if same else _plain_stream(model)


def _plain_stream(model: Any) -> Stream:
    """Chunk after chunk through the model's public call, which keeps context and state itself.

    The model keeps one state, so a stream is spoilt by the opening of the next.
    """
    model.reset_states()

    def probabilities(chunks: Tensor) -> Tensor:
        return torch.cat([model(chunk[None, CONTEXT:], SAMPLE_RATE)[0] for chunk in chunks])

    return probabilities


def _batched_stream(model: Any) -> Stream:
    """Run all chunks at once through every layer but the LSTM, which runs over them in order."""
    inner = model._model
    cell = inner.decoder.rnn
    size = cell.weight_hh.shape[1]
    # Made on "meta", where the constructor draws nothing from the global random generator.
    lstm = torch.nn.LSTM(size, size, device="meta")
    weights = {f"{name}_l0": value for name, value in cell.state_dict().items()}
    lstm.load_state_dict(weights, assign=True)
    state = torch.zeros(2, 1, 1, lstm.hidden_size).unbind(0)

    def probabilities(chunks: Tensor) -> Tensor:
        nonlocal state
        features = inner.encoder(inner.run_extractors(chunks)).squeeze(-1)
        hidden, state = lstm(features.unsqueeze(1), state)
        return inner.decoder.decoder(hidden.squeeze(1).unsqueeze(-1)).flatten()

    return probabilities
