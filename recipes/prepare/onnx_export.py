"""Write weights as one ONNX file that takes a wave and gives a unit vector.

    python -m recipes.prepare.onnx_export --weights deepspeaker-small --out deepspeaker.onnx

A .toml goes beside it, so that `diarize meeting.wav --embedder onnx:deepspeaker.onnx` works. The
file is kept only if onnxruntime makes the same vectors of it as torch does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from encoder.errors import ToolkitError
from encoder.hub.paths import DEFAULT
from encoder.inference.onnx_export import OPSET, export_onnx

console = Console(stderr=True)


def main(
    out: Annotated[Path, typer.Option(help="the .onnx file")],
    weights: Annotated[str, typer.Option(help="name or .safetensors file")] = DEFAULT,
) -> None:
    """Export, check, write."""
    try:
        with console.status("exporting"):
            path = export_onnx(weights, out)
    except ToolkitError as error:
        console.print(f"error: {error}", style="red", highlight=False, markup=False)
        raise typer.Exit(2) from None
    console.print(
        f"wrote {path} (opset {OPSET}, {path.stat().st_size / 1e6:.1f} MB) and "
        f"{path.with_suffix('.toml').name}; use it with --embedder onnx:{path}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


if __name__ == "__main__":
    typer.run(main)
