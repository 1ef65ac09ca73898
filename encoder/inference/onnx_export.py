"""Our network as one ONNX file: wave in, unit vector out, the features inside.

The graph runs in any ONNX runtime without this toolkit; here it is the embedder `onnx:FILE`.
onnx and onnxscript are imported here alone, through `torch.onnx.export`.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from encoder.common.atomic_files import replacing
from encoder.common.units import samples_to_seconds
from encoder.errors import BackendUnavailable, CheckpointError, ConfigError
from encoder.hub.paths import find_weights
from encoder.hub.weights_file import Loaded, load_weights
from encoder.inference.encoder import Encoder
from encoder.inference.onnx_encoder import OnnxEncoder
from encoder.inference.onnx_inputs import OnnxFeatures, toml_of

__all__ = ["OPSET", "check_parity", "export_onnx", "onnx_of", "write_onnx"]

OPSET = 18
CLOSEST = 0.9999  # cosine below which an export is not the model


def export_onnx(weights: str | Path | Loaded, path: str | Path) -> Path:
    """Write `path` (.onnx), and beside it the .toml that `OnnxEncoder` reads; return `path`.

    weights: a name, the path of a .safetensors file, or what `load_weights` gives. Input `wave`
    (B, T) float32 at 16 kHz, output `embedding` (B, D) of unit norm; B and T are free, T at least
    `Encoder.minimum_samples`. Opset `OPSET`. The file is kept only if onnxruntime makes the same
    vectors of it as torch: else CheckpointError. BackendUnavailable without the packages.
    """
    path = _named_onnx(path)
    loaded = weights if isinstance(weights, Loaded) else load_weights(find_weights(weights))
    encoder = Encoder(loaded.model, loaded.features, loaded.fingerprint)
    graph = onnx_of(
        _FromWave(encoder), torch.zeros(2, 16_000), input="wave", shortest=encoder.minimum_samples
    )
    features = OnnxFeatures("wave", minimum_s=samples_to_seconds(encoder.minimum_samples))
    check_parity(graph, features, encoder.embed)
    return write_onnx(path, graph, features, note=f"weights {loaded.fingerprint}")


def onnx_of(model: nn.Module, example: Tensor, *, input: str, shortest: int) -> bytes:
    """The ONNX file of `model`, whose one argument is shaped like `example` (B, T or F, ...).

    The first two axes are free, the second from `shortest` on. BackendUnavailable without onnx,
    CheckpointError for a network that torch's exporter cannot follow (a GRU, as of torch 2.13).
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise BackendUnavailable(
            f"an export needs onnx and onnxscript ({error}): install them with "
            "`pip install 'deepspeaker-diarize[export]'`"
        ) from error
    try:
        with _silence(), torch.no_grad():
            free = {0: torch.export.Dim("B"), 1: torch.export.Dim("T", min=shortest)}
            program = torch.onnx.export(
                model.eval(),
                (example,),
                dynamo=True,
                dynamic_shapes=(free,),
                input_names=[input],
                output_names=["embedding"],
                opset_version=OPSET,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:  # its message fills a screen
        raise CheckpointError(
            f"torch {torch.__version__} cannot export this network: "
            "take one of another architecture, such as rescnn, or another torch"
        ) from error
    assert program is not None
    return program.model_proto.SerializeToString()


def check_parity(
    graph: bytes, features: OnnxFeatures, embed: Callable[[Tensor], NDArray[np.float32]]
) -> None:
    """CheckpointError unless `graph` makes the vectors that `embed` (T,) -> (D,) makes.

    Both get noise of two lengths; `graph` in batches of two sizes.
    """
    other = OnnxEncoder(graph, features, name="the export")
    shortest, longer = other.minimum_samples, other.minimum_samples + 20_000
    bounds = np.array([[0, shortest], *([s, s + longer] for s in (0, 5_000, 8_000))])
    generator = torch.Generator().manual_seed(0)
    wave = 0.1 * torch.randn(8_000 + longer, generator=generator)
    expected = np.stack([embed(wave[start:end]) for start, end in bounds])
    closest = (other.embed_windows(wave, bounds) * expected).sum(axis=1).min()
    if not closest > CLOSEST:
        raise CheckpointError(
            f"the export is not the model (cosine {closest:.4f} on noise): nothing was written; "
            "try another version of torch or onnxruntime"
        )


def write_onnx(path: str | Path, graph: bytes, features: OnnxFeatures, *, note: str) -> Path:
    """Write the model and its settings, each in one piece; `note` says where it is from."""
    path = _named_onnx(path)
    settings = f"# What {path.name} takes ({note}).\n{toml_of(features)}"
    with replacing(path) as partial, replacing(path.with_suffix(".toml")) as beside:
        partial.write_bytes(graph)
        beside.write_text(settings, encoding="utf-8")
    return path


def _named_onnx(path: str | Path) -> Path:
    if Path(path).suffix != ".onnx":
        raise ConfigError(f"cannot write a model to {str(path)!r}: end the name in .onnx")
    return Path(path)


class _FromWave(nn.Module):
    """(B, T) -> (B, D): features, their normalisation and the network in one."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.mel, self.model = encoder.mel, encoder.model

    def forward(self, wave: Tensor) -> Tensor:
        return self.model(self.mel.normalise(self.mel(wave)))


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """The exporter prints, logs and warns about packages that nothing here uses."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
