"""What the network costs by the way it is run: CPU seconds for an hour of speech, in one thread.

    python -m recipes.benchmark.network_backends [--results recipes/results]

Ways take turns in one process; medians. The input is a stretch of 64 windows of the sample meeting.
*Agreement* is the lowest cosine between a window's vector and the one that the default way gives.
int8 is onnxruntime's static quantisation, calibrated on the same stretch, so its agreement is the
best that can be hoped for. Needs the extra `export`. Writes results/backends.json.
"""

from __future__ import annotations

import json
import logging
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Optional

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from diarize.audio.level import level_out
from diarize.core.output import write_atomic
from diarize.embedding.extraction import TOGETHER
from encoder.audio.load import load_audio
from encoder.errors import BackendUnavailable, ToolkitError
from encoder.features.log_mel import normalise_moving
from encoder.hub.paths import DEFAULT, find_weights
from encoder.hub.weights_file import load_weights
from encoder.inference.encoder import Encoder
from encoder.inference.onnx_export import onnx_of
from encoder.inference.onnx_runtime import import_onnxruntime
from encoder.inference.window_embedder import Stretch
from recipes.shared.embedders import stop

SAMPLE = Path(__file__).parents[1] / "samples" / "ami_ES2004a_600_660.flac"
WINDOW, STEP = 25_600, 6_400  # samples, as the pipeline cuts them
TIMES = 7
Way = Callable[[], NDArray[np.floating]]


class Frames(nn.Module):
    """What is exported: the network up to the mean over time."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, features: Tensor) -> Tensor:
        return self.model.frames(features)


def main(
    results: Annotated[Optional[Path], typer.Option(help="folder for backends.json")] = None,  # noqa: UP045
) -> None:
    """Measure every way and print a table."""
    torch.set_num_threads(1)
    try:
        rows = _measured(_ways(_stretch()))
    except ToolkitError as error:
        raise stop(error) from None
    table = Table(title="one hour of speech, one thread")
    for title in ("way", "CPU s", "agreement"):
        table.add_column(title, justify="left" if title == "way" else "right")
    for row in rows:
        table.add_row(row["way"], f"{row['cpu_s']:.1f}", f"{row['agreement']:.4f}")
    Console().print(table)
    if results is not None:
        results.mkdir(parents=True, exist_ok=True)
        write_atomic(results / "backends.json", json.dumps({"ways": rows}, indent=1) + "\n")


def _stretch() -> Stretch:
    starts = np.arange(TOGETHER) * STEP
    length = int(starts[-1]) + WINDOW
    wave = level_out(load_audio(SAMPLE, start_s=5, duration_s=length / 16_000))
    return Stretch(wave, np.stack([starts, starts + WINDOW], axis=1))


def _ways(stretch: Stretch) -> dict[str, Way]:
    """Vectors (N, D) of the windows, features included, each way; the default is the first."""
    wave, bounds = stretch
    path = find_weights(DEFAULT)
    ours, loaded = Encoder.from_pretrained(path, device="cpu"), load_weights(path)
    plain = Encoder(loaded.model, loaded.features, loaded.fingerprint)
    features = normalise_moving(ours.mel(wave), ours.mel.config.frames(WINDOW))[None]
    exact, eight = _onnx(ours, features)

    def through(frames: Callable[[Tensor, int], Tensor] | None = None) -> Way:
        """Once over the stretch, with `frames` instead of the network up to the mean over time."""
        encoder = Encoder.from_pretrained(path, device="cpu")
        if frames is not None:
            encoder.model.frames = frames
        return lambda: next(encoder.embed_stretches([stretch]))

    def bfloat16(features: Tensor, length: int) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return ours.model.frames(features, length).float()  # type: ignore[operator,union-attr]

    def by(session: Any) -> Callable[[Tensor, int], Tensor]:
        return lambda f, _: torch.from_numpy(session.run(None, {"features": f.numpy()})[0])

    return {
        "once over the stretch (the default)": through(),
        "the same in bfloat16": through(bfloat16),
        "the same by onnxruntime": through(by(exact)),
        "the same by onnxruntime, int8": through(by(eight)),
        "window by window": lambda: ours.embed_windows(wave, bounds),
        "window by window, batch norms apart": lambda: plain.embed_windows(wave, bounds),
    }


def _onnx(encoder: Encoder, features: Tensor) -> tuple[Any, Any]:
    try:
        onnxruntime = import_onnxruntime()
        from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
    except ImportError as error:
        raise BackendUnavailable(
            f"this needs onnx and onnxruntime ({error}): `pip install "
            "'deepspeaker-diarize[export]'`"
        ) from error

    class Once(CalibrationDataReader):
        def __init__(self) -> None:
            self._rest = [{"features": features.numpy()}]

        def get_next(self) -> Any:
            return self._rest.pop() if self._rest else None

    logging.getLogger().setLevel(logging.ERROR)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    two = features.repeat(2, 1, 1)  # of one, the exporter takes the batch for fixed
    content = onnx_of(Frames(encoder.model), two, input="features", shortest=64)
    with tempfile.TemporaryDirectory() as folder:
        exact, eight = Path(folder) / "exact.onnx", Path(folder) / "eight.onnx"
        exact.write_bytes(content)
        # Unsigned by signed is what CPUs have instructions for.
        quantize_static(exact, eight, Once(), per_channel=True, activation_type=QuantType.QUInt8)
        return tuple(onnxruntime.InferenceSession(path, options) for path in (exact, eight))


def _measured(ways: dict[str, Way]) -> list[dict[str, Any]]:
    speech_s = (STEP * (TOGETHER - 1) + WINDOW) / 16_000
    spent: dict[str, list[float]] = {name: [] for name in ways}
    vectors = {name: way() for name, way in ways.items()}  # warms up, too
    for _ in range(TIMES):
        for name, way in ways.items():
            begin = time.process_time()
            way()
            spent[name].append((time.process_time() - begin) * 3600 / speech_s)
    reference = next(iter(vectors.values()))
    return [
        {
            "way": name,
            "cpu_s": statistics.median(spent[name]),
            "agreement": float((vectors[name] * reference).sum(axis=1).min()),
        }
        for name in ways
    ]


if __name__ == "__main__":
    typer.run(main)
