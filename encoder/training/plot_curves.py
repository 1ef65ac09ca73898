"""The picture of a training: loss and validation error over steps, phase after phase."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from encoder.common.atomic_files import replacing
from encoder.errors import BackendUnavailable, FormatError, StoreError

__all__ = ["Phase", "draw_curves", "read_phases"]


class Phase(NamedTuple):
    """One `metrics.jsonl`: (step, value) pairs, with steps counted from the start of the first
    phase, by measurement; `ends` is its last step."""

    name: str
    loss: list[tuple[int, float]]
    errors: dict[str, list[tuple[int, float]]]
    ends: int


def read_phases(paths: Sequence[str | Path]) -> list[Phase]:
    """The measurements of phases that followed each other; a phase is named after its folder.

    Errors are all values whose name begins with `validation`. Lines that a kill has torn are left
    out. Raises StoreError for a file that cannot be read, FormatError for one without measurements.
    """
    phases: list[Phase] = []
    for path in map(Path, paths):
        before = phases[-1].ends if phases else 0
        rows = _rows(path)
        loss = [(before + row["step"], row["loss"]) for row in rows if "loss" in row]
        errors: dict[str, list[tuple[int, float]]] = {}
        for row in rows:
            for name in row:
                if name.startswith("validation"):
                    errors.setdefault(name, []).append((before + row["step"], row[name]))
        name = path.absolute().parent.name
        phases.append(Phase(name, loss, errors, before + rows[-1]["step"]))
    return phases


def draw_curves(paths: Sequence[str | Path], out: str | Path) -> Path:
    """Draw loss and validation error of `metrics.jsonl` files into `out` and return its path.

    The suffix chooses the format: png, svg or pdf. Written in one piece. Raises BackendUnavailable
    without matplotlib, StoreError for files that cannot be read or written, FormatError for
    `paths` without measurements or a suffix that cannot be drawn.
    """
    out = Path(out)
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise BackendUnavailable(
            f"drawing {str(out)!r} needs matplotlib ({error}): "
            "pip install 'deepspeaker-diarize[train]', or go without the picture"
        ) from error
    phases = read_phases(paths)
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for number, phase in enumerate(phases):
        colour = f"C{number}"
        left.plot(*_axes(phase.loss), color=colour, label=phase.name)
        for line, (name, points) in zip(("-", "--", ":", "-.") * 9, phase.errors.items()):  # noqa: B905
            label = f"{phase.name}: {name.removeprefix('validation_')}"
            right.plot(*_axes(points), line, marker=".", color=colour, label=label)
    for panel, title in ((left, "loss"), (right, "validation error")):
        panel.set(title=title, xlabel="step")
        for phase in phases[:-1]:
            panel.axvline(phase.ends, color="0.8", zorder=0)
        if panel.get_legend_handles_labels()[0]:
            panel.legend()
    drawn = io.BytesIO()
    try:
        figure.savefig(drawn, format=out.suffix.removeprefix(".") or "png", dpi=120)
    except ValueError as error:
        raise FormatError(
            f"cannot draw {str(out)!r}: give a name that ends in .png, .svg or .pdf"
        ) from error
    with replacing(out, what="the picture ") as partial:
        partial.write_bytes(drawn.getvalue())
    return out


def _axes(points: list[tuple[int, float]]) -> tuple[list[int], list[float]]:
    return [step for step, _ in points], [value for _, value in points]


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise StoreError(
            f"cannot read {str(path)!r} ({error.strerror}): give the metrics.jsonl of a training"
        ) from error
    rows = []
    for line in text.splitlines():
        with contextlib.suppress(ValueError):
            row = json.loads(line)
            if isinstance(row, dict) and isinstance(row.get("step"), int):
                rows.append(row)
    if not rows:
        raise FormatError(
            f"{str(path)!r} holds no measurements: give the metrics.jsonl of a training"
        )
    return rows
