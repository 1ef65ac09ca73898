"""Write the tables of README and model card from the stored results, so that none is typed by hand.

    python recipes/tables.py

Replaces what stands between `<!-- NAME -->` and `<!-- /NAME -->` for NAME in TABLES. README shows
every embedder of the results, the first one in full; a model card only its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from diarize.files import write_atomic
from encoder.errors import CorpusError, FormatError, ToolkitError

Stored = dict[str, Any]
# Results file -> the key of its list of embedders, and what makes the file.
SHAPES = {
    "evaluate": ("embedders", "make evaluate"),
    "conversations": ("runs", "make score-conversations"),
}


def conversations(runs: list[Stored]) -> str:
    """DER of every embedder in total, and of the first by recording."""
    first = runs[0]
    head = "DER full % | missed | false alarm | confusion | fair | forgiving | speakers"
    lines = [f"| embedder, recordings | {head} right | CPU s an hour |", "|---|" + "---:|" * 8]
    for run in runs:
        cpu_s = f"{run['per_hour_of_sound']['cpu_s']:.0f}"
        for title, total in (("all", run["all"]["total"]), ("trusted", run["trusted"])):
            right = f"{total['speaker_count_right']} of {total['recordings']}"
            lines.append(_der_row(f"{_title(run)}, {title}", total, right, cpu_s))
    lines += ["", f"By recording, with {_title(first)}:", ""]
    lines += [f"| recording | {head} found / true |", "|---|" + "---:|" * 7]
    for row in first["all"]["recordings"]:
        count = row["speakers"]
        lines.append(_der_row(row["uri"], row, f"{count['hypothesis']} / {count['reference']}"))
    lines.append("")
    for run in runs:
        per_hour = run["per_hour_of_sound"]
        stages = ", ".join(f"{name} {seconds:.1f}" for name, seconds in per_hour["stages"].items())
        lines += [
            f"Speed with {_title(run)} `{run['fingerprint']}` on {run['cores']} cores: "
            f"{per_hour['wall_s']:.0f} s of wall time and {per_hour['cpu_s']:.0f} s of CPU an hour "
            f"of sound ({stages}), peak memory {run['peak_memory_mb']:.0f} MB, imports included.",
            "",
        ]
    return "\n".join(lines[:-1])


def evaluate(embedders: list[Stored]) -> str:
    """EER by data set; the means of minimum detection cost and identification accuracy."""
    named = ", ".join(f"{_title(e)} `{e['fingerprint']}`" for e in embedders)
    lines = [*_error_rates(embedders), "", *_means(embedders), ""]
    return "\n".join([*lines, f"{_identified(embedders[0])} Embedders: {named}."])


def _error_rates(embedders: list[Stored]) -> list[str]:
    first = embedders[0]["results"]
    crops = list(first["eval"])
    titles = [
        crop if number else f"{_title(e)} {crop}"
        for e in embedders
        for number, crop in enumerate(crops)
    ]
    lines = [f"| EER %: split, data set (speakers) | {' | '.join(titles)} |"]
    lines.append("|---|" + "---:|" * len(titles))
    for split, by_crop in first.items():
        for dataset, measures in by_crop[crops[0]].items():
            if split == "eval" and dataset == "mean":
                continue  # one data set: the mean says it twice
            rates = [e["results"][split][crop][dataset]["eer"] for e in embedders for crop in crops]
            cells = " | ".join(f"{100 * rate:.1f}" for rate in rates)
            lines.append(f"| {split}, {dataset} ({measures['speakers']}) | {cells} |")
    return lines


def _means(embedders: list[Stored]) -> list[str]:
    rows = {
        f"{_title(e)}, {split}, {crop}": by_dataset["mean"]
        for e in embedders
        for split, by_crop in e["results"].items()
        for crop, by_dataset in by_crop.items()
    }
    enrolments = sorted({k for mean in rows.values() for k in mean["accuracy"]}, key=int)
    top = "".join(f" top-1 %, K = {k} |" for k in enrolments)
    lines = [
        f"| means: embedder, split, crop | minDCF |{top}",
        "|---|---:|" + "---:|" * len(enrolments),
    ]
    for title, mean in rows.items():
        shares = [mean["accuracy"].get(k) for k in enrolments]
        cells = "".join(" |" if share is None else f" {100 * share:.1f} |" for share in shares)
        lines.append(f"| {title} | {mean['min_dcf']:.2f} |{cells}")
    return lines


def _identified(stored: Stored) -> str:
    """Which data sets the accuracies are the mean of."""
    parts = []
    for split, by_crop in stored["results"].items():
        measures = next(iter(by_crop.values()))
        able = [name for name, part in measures.items() if part["accuracy"] and name != "mean"]
        parts.append(f"{split} {', '.join(able) or 'none'}")
    return f"Data sets large enough for top-1: {'; '.join(parts)}."


def totals(runs: list[Stored]) -> str:
    """One sentence on diarization with the first embedder."""
    total, high = runs[0]["all"]["total"], runs[0]["trusted"]
    parts = total["der"]["full"]
    return (
        f"Development conversations, default settings, count not told, full protocol: DER "
        f"{100 * parts['rate']:.1f} % over {total['recordings']} recordings (confusion "
        f"{100 * parts['confusion_s'] / parts['reference_s']:.1f} %, speaker count right in "
        f"{total['speaker_count_right']}), {100 * high['der']['full']['rate']:.1f} % over the "
        f"{high['recordings']} with trusted references."
    )


# Name -> what makes it, and from which results.
TABLES: dict[str, tuple[Callable[[list[Stored]], str], str]] = {
    "conversations": (conversations, "conversations"),
    "evaluate": (evaluate, "evaluate"),
    "totals": (totals, "conversations"),
}


def main(
    root: Annotated[Path, typer.Option(help="folder of the project")] = Path(__file__).parents[1],
) -> None:
    """Rewrite the README and the card of the packaged weights in place."""
    try:
        stored = {name: _load(root / "recipes" / "results", name) for name in SHAPES}
        cards = sorted((root / "encoder" / "weights").glob("*.md"))
        texts = {root / "README.md": _filled(root / "README.md", stored)}
        for card in cards:
            fingerprint = card.stem.rpartition("-")[2]
            own = {name: _only(some, fingerprint, name) for name, some in stored.items()}
            texts[card] = _filled(card, own)
        for path, text in texts.items():
            write_atomic(path, text)
    except ToolkitError as error:
        Console(stderr=True).print(
            f"error: {error}", style="red", highlight=False, markup=False, soft_wrap=True
        )
        raise typer.Exit(2) from None


def _filled(path: Path, stored: dict[str, list[Stored]]) -> str:
    """The file's text with every table that it has a place for."""
    text = path.read_text(encoding="utf-8")
    for name, (make, source) in TABLES.items():
        if f"<!-- {name} -->" not in text:
            continue
        table = make(stored[source])
        marked = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.S)
        text = marked.sub(lambda m, t=table: f"{m[1]}\n{t}\n\n{m[2]}", text)
    return text


