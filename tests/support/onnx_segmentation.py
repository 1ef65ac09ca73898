"""A network of chunks written by hand, with the frames of pyannote's: each the mean of 991 samples,
270 apart.

write(folder / "tiny.onnx")
expected = worked_out(wave, 32_000)  # by numpy
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from tests.support.onnx_models import content

SLOPE = np.array([-9.0, 8, -8, 1, 5, -7, 3])
LIFT = np.array([1.0, 0, 0.5, 0, -1, 0, -2])
NETWORK = f"""(float[B, 1, 160000] wave) => (float[B, 589, 7] classes) {{
    row = AveragePool <kernel_shape = [991], strides = [270]> (wave)
    column = Transpose <perm = [0, 2, 1]> (row)
    slope = Constant <value_floats = {SLOPE.tolist()}> ()
    lift = Constant <value_floats = {LIFT.tolist()}> ()
    tilted = Mul (column, slope)
    scores = Add (tilted, lift)
    classes = LogSoftmax <axis = -1> (scores)
}}"""
SETTINGS = """
centre_samples = 495.5
hop_samples = 270
classes = ["nobody", "0", "1", "2", "01", "02", "12"]
"""


def write(path: Path, graph: str = NETWORK, settings: str = SETTINGS) -> Path:
    """The graph and what describes it."""
    path.write_bytes(content(graph))
    path.with_suffix(".toml").write_text(settings)
    return path


def swinging(samples: int) -> torch.Tensor:
    """A wave whose mean changes much from frame to frame, and differently in every second."""
    t = np.arange(samples) / 16000
    swing = 0.7 * np.sin(2 * np.pi * (1.1 * t + 0.05 * t**2)) + 0.3 * np.sin(2 * np.pi * 0.37 * t)
    return torch.from_numpy(swing.astype(np.float32))


def worked_out(wave: torch.Tensor, start: int) -> np.ndarray:
    """(500, 4): each speaker's and anyone's probability in a chunk, frame by frame."""
    chunk = np.zeros(160_000)
    heard = wave[start : start + 160_000].numpy()
    chunk[: len(heard)] = heard
    rows = []
    for f in range(500):
        middle = 320 * f + 160
        nearest = min(range(589), key=lambda i: abs(495.5 + 270 * i - middle))
        scores = SLOPE * chunk[270 * nearest : 270 * nearest + 991].mean() + LIFT
        p = np.exp(scores) / np.exp(scores).sum()
        rows.append([p[1] + p[4] + p[5], p[2] + p[4] + p[6], p[3] + p[5] + p[6], 1 - p[0]])
    return np.array(rows)
