"""The table of `make bench-peers`; imported by recipes only."""

from __future__ import annotations

from typing import Any

from recipes.report.conversation_tables import HEAD, der_row

Stored = dict[str, Any]


def peers(rows: list[Stored]) -> str:
    """A row for every peer with DER, counts and cost; what is to be known of each below."""
    lines = [
        f"| diarizer | {HEAD} right | wall s an hour | CPU s an hour | peak MB |",
        "|---|" + "---:|" * 10,
    ]
    notes, scored = [], [row for row in rows if not row["reason"]]
    for row in scored:
        total, cost = row["all"]["total"], row["per_hour_of_sound"]
        right = f"{total['speaker_count_right']} of {total['recordings']}"
        costs = (cost["wall_s"], cost["cpu_s"], row["peak_memory_mb"])
        shown = ("" if value is None else f"{value:.0f}" for value in costs)
        lines.append(der_row(row["title"], total, right, *shown))
    for row in rows:
        failed = len(row.get("failed", {}))
        parts = [
            row["note"],
            f"stopped at {failed} recordings, which count as missed" * bool(failed),
        ]
        if row["reason"]:
            parts.append(f"left out, {row['reason']}")
        if said := "; ".join(part for part in parts if part):
            notes.append(f"- {row['title']}: {said}.")
    if not scored:
        return "\n".join(notes)
    measured = [row["measured"] for row in scored]
    threads = sorted({m["threads"] for m in measured})
    cpus = sorted({m["cpu"] or "unknown processor" for m in measured})
    loads = [m["load_average"] for m in measured if m["load_average"] is not None]
    busy = f", load average {min(loads):.1f} to {max(loads):.1f} before each run" if loads else ""
    lines += ["", *notes] if notes else []
    lines += [
        "",
        f"{scored[0]['all']['total']['recordings']} development conversations, number of speakers "
        f"unknown, totals weighted by time; {' or '.join(map(str, threads))} threads of "
        f"{' and '.join(cpus)}{busy}; loading not counted.",
    ]
    return "\n".join(lines)
