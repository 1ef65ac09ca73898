"""Tables of the ablation; imported by recipes only."""

from __future__ import annotations

from recipes.report.conversation_tables import HEAD, Stored, der_row, title_of

_AMONG = {"development": "all development", "trusted": "trusted references"}


def ablation(runs: list[Stored]) -> str:
    """Full DER of every row and run, on the development conversations and on all simulated ones."""
    titles = [f"{run['segmenter']}, {title_of(run)}" for run in runs]
    lines = [f"| DER full %, development / simulated | {' | '.join(titles)} |"]
    lines.append("|---|" + "---:|" * len(titles))
    by_run = [{row["row"]: row["sets"] for row in run["rows"]} for run in runs]
    # The run with the most rows has them all in their order.
    for name in max(by_run, key=len):
        cells = [_both_rates(rows[name]) if name in rows else "" for rows in by_run]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def ablation_by_set(runs: list[Stored]) -> str:
    """For every set a table of all rows of all runs, with the wall seconds of the stages."""
    lines = []
    for name in runs[0]["rows"][0]["sets"]:
        title = f"{_AMONG.get(name, f'simulated: {name}')}: segmenter, embedder, row"
        lines += [f"| {title} | {HEAD} right | overlap % | s an hour |", "|---|" + "---:|" * 9]
        for run in runs:
            for row in run["rows"]:
                found = row["sets"][name]
                right = f"{found['speaker_count_right']} of {found['recordings']}"
                wall_s = f"{found['per_hour_of_sound']['wall_s']:.0f}"
                title = f"{run['segmenter']}, {title_of(run)}, {row['row']}"
                more = (right, f"{100 * found['overlap']:.1f}", wall_s)
                lines.append(der_row(title, found, *more))
        lines.append("")
    return "\n".join([*lines, *(_cost(run) for run in runs)])


def ablation_counts(runs: list[Stored]) -> str:
    """How often a true number of speakers became a found one, development conversations.

    Without the rows about aggregation, which hardly changes it.
    """
    counted = [
        (f"{run['segmenter']}, {title_of(run)}, {row['row']}", row["sets"]["development"]["counts"])
        for run in runs
        for row in run["rows"]
        if not (row["oracle_count"] or row["aggregation"])
    ]
    true = sorted({key for _, counts in counted for key in counts}, key=int)
    lines = [f"| found × recordings, of true | {' | '.join(true)} |", "|---|" + "---|" * len(true)]
    for title, counts in counted:
        cells = [", ".join(f"{k}×{n}" for k, n in counts.get(key, {}).items()) for key in true]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _both_rates(sets: Stored) -> str:
    made = [found["der"]["full"] for name, found in sets.items() if name not in _AMONG]
    rates = [sets["development"]["der"]["full"]["rate"]]
    if made:
        error_s = sum(full["rate"] * full["reference_s"] for full in made)
        rates.append(error_s / sum(full["reference_s"] for full in made))
    return " / ".join(f"{100 * rate:.1f}" for rate in rates)


def _cost(run: Stored) -> str:
    stages = run["rows"][0]["sets"]["development"]["per_hour_of_sound"]["stages"]
    by_stage = ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in stages.items())
    busy = run["load_average"]
    others = "" if busy is None else f", with {busy:.1f} processes at work just before"
    own = f"; settings {', '.join(run['settings'])}" if run["settings"] else ""
    return (
        f"- {run['segmenter']}, {title_of(run)} `{run['fingerprint']}`: wall seconds an hour of "
        f"sound, by stage: {by_stage}; {run['cores']} cores{others}{own}"
    )
