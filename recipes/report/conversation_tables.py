"""Tables of diarization results; imported by recipes only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

Stored = dict[str, Any]
HEAD = "DER full % | missed | false alarm | confusion | fair | forgiving | speakers"


def conversations(runs: list[Stored]) -> str:
    """DER of every preset in total, and what it costs."""
    lines = [f"| preset, recordings | {HEAD} right | CPU s an hour |", "|---|" + "---:|" * 8]
    for run in runs:
        cpu_s = f"{run['per_hour_of_sound']['cpu_s']:.0f}"
        for title, total in (("all", run["all"]["total"]), ("trusted", run["trusted"])):
            right = f"{total['speaker_count_right']} of {total['recordings']}"
            lines.append(der_row(f"{title_of(run)}, {title}", total, right, cpu_s))
    lines.append("")
    for run in runs:
        per_hour = run["per_hour_of_sound"]
        stages = ", ".join(f"{name} {seconds:.1f}" for name, seconds in per_hour["stages"].items())
        lines += [
            f"Speed with {title_of(run)} `{run['fingerprint']}` on {run['cores']} cores: "
            f"{per_hour['wall_s']:.0f} s of wall time and {per_hour['cpu_s']:.0f} s of CPU an hour "
            f"of sound ({stages}), peak memory {run['peak_memory_mb']:.0f} MB, imports included.",
            "",
        ]
    return "\n".join(lines[:-1])


def recordings(runs: list[Stored]) -> str:
    """DER of every recording with the first embedder."""
    lines = [f"| with {title_of(runs[0])} | {HEAD} found / true |", "|---|" + "---:|" * 7]
    for row in runs[0]["all"]["recordings"]:
        count = row["speakers"]
        lines.append(der_row(row["uri"], row, f"{count['hypothesis']} / {count['reference']}"))
    return "\n".join(lines)


def totals(runs: list[Stored]) -> str:
    """One sentence on diarization with the first embedder."""
    total, high = runs[0]["all"]["total"], runs[0]["trusted"]
    parts = total["der"]["full"]
    return (
        f"Development conversations, default settings, unknown count, full protocol: DER "
        f"{100 * parts['rate']:.1f} % over {total['recordings']} recordings (confusion "
        f"{100 * parts['confusion_s'] / parts['reference_s']:.1f} %, speaker count right in "
        f"{total['speaker_count_right']}), {100 * high['der']['full']['rate']:.1f} % over the "
        f"{high['recordings']} with trusted references."
    )


def confidence(embedders: list[Stored]) -> str:
    """How much of the time has the right speaker, among turns at least so sure."""
    least = list(embedders[0]["at_least"])
    titles = ["all turns", *(f"at least {value}" for value in least), "ECE %", "Brier", "without"]
    lines = [f"| time with the right speaker, % (of % of the time) | {' | '.join(titles)} |"]
    lines.append("|---|" + "---:|" * len(titles))
    for run in embedders:
        cells = [f"{100 * run['right']:.1f} (100)"]
        parts = [run["at_least"][value] for value in least]
        cells += [f"{100 * p['right']:.1f} ({100 * p['time']:.0f})" for p in parts]
        cells.append(f"{100 * run['expected_calibration_error']:.1f}")
        cells += [f"{run['brier']:.3f}", f"{run['brier_without']:.3f}"]
        lines.append(f"| {title_of(run)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def naming(rows: list[Stored]) -> str:
    """Known and unknown voices: named right, named wrong, left without a name."""
    kinds = [key for key in rows[0] if key != "min_probability"]
    lines = [f"| probability | {' | '.join(kinds)} |", "|---:|" + "---:|" * len(kinds)]
    for row in rows:
        cells = [" / ".join(str(count) for count in row[kind].values()) for kind in kinds]
        lines.append(f"| {row['min_probability']:g} | {' | '.join(cells)} |")
    return "\n".join(lines)


def title_of(stored: Stored) -> str:
    """A path is too long for a table: the file's name alone."""
    return Path(stored["name"]).name.removesuffix(".safetensors")


def der_row(title: str, row: Stored, *others: str) -> str:
    full = row["der"]["full"]
    parts = [full[f"{name}_s"] for name in ("missed", "false_alarm", "confusion")]
    rates = [full["rate"], *(p / full["reference_s"] for p in parts)]
    rates += [row["der"]["fair"]["rate"], row["der"]["forgiving"]["rate"]]
    return f"| {title} | " + " | ".join([*(f"{100 * r:.1f}" for r in rates), *others]) + " |"


def short_joins(runs: list[Stored]) -> str:
    """How often the speakers of short joins are counted right, by their number."""
    numbers = range(1, len(runs[0]["right"]) + 1)
    titles = [f"{k} speaker{'s' * (k > 1)} right" for k in numbers]
    lines = [f"| preset | {' | '.join(titles)} | each speaks once | in turn, twice |"]
    lines.append("|---|" + "---:|" * (len(titles) + 2))
    for run in runs:
        cells = [f"{right} of {n}" for right, n in zip(run["right"], run["joins"], strict=True)]
        shares = [f"{100 * run[key]:.0f} %" for key in ("right_each_once", "right_in_turn")]
        lines.append(f"| {run['name']} | {' | '.join([*cells, *shares])} |")
    return "\n".join(lines)
