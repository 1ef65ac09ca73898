"""From pyannote's published tensors to `PyanNet`: their names, and the filters they stand for.

The network is published as MIT, Copyright (c) CNRS. A filter of its bank passes the band between
two edges that were learnt (Ravanelli and Bengio 2018, arXiv 1808.00158), and half of the filters
are shifted by a quarter of a period (Pariente et al. 2020, arXiv 1910.10400).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from diarize.segmentation.network.pyannet import PyanNet, PyanNetConfig
from encoder.common.units import SAMPLE_RATE
from encoder.errors import CheckpointError

__all__ = ["network_of", "sinc_filters"]

LEAST_HZ = 50.0  # the lowest edge, and the narrowest band
BANK = "sincnet.conv1d.0.filterbank"
# Ours -> theirs, each of them a weight and a bias; LSTMs have the same names in both.
LAYERS = {
    "wave_norm": "sincnet.wav_norm1d",
    "filters_norm": "sincnet.norm1d.0",
    "first": "sincnet.conv1d.1",
    "first_norm": "sincnet.norm1d.1",
    "second": "sincnet.conv1d.2",
    "second_norm": "sincnet.norm1d.2",
    "linear": "linear.0",
    "second_linear": "linear.1",
    "classes": "classifier",
}


def network_of(state: Mapping[str, Tensor], config: PyanNetConfig | None = None) -> PyanNet:
    """The network of published tensors, in evaluation mode.

    CheckpointError unless these are the tensors of `config`, by name and shape; the default is
    segmentation-3.0.
    """
    with torch.device("meta"):  # no random weights, that would be written over
        network = PyanNet(config)
    ours = network.state_dict()
    bank = _bank_shapes(network.config)
    theirs = {key: _their_name(key) for key in ours if key != "filters.weight"}
    _check(state, bank | {theirs[key]: tuple(ours[key].shape) for key in theirs})
    tensors = {key: state[name].to(torch.float32, copy=True) for key, name in theirs.items()}
    tensors["filters.weight"] = sinc_filters(*(state[name].float() for name in bank))
    network.load_state_dict(tensors, assign=True)
    return network.eval()


def sinc_filters(low_hz: Tensor, band_hz: Tensor, angles: Tensor, window: Tensor) -> Tensor:
    """(n, 1) edges and widths of bands -> (2 n, 1, taps) filters, even ones first.

    angles (1, taps // 2): 2 pi times the seconds before the middle. window (taps // 2,): the first
    half of it.

    The network has learnt to live with the rounding of float32, and sharp bands enlarge a small
    difference; so it is rounded as in training, whatever the processor.
    """
    low = LEAST_HZ + low_hz.abs()
    high = (low + LEAST_HZ + band_hz.abs()).clamp(LEAST_HZ, SAMPLE_RATE / 2)
    width = high - low
    cosines, sines = [], []
    for edge in (low, high):
        phase = (edge * angles).double()
        cosines.append(phase.cos().float())
        sines.append(phase.sin().float())
    even = (sines[1] - sines[0]) / (angles / 2) * window
    odd = (cosines[0] - cosines[1]) / (angles / 2) * window
    both = [
        torch.cat([even, 2 * width, even.flip(1)], dim=1),
        torch.cat([odd, torch.zeros_like(width), -odd.flip(1)], dim=1),
    ]
    return torch.cat([rows / (2 * width) for rows in both])[:, None]


def _bank_shapes(config: PyanNetConfig) -> dict[str, tuple[int, ...]]:
    """In the order of the arguments of `sinc_filters`."""
    bands, half = config.filters // 2, config.taps // 2
    shapes = {"low_hz_": (bands, 1), "band_hz_": (bands, 1), "n_": (1, half), "window_": (half,)}
    return {f"{BANK}.{name}": shape for name, shape in shapes.items()}


def _their_name(key: str) -> str:
    layer, _, rest = key.partition(".")
    return f"{LAYERS.get(layer, layer)}.{rest}"


def _check(state: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]]) -> None:
    step = "give the tensors of pyannote's segmentation-3.0"
    for name in sorted(shapes.keys() - state.keys()):
        raise CheckpointError(f"the published weights lack {name!r}: {step}")
    for name in sorted(state.keys() - shapes.keys()):
        raise CheckpointError(f"the published weights hold {name!r}, which has no use: {step}")
    for name, shape in shapes.items():
        found = tuple(getattr(state[name], "shape", ()))
        if found != shape:
            raise CheckpointError(
                f"{name!r} of the published weights has the shape {found} and not {shape}: {step}"
            )
        if not state[name].isfinite().all():
            raise CheckpointError(
                f"{name!r} of the published weights holds values that are not numbers: {step}"
            )
