"""Equal error rate of an embedder on speakers it was never trained or tuned on.

    python recipes/evaluate.py --data ../shared/corpus [--weights FILE]

Protocol: `encoder.evaluation` (all pairs within one data set), on the splits `eval` and `heldout`,
for whole utterances, centred 3 s crops and centred 1.6 s crops; shorter utterances are repeated up
to the crop's length. Writes recipes/results/evaluate.json.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from encoder.dataset import FeatureBank, bank_of
from encoder.errors import ToolkitError
from encoder.evaluation import eer_by_dataset
from encoder.hub import DEFAULT
from encoder.inference import Encoder
from encoder.manifest import read_manifest

CROPS = {"full": None, "3 s": 300, "1.6 s": 160}
RESULTS = Path(__file__).parent / "results"


def main(
    data: Annotated[Path, typer.Option(help="corpus folder")],
    weights: Annotated[str, typer.Option(help="name or .safetensors file")] = DEFAULT,
    cache: Annotated[Path, typer.Option(help="feature banks are kept here")] = Path("cache/banks"),
    save: Annotated[bool, typer.Option(help="write recipes/results")] = True,
) -> None:
    """Print and store EER by split, crop and data set."""
    if not (data / "voices/manifest.tsv").exists():
        print(f"skipped: there is no corpus in {str(data)!r}; give DATA=folder")
        return
    try:
        encoder = Encoder.from_pretrained(weights, device="cpu")
        results = {
            split: {
                crop: eer_by_dataset(encoder.model, bank, crop_frames=frames)
                for crop, frames in CROPS.items()
            }
            for split in ("eval", "heldout")
            for bank in [_bank(data, split, cache)]
        }
    except ToolkitError as error:
        Console(stderr=True).print(f"error: {error}", style="red", highlight=False, markup=False)
        raise typer.Exit(2) from None
    _show(results)
    if not save:
        return
    report = {"fingerprint": encoder.fingerprint, "eer": results}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "evaluate.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _bank(data: Path, split: str, cache: Path) -> FeatureBank:
    utterances = [u for u in read_manifest(data / "voices/manifest.tsv") if u.split == split]
    return bank_of(utterances, cache, split)


def _show(results: dict[str, dict[str, dict[str, float]]]) -> None:
    table = Table(title="EER in %, trials within one data set")
    for title in ("split", "data set", *CROPS):
        table.add_column(title, justify="left" if title in ("split", "data set") else "right")
    for split, by_crop in results.items():
        for dataset in next(iter(by_crop.values())):
            cells = [f"{100 * rates[dataset]:.1f}" for rates in by_crop.values()]
            table.add_row(split, dataset, *cells, style="bold" if dataset == "mean" else None)
    Console(width=100).print(table)


if __name__ == "__main__":
    typer.run(main)
