"""Networks of `PyanNet`'s kind with few units: published tensors drawn by chance, what numpy makes
of them, and one made by hand.

state = published_state(seed=1)
network_of(state, TINY)
expected = worked_out(state, wave)  # by numpy, in float64
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from torch import Tensor

from diarize.segmentation.network.pyannet import PyanNet, PyanNetConfig
from diarize.segmentation.network.weights import save_pyannote

TINY = PyanNetConfig(filters=6, width=4, layers=2, hidden=5, linear=4)
BANK = "sincnet.conv1d.0.filterbank."


def published_state(seed: int = 0) -> dict[str, Tensor]:
    """Tensors of `TINY` by the names under which pyannote's are published."""
    g = torch.Generator().manual_seed(seed)

    def drawn(*shape: int, scale: float = 1.0) -> Tensor:
        return scale * torch.randn(*shape, generator=g)

    state = {
        f"{BANK}low_hz_": torch.tensor([[-60.0], [300.0], [1500.0]]),  # signs do not matter
        f"{BANK}band_hz_": torch.tensor([[200.0], [-400.0], [900.0]]),
        f"{BANK}n_": 2 * np.pi * torch.arange(-125.0, 0)[None] / 16000,
        f"{BANK}window_": torch.from_numpy(np.hamming(251)[:125]).float(),
        "sincnet.conv1d.1.weight": drawn(4, 6, 5, scale=0.3),
        "sincnet.conv1d.1.bias": drawn(4),
        "sincnet.conv1d.2.weight": drawn(4, 4, 5, scale=0.3),
        "sincnet.conv1d.2.bias": drawn(4),
    }
    for name, channels in (("wav_norm1d", 1), ("norm1d.0", 6), ("norm1d.1", 4), ("norm1d.2", 4)):
        state[f"sincnet.{name}.weight"] = 1 + 0.2 * drawn(channels)
        state[f"sincnet.{name}.bias"] = 0.2 * drawn(channels)
    for layer, inputs in ((0, 4), (1, 10)):
        for side in ("", "_reverse"):
            state[f"lstm.weight_ih_l{layer}{side}"] = drawn(20, inputs)
            state[f"lstm.weight_hh_l{layer}{side}"] = drawn(20, 5, scale=0.5)
            state[f"lstm.bias_ih_l{layer}{side}"] = drawn(20, scale=0.5)
            state[f"lstm.bias_hh_l{layer}{side}"] = drawn(20, scale=0.5)
    for name, out, inputs in (("linear.0", 4, 10), ("linear.1", 4, 4), ("classifier", 7, 4)):
        state[f"{name}.weight"], state[f"{name}.bias"] = drawn(out, inputs, scale=2), drawn(out)
    return state


def worked_out(state: dict[str, Tensor], wave: Tensor) -> NDArray[np.float64]:
    """(F, 7) probabilities of the classes in a wave (T,)."""
    s = {name: value.double().numpy() for name, value in state.items()}
    rows = _normed(wave.double().numpy()[:, None], s, "sincnet.wav_norm1d")
    bank = bank_of(state)
    rows = np.abs(sliding_window_view(rows[:, 0], bank.shape[1])[::10] @ bank.T)
    rows = _leaky(_normed(_pooled(rows), s, "sincnet.norm1d.0"))
    for i in (1, 2):
        weight = s[f"sincnet.conv1d.{i}.weight"]  # (out, in, 5)
        rows = np.einsum("fck,ock->fo", sliding_window_view(rows, 5, axis=0), weight)
        rows = _pooled(rows + s[f"sincnet.conv1d.{i}.bias"])
        rows = _leaky(_normed(rows, s, f"sincnet.norm1d.{i}"))
    for layer in range(2):
        there = _lstm(rows, s, f"l{layer}")
        back = _lstm(rows[::-1], s, f"l{layer}_reverse")[::-1]
        rows = np.concatenate([there, back], axis=1)
    for name in ("linear.0", "linear.1"):
        rows = _leaky(rows @ s[f"{name}.weight"].T + s[f"{name}.bias"])
    scores = np.exp(rows @ s["classifier.weight"].T + s["classifier.bias"])
    return np.asarray(scores / scores.sum(axis=1, keepdims=True))