def _load(folder: Path, name: str) -> list[Stored]:
    """The embedders of one results file; FormatError for the shape of an older version."""
    key, command = SHAPES[name]
    path = folder / f"{name}.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))[key]
    except OSError as error:
        raise CorpusError(f"there are no results {str(path)!r}: run `{command}`") from error
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(
            f"the results {str(path)!r} are not of this version (they hold no {key!r}): "
            f"run `{command}` again"
        ) from error


def _only(stored: list[Stored], fingerprint: str, name: str) -> list[Stored]:
    own = [part for part in stored if part["fingerprint"] == fingerprint]
    if not own:
        raise CorpusError(
            f"the results of {name} hold nothing of the packaged weights {fingerprint!r}: "
            f"run `{SHAPES[name][1]}` again"
        )
    return own


def _title(stored: Stored) -> str:
    """A path is too long for a table: the file's name alone."""
    return Path(stored["name"]).name.removesuffix(".safetensors")


def _der_row(title: str, row: Stored, *others: str) -> str:
    full = row["der"]["full"]
    parts = [full[f"{name}_s"] for name in ("missed", "false_alarm", "confusion")]
    rates = [full["rate"], *(p / full["reference_s"] for p in parts)]
    rates += [row["der"]["fair"]["rate"], row["der"]["forgiving"]["rate"]]
    return f"| {title} | " + " | ".join([*(f"{100 * r:.1f}" for r in rates), *others]) + " |"


if __name__ == "__main__":
    typer.run(main)
