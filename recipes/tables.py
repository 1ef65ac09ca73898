"""Write the tables of README and model card from the stored results, so that none is typed by hand.

    python recipes/tables.py

Replaces what stands between `<!-- NAME -->` and `<!-- /NAME -->` for NAME in TABLES.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "recipes" / "results"


def conversations() -> str:
    """DER of the default settings, by recording and in total."""
    stored = _load("conversations.json")
    lines = [
        "| recording | DER full % | missed | false alarm | confusion | fair | forgiving | speakers"
        " found / true |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in stored["all"]["recordings"]:
        count = row["speakers"]
        lines.append(_der_row(row["uri"], row, f"{count['hypothesis']} / {count['reference']}"))
    for title, total in (
        ("**all**", stored["all"]["total"]),
        ("**trusted references**", stored["trusted"]),
    ):
        right = f"right in {total['speaker_count_right']} of {total['recordings']}"
        lines.append(_der_row(title, total, right))
    per_hour = stored["per_hour_of_sound"]
    stages = ", ".join(f"{name} {seconds:.1f}" for name, seconds in per_hour["stages"].items())
    lines += [
        "",
        f"Speed on {stored['cores']} cores: {per_hour['wall_s']:.0f} s of wall time and "
        f"{per_hour['cpu_s']:.0f} s of CPU an hour of sound ({stages}), peak memory "
        f"{stored['peak_memory_mb']:.0f} MB, imports included. Encoder `{stored['fingerprint']}`.",
    ]
    return "\n".join(lines)


def evaluate() -> str:
    """EER of the packaged weights."""
    stored = _load("evaluate.json")
    crops = list(stored["eer"]["eval"])
    lines = ["| split, data set | " + " | ".join(crops) + " |", "|---|" + "---:|" * len(crops)]
    for split, by_crop in stored["eer"].items():
        for dataset in by_crop[crops[0]]:
            if split == "eval" and dataset == "mean":
                continue  # one data set: the mean says it twice
            cells = " | ".join(f"{100 * by_crop[crop][dataset]:.1f}" for crop in crops)
            lines.append(f"| {split}, {dataset} | {cells} |")
    return "\n".join([*lines, "", f"Encoder `{stored['fingerprint']}`."])


def totals() -> str:
    """One sentence on diarization with these weights."""
    stored = _load("conversations.json")
    total, high = stored["all"]["total"], stored["trusted"]
    parts = total["der"]["full"]
    return (
        f"Development conversations, default settings, count not told, full protocol: DER "
        f"{100 * parts['rate']:.1f} % over {total['recordings']} recordings (confusion "
        f"{100 * parts['confusion_s'] / parts['reference_s']:.1f} %, speaker count right in "
        f"{total['speaker_count_right']}), {100 * high['der']['full']['rate']:.1f} % over the "
        f"{high['recordings']} with trusted references."
    )


TABLES = {"conversations": conversations, "evaluate": evaluate, "totals": totals}


def _der_row(title: str, row: dict[str, Any], count: str) -> str:
    full = row["der"]["full"]
    parts = [full[f"{name}_s"] for name in ("missed", "false_alarm", "confusion")]
    rates = [full["rate"], *(p / full["reference_s"] for p in parts)]
    rates += [row["der"]["fair"]["rate"], row["der"]["forgiving"]["rate"]]
    return f"| {title} | " + " | ".join(f"{100 * r:.1f}" for r in rates) + f" | {count} |"


def _load(name: str) -> dict[str, Any]:
    return json.loads((RESULTS / name).read_text(encoding="utf-8"))


def main() -> None:
    """Rewrite the README and the card of the packaged weights in place."""
    (card,) = (ROOT / "encoder" / "weights").glob("*.md")
    for path in (ROOT / "README.md", card):
        text = path.read_text(encoding="utf-8")
        for name, make in TABLES.items():
            marked = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.S)
            table = make()
            text = marked.sub(lambda m, t=table: f"{m[1]}\n{t}\n\n{m[2]}", text)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
