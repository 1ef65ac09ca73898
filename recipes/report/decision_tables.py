"""The table of cross-validated decisions; imported by recipes only."""

from __future__ import annotations

from typing import Any

Stored = dict[str, Any]
KINDS = ("real", "simulated")
ROWS = ("as they are", "cross-validated", "oracle speaker count")


def decisions(presets: dict[str, Stored]) -> str:
    """For each preset the errors as they are, cross-validated, and with the oracle count."""
    lines = [f"| preset, settings | {' | '.join(_titles(presets))} |", "|---|" + "---:|" * 8]
    for name, found in presets.items():
        lines += [f"| {name}, {row} | {_cells(found[row])} |" for row in ROWS]
    return "\n".join(lines)


def flatness(presets: dict[str, Stored]) -> str:
    """DER at 0.7 times, at once and at 1.4 times each setting of each preset."""
    lines = [
        "| preset, setting | real: DER % at 0.7 / 1 / 1.4 times | simulated |",
        "|---|---:|---:|",
    ]
    for name, found in presets.items():
        for knob, tried in found["flat"].items():
            cells = []
            for kind in KINDS:
                less, more = (tried[factor][kind]["der"] for factor in ("0.7", "1.4"))
                cells.append(f"{less:.1f} / {found['as they are'][kind]['der']:.1f} / {more:.1f}")
            value = found["settings"][knob]
            lines.append(f"| {name}, `{knob}` {value:g} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _titles(presets: dict[str, Stored]) -> list[str]:
    totals = next(iter(presets.values()))["as they are"]
    return [
        f"{kind} ({totals[kind]['recordings']}): {what}"
        for kind in KINDS
        for what in ("DER %", "confusion", "mean DER a recording", "speakers right of a minute")
    ]


def _cells(totals: Stored) -> str:
    cells = []
    for kind in KINDS:
        t = totals[kind]
        cells += [f"{t['der']:.1f}", f"{t['confusion']:.1f}", f"{t['mean_der']:.1f}"]
        cells.append(f"{t['counts_right_of_these']} of {t['of_a_minute_and_more']}")
    return " | ".join(cells)