def bank_of(state: dict[str, Tensor]) -> NDArray[np.float64]:
    """(6, 251): what passes a band, as the difference of what passes below its two edges; then the
    same a quarter of a period later."""
    low = 50 + np.abs(state[f"{BANK}low_hz_"].double().numpy())
    high = low + 50 + np.abs(state[f"{BANK}band_hz_"].double().numpy())
    t = np.arange(-125, 126) / 16000
    even = high * np.sinc(2 * high * t) - low * np.sinc(2 * low * t)
    somewhere = np.where(t == 0, 1.0, t)
    odd = (np.cos(2 * np.pi * low * t) - np.cos(2 * np.pi * high * t)) / (2 * np.pi * somewhere)
    both = np.concatenate([even / (high - low), odd / (high - low)])
    return np.asarray(both * np.hamming(251))


def loud_weights(folder: Path) -> Path:
    """A file of a network for which two speak unless it is much quieter than on average."""
    config = PyanNetConfig(filters=1, width=1, layers=1, hidden=1, linear=1)
    network = PyanNet(config)
    with torch.no_grad():
        for p in network.parameters():
            p.zero_()
        for norm in ("filters_norm", "first_norm", "second_norm"):
            getattr(network, norm).weight.fill_(1)
            getattr(network, norm).bias.fill_(5)  # so that hardly anything is less than 0
        network.wave_norm.weight.fill_(1)
        network.filters.weight[0, 0, 125] = 1
        network.first.weight.fill_(1)
        network.second.weight.fill_(1)
        for side in ("", "_reverse"):  # gates: let in, keep, the value, let out
            getattr(network.lstm, f"weight_ih_l0{side}")[2] = 20
            bias = torch.tensor([9.0, -9, -20 * (5 - 0.8), 9])
            getattr(network.lstm, f"bias_ih_l0{side}").copy_(bias)
        network.linear.weight[0, 0] = network.second_linear.weight[0, 0] = 1
        network.linear.bias[0] = 2  # now 1.2 where it is quiet, 2.8 where it is loud
        network.classes.weight[:, 0] = torch.tensor([-6.0, 0, 0, 0, 6, 0, 0])
        network.classes.bias.copy_(torch.tensor([12.0, -9, -9, -9, -12, -9, -9]))
    return save_pyannote(network, folder, name="loud")


def _normed(rows: NDArray, s: dict[str, NDArray], name: str) -> NDArray:
    scaled = (rows - rows.mean(axis=0)) / np.sqrt(rows.var(axis=0) + 1e-5)
    return scaled * s[f"{name}.weight"] + s[f"{name}.bias"]


def _pooled(rows: NDArray) -> NDArray:
    return rows[: len(rows) // 3 * 3].reshape(-1, 3, rows.shape[1]).max(axis=1)


def _leaky(rows: NDArray) -> NDArray:
    return np.where(rows > 0, rows, 0.01 * rows)


def _lstm(rows: NDArray, s: dict[str, NDArray], name: str) -> NDArray:
    coming = rows @ s[f"lstm.weight_ih_{name}"].T + s[f"lstm.bias_ih_{name}"]
    coming = coming + s[f"lstm.bias_hh_{name}"]
    held, said, out = np.zeros(5), np.zeros(5), []
    for row in coming:
        let_in, keep, value, let_out = np.split(row + s[f"lstm.weight_hh_{name}"] @ said, 4)
        held = _sigmoid(keep) * held + _sigmoid(let_in) * np.tanh(value)
        said = _sigmoid(let_out) * np.tanh(held)
        out.append(said)
    return np.array(out)


def _sigmoid(x: NDArray) -> NDArray:
    return np.asarray(1 / (1 + np.exp(-x)))
