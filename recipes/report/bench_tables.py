"""The table of `make bench`; imported by recipes only."""

from __future__ import annotations

from typing import Any

Stored = dict[str, Any]
# Stages of the results -> titles; features and network are within `embed`.
TITLES = {
    "decode": "decoding and level",
    "speech": "speech",
    "embed": "embedding",
    "cluster": "clustering",
    "write": "turns and files",
}
INSIDE = {"features": "of it features", "network": "of it the network"}
HOUR_S = 3600.0


def bench(measured: list[Stored]) -> str:
    """A column for every length, a row for every stage; start-up in a sentence below."""
    runs = [row for row in measured if row["what"] == "recording"]
    start_up = {row["what"]: row for row in measured}["start-up"]["median"]
    medians = [run["median"] for run in runs]
    names = " | ".join(length_title(run["asked_s"]) for run in runs)
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
        *_growth(runs),
        f"Start-up: `diarize --help` {start_up['diarize --help']['wall_s']:.2f} s; `import torch` "
        f"{start_up['import torch']['wall_s']:.1f} s, packages and weights ready after "
        f"{start_up['ready']['wall_s']:.1f} s.",
    ]
    return "\n".join(lines)


def steps(stored: list[Stored]) -> str:
    """A row for every step towards today's speed: one hour of conversation."""
    lines = [
        "| step | commit | all stages s | over 100 products | whole command s | peak MB |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for step in stored:
        m = step["median"]
        lines.append(
            f"| {step['step']} | {(step['commit'] or 'none')[:7]} | {m['wall_s']:.1f} | "
            f"{m['ratio']:.1f} | {m['command']['wall_s']:.1f} | {m['peak_mb']:.0f} |"
        )
    return "\n".join(lines)


def _growth(runs: list[Stored]) -> list[str]:
    """What more time costs, where an hour and a longer recording were measured."""
    hour = next((run["median"] for run in runs if run["asked_s"] == HOUR_S), None)
    longest = max(runs, key=lambda run: run["asked_s"])
    if hour is None or longest["asked_s"] <= HOUR_S:
        return []
    m, hours = longest["median"], longest["asked_s"] / HOUR_S
    each_mb = (m["peak_mb"] - hour["peak_mb"]) / (hours - 1)
    return [
        f"{hours:g} hours take {m['wall_s'] / hour['wall_s']:.1f} times as long as one "
        f"({m['ratio'] / hour['ratio']:.1f} times by the reference); each hour more takes "
        f"{each_mb:.1f} MB.",
        "",
    ]


def _row(title: str, cells: list[str]) -> str:
    return f"| {title} | {' | '.join(cells)} |"


def _spent(part: Stored | None) -> str:
    if part is None:
        return ""
    wall = f"{part['wall_s']:.2f} " if "wall_s" in part else ""
    return f"{wall}({part['cpu_s']:.2f})"


def length_title(seconds: float) -> str:
    """As 10 min."""
    for size, name in ((3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:g} {name}"
    return f"{seconds:g} s"


def fuzz(rows: list[Stored]) -> str:
    """What came of spoilt inputs, by kind."""
    lines = ["| spoilt | inputs | answered right | refused in one sentence | faults |"]
    lines.append("|---|---:|---:|---:|---:|")
    for row in rows:
        cells = [row[key] for key in ("kind", "inputs", "right", "refused", "faults")]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)
