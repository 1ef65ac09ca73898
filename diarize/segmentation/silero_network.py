"""Silero's network over many chunks at once, from the weights of the package's own model.

What it does with a chunk of 512 samples (32 ms) and the 64 before it: magnitudes of a short Fourier
transform, four convolutions, an LSTM that hands its state to the next chunk, a weighted sum. Only
the LSTM has to wait for the chunk before. The others take all chunks at once here: the transform as
an FFT, and each convolution, over 4 frames at most, as one matrix product. The package's sums are
made in another order, so probabilities differ by rounding (less than 1e-4).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from typing import Any

import torch
from torch import Tensor

from encoder.common.parallel import in_threads, one_thread
from encoder.common.units import SAMPLE_RATE

__all__ = ["CONTEXT", "HOP", "Stream", "by_layers", "chunk_by_chunk", "fastest_exact"]

HOP = 512
CONTEXT = 64
MIRRORED = 64  # samples at a chunk's end that the transform meets again, backwards
FRAME, FRAME_HOP = 256, 128  # of the transform
FRAMES = (CONTEXT + HOP + MIRRORED - FRAME) // FRAME_HOP + 1

# From a wave in pieces, each of them chunks with their context (C, CONTEXT + HOP), to the speech
# probabilities (C,) of each piece.
Stream = Callable[[Iterable[Tensor]], Generator[Tensor, None, None]]


def fastest_exact(model: Any) -> Stream:
    """Choose `by_layers` if this release's model gives the same numbers by it.

    That one reaches into the model, whose inside the package does not promise to keep.
    """
    # A chirp: any sound that moves the probabilities will do. They are low, hence the logits.
    wave = torch.sin(torch.linspace(0, 90, CONTEXT + 16 * HOP) ** 2) * 0.3
    chunks = wave.unfold(0, CONTEXT + HOP, HOP).clone()
    chunks[0, :CONTEXT] = 0
    # All of it is so small that sharing it among threads costs more than doing it.
    with one_thread():
        with torch.jit.optimized_execution(False):  # to optimise takes longer than to run
            (expected,) = chunk_by_chunk(model)([chunks])
        try:
            fast = by_layers(model)
            (found,) = fast([chunks])
            if torch.allclose(found.logit(), expected.logit(), atol=1e-3):
                return fast
        except (AttributeError, IndexError, RuntimeError, TypeError, ValueError):
            pass
    return chunk_by_chunk(model)


def chunk_by_chunk(model: Any) -> Stream:
    """A stream through the model's public call, which keeps context and state itself.

    The model keeps one state, so a stream is spoilt by the next that begins.
    """

    def stream(pieces: Iterable[Tensor]) -> Generator[Tensor, None, None]:
        model.reset_states()
        with one_thread():
            for chunks in pieces:
                with torch.inference_mode():
                    found = [model(chunk[None, CONTEXT:], SAMPLE_RATE)[0] for chunk in chunks]
                yield torch.cat(found)

    return stream


def by_layers(model: Any) -> Stream:
    """A stream through layers taken from `model`; any number may run at once.

    Where torch has several threads, the layers below the LSTM run ahead of it in threads of ours.
    """
    inner = model._model
    # The row of frequency 0: a cosine that stays at 1, times the window.
    window = inner.stft.forward_basis_buffer[0, 0]
    layers = _as_matrices(block.reparam_conv for block in inner.encoder.children())
    lstm = _as_module(inner.decoder.rnn)
    weight, bias = inner.decoder.decoder.parameters()
    weight = weight.flatten()

    @torch.inference_mode()
    def features(chunks: Tensor) -> Tensor:
        mirrored = chunks[:, -MIRRORED - 1 : -1].flip(1)
        frames = torch.cat([chunks, mirrored], dim=1).unfold(1, FRAME, FRAME_HOP)
        spectrum = torch.fft.rfft(frames * window)  # (C, FRAMES, FRAME / 2 + 1)
        # Its `abs` takes longer.
        hidden = spectrum.real.square().add_(spectrum.imag.square()).sqrt_().flatten(1)
        for matrix, offset in layers:
            hidden = torch.addmm(offset, hidden, matrix).relu_()
        return hidden

    def stream(pieces: Iterable[Tensor]) -> Generator[Tensor, None, None]:
        state = torch.zeros(2, 1, 1, lstm.hidden_size).unbind(0)
        # One step of the LSTM is too small to share, so that it gets a single thread in any case.
        with one_thread(), closing(in_threads(features, pieces)) as ahead:
            for hidden in ahead:
                with torch.inference_mode():
                    hidden, state = lstm(hidden.unsqueeze(1), state)
                    found = torch.sigmoid(hidden.squeeze(1).relu() @ weight + bias)
                yield found

    return stream


@torch.no_grad()
def _as_matrices(convolutions: Iterable[Any]) -> list[tuple[Tensor, Tensor]]:
    """Each convolution as matrix and offset, for rows that hold all frames of a chunk.

    Its answers to unit vectors are the rows of its matrix.
    """
    length, channels = FRAMES, FRAME // 2 + 1
    matrices = []
    for conv in convolutions:
        unit = torch.eye(length * channels).view(-1, length, channels).transpose(1, 2)
        answers = torch.conv1d(unit, conv.weight, None, conv.stride, conv.padding).transpose(1, 2)
        _, length, channels = answers.shape
        matrices.append((answers.flatten(1), conv.bias.repeat(length)))
    return matrices


def _as_module(cell: Any) -> torch.nn.LSTM:
    """The LSTM with the weights of the one-step `cell`, which it shares."""
    size = cell.weight_hh.shape[1]
    # Made on "meta", where the constructor draws nothing from the global random generator.
    lstm = torch.nn.LSTM(cell.weight_ih.shape[1], size, device="meta")
    weights = {f"{name}_l0": value for name, value in cell.state_dict().items()}
    lstm.load_state_dict(weights, assign=True)
    return lstm
