"""The table of `make bench`; imported by recipes only."""

from __future__ import annotations

from typing import Any

Stored = dict[str, Any]
# Stages of the results -> titles; features and network are within `embed`.
TITLES = {
    "decode": "decoding",
    "speech": "level and speech",
    "embed": "embedding",
    "cluster": "clustering",
    "write": "turns and files",
}
INSIDE = {"features": "of it features", "network": "of it the network"}


def bench(measured: list[Stored]) -> str:
    """A column for every length, a row for every stage; start-up in a sentence below."""
    runs = [row for row in measured if row["what"] == "recording"]
    start_up = {row["what"]: row for row in measured}["start-up"]["median"]
    medians = [run["median"] for run in runs]
    names = " | ".join(_length(run["asked_s"]) for run in runs)
    lines = [f"| wall s (CPU s) | {names} |", "|---|" + "---:|" * len(runs)]
    for stage, title in TITLES.items():
        lines.append(_row(title, [_spent(m["stages"].get(stage)) for m in medians]))
        if stage == "embed":
            for part, inner in INSIDE.items():
                lines.append(_row(inner, [_spent(m["inside_embed"].get(part)) for m in medians]))
            lines.append(
                _row("floor of embedding", [f"{m['floor']['embed_s']:.2g}" for m in medians])
            )
    lines += [
        _row("all stages", [_spent(m) for m in medians]),
        _row("over 100 products", [f"{m['ratio']:.1f}" for m in medians]),
        _row("whole command", [_spent(m["command"]) for m in medians]),
        _row("peak MB (loaded)", [f"{m['peak_mb']:.0f} ({m['loaded_mb']:.0f})" for m in medians]),
        "",
        f"Start-up: `diarize --help` {start_up['diarize --help']['wall_s']:.2f} s; `import torch` "
        f"{start_up['import torch']['wall_s']:.1f} s, packages and weights ready after "
        f"{start_up['ready']['wall_s']:.1f} s.",
    ]
    return "\n".join(lines)


def _row(title: str, cells: list[str]) -> str:
    return f"| {title} | {' | '.join(cells)} |"


def _spent(part: Stored | None) -> str:
    return "" if part is None else f"{part['wall_s']:.2f} ({part['cpu_s']:.2f})"


def _length(seconds: float) -> str:
    for size, name in ((3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:g} {name}"
    return f"{seconds:g} s"
