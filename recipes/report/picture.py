"""Draw README's picture from a real run: the table of speakers and the turns on a time line.

python -m recipes.report.picture --sample recipes/samples/ami_ES2004a_600_660.flac
"""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from diarize import Diarizer
from diarize.cli.console import speakers_table
from diarize.core.turns import Turn
from diarize.formats.rttm import read_rttm

WIDTH = 100
COLOURS = ("cyan", "magenta", "yellow", "green", "blue", "red", "white")
OUT = Path(__file__).parents[1] / "results" / "demo.svg"


def main(sample: Annotated[Path, typer.Option(help="sound file with an .rttm beside it")]) -> None:
    """Write recipes/results/demo.svg."""
    result = Diarizer.from_config()(sample)
    (reference,) = read_rttm(sample.with_suffix(".rttm")).values()
    console = Console(record=True, width=WIDTH + 14, force_terminal=True, file=io.StringIO())
    console.print(f"$ diarize {sample.name} -o out.rttm", style="bold")
    speakers_table(result, console=console)
    for title, turns in (("what was found", result.turns), ("reference", sorted(reference))):
        console.print(f"\n{title}", style="bold")
        for line in _lines(turns, result.duration_s):
            console.print(line)
    OUT.parent.mkdir(exist_ok=True)
    svg = console.export_svg(title="diarize")
    # rich links to web fonts; the reader's own monospace font will do.
    OUT.write_text(re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.S), encoding="utf-8")
    print(f"wrote {OUT}")


def _lines(turns: list[Turn], duration_s: float) -> list[Text]:
    """One line a speaker; a cell is filled when the speaker talks for half of it or more."""
    names = list(dict.fromkeys(t.speaker for t in turns))
    cell_s = duration_s / WIDTH
    lines = []
    for colour, name in zip(COLOURS, names, strict=False):
        cells = ""
        for cell in range(WIDTH):
            start, end = cell * cell_s, (cell + 1) * cell_s
            spoken = sum(
                max(0.0, min(end, t.end_s) - max(start, t.start_s))
                for t in turns
                if t.speaker == name
            )
            cells += "█" if spoken >= cell_s / 2 else "·"
        lines.append(Text(f"{name:<12}") + Text(cells, style=colour))
    return lines


if __name__ == "__main__":
    typer.run(main)
