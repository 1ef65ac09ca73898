"""Tables of what embedders tell of voices; imported by recipes only."""

from __future__ import annotations

from typing import Any

from recipes.report.conversation_tables import title_of

Stored = dict[str, Any]
TOGETHER = "all together"  # as score_clusters.py calls all clips of a split


def voices(embedders: list[Stored]) -> str:
    """The means that a reader compares first: verification and identification."""
    crops = list(embedders[0]["results"]["eval"])
    short = crops[1]
    titles = [f"EER %, {crop} (95 %)" for crop in crops]
    titles += [f"one of 100, {short}, K = {k}" for k in ("1", "5")] + [f"among all, {short}"]
    lines = [f"| embedder, split | {' | '.join(titles)} |", "|---|" + "---:|" * len(titles)]
    for run in embedders:
        for split, by_crop in run["results"].items():
            means = {crop: by_dataset["mean"] for crop, by_dataset in by_crop.items()}
            cells = [_with_interval(m["eer"], m["intervals"].get("eer")) for m in means.values()]
            cells += [_share(means[short]["accuracy"].get(k)) for k in ("1", "5")]
            cells.append(_share((means[short]["closed_set"] or {}).get("top1")))
            lines.append(f"| {title_of(run)}, {split} | {' | '.join(cells)} |")
    return "\n".join(lines)


def evaluate(embedders: list[Stored]) -> str:
    """EER by data set; the means of minimum detection cost and identification accuracy."""
    named = ", ".join(f"{title_of(e)} `{e['fingerprint']}`" for e in embedders)
    lines = [*_error_rates(embedders), "", *_means(embedders), ""]
    return "\n".join([*lines, f"{_identified(embedders[0])} Embedders: {named}."])


def _error_rates(embedders: list[Stored]) -> list[str]:
    first = embedders[0]["results"]
    crops = list(first["eval"])
    titles = [
        crop if number else f"{title_of(e)} {crop}"
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
    """With 95 % intervals of what a reader would compare first."""
    rows = {
        f"{title_of(e)}, {split}, {crop}": by_dataset["mean"]
        for e in embedders
        for split, by_crop in e["results"].items()
        for crop, by_dataset in by_crop.items()
    }
    enrollments = sorted({k for mean in rows.values() for k in mean["accuracy"]}, key=int)
    priors = sorted({p for mean in rows.values() for p in mean["min_dcf"]}, key=float)
    titles = ["means: embedder, split, crop", "EER % (95 %)", *(f"minDCF {p}" for p in priors)]
    titles += [f"top-1 %, K = {k}" for k in enrollments] + ["among all, % (95 %)", "top-5"]
    lines = [f"| {' | '.join(titles)} |", "|---|" + "---:|" * (len(titles) - 1)]
    for title, mean in rows.items():
        cells = [_with_interval(mean["eer"], mean["intervals"].get("eer"))]
        cells += [f"{mean['min_dcf'][p]:.2f}" for p in priors]
        cells += [_share(mean["accuracy"].get(k)) for k in enrollments]
        large = mean["closed_set"] or {"top1": None, "top5": None}
        cells += [_with_interval(large["top1"], mean["intervals"].get("top1"))]
        cells += [_share(large["top5"])]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return lines


def _share(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f}"


def _with_interval(share: float | None, interval: list[float] | None) -> str:
    if share is None or interval is None:
        return _share(share)
    return f"{_share(share)} ({_share(interval[0])}–{_share(interval[1])})"


def _identified(stored: Stored) -> str:
    """Which data sets the accuracies are the mean of."""
    parts = []
    for split, by_crop in stored["results"].items():
        measures = next(iter(by_crop.values()))
        able = [name for name, part in measures.items() if part["accuracy"] and name != "mean"]
        parts.append(f"{split} {', '.join(able) or 'none'}")
    return (
        f"Data sets large enough for top-1: {'; '.join(parts)}. Among all: every utterance that "
        "does not enroll its speaker is identified among all speakers of the data set, two "
        "utterances each. In brackets 95 % of the values that other speakers, drawn from these, "
        "would give."
    )


def calibration(embedders: list[Stored]) -> str:
    """How honest the probabilities are, on speakers that they were not fitted on."""
    head = "embedder, split | sounds | EER % | Cllr | least possible | ECE %"
    lines = [f"| {head} |", "|---|---|" + "---:|" * 4]
    for run in embedders:
        for split, by_pair in run["checked"].items():
            for pair, m in by_pair.items():
                cells = f"{100 * m['eer']:.1f} | {m['cllr']:.3f} | {m['min_cllr']:.3f}"
                ece = f"{100 * m['ece']:.1f}"
                lines.append(f"| {title_of(run)}, {split} | {pair} | {cells} | {ece} |")
    lines.append("")
    for run in embedders:
        fitted = run["fitted_on"]
        lines.append(
            f"{title_of(run)} `{run['fingerprint']}`: log odds = {run['slope']:.2f} × similarity "
            f"{run['offset']:+.2f} {run['shortness']:+.2f} × (1/a + 1/b) for sounds of a and b "
            f"seconds, fitted on {fitted['trials']} pairs of {fitted['speakers']} speakers of "
            f"{fitted['split']}."
        )
    lines.append(
        "EER: of the probabilities, which know the lengths. Cllr: cost in bits, 1 is what knowing "
        "nothing costs. ECE: how far the promised "
        "probability is from the share that came true; even odds beforehand, every data set "
        "weighing the same."
    )
    return "\n".join(lines)


def clusters(embedders: list[Stored]) -> str:
    """Groups of clips: all clips of a split together."""
    head = "embedder, split | precision % | recall % | F % | ARI % | V % | purity %"
    lines = [f"| {head} | speakers found / true | clips |", "|---|" + "---:|" * 8]
    for run in embedders:
        for split, by_set in run["results"].items():
            score = by_set[TOGETHER]
            names = ("precision", "recall", "f", "ari", "v_measure", "purity")
            cells = [f"{100 * score[name]:.1f}" for name in names]
            cells += [_found_of(score), str(score["clips"])]
            lines.append(f"| {title_of(run)}, {split} | {' | '.join(cells)} |")
    lines += [
        "",
        "Pairs of clips are counted: precision of those put together, recall of those of one "
        "speaker. The threshold comes from the calibration, which was fitted on `heldout`; nothing "
        "was fitted on `eval`.",
    ]
    return "\n".join(lines)


def clusters_by_set(embedders: list[Stored]) -> str:
    """Groups of clips, every data set by itself."""
    titles = [f"{title_of(run)} F % | found / true" for run in embedders]
    lines = [f"| split, data set grouped by itself | {' | '.join(titles)} |"]
    lines.append("|---|" + "---:|" * 2 * len(embedders))
    for split, by_set in embedders[0]["results"].items():
        for name in by_set:
            if name == TOGETHER or len(by_set) == 2:
                continue  # of one data set it says the same again
            scores = [run["results"][split][name] for run in embedders]
            cells = [f"{100 * score['f']:.1f} | {_found_of(score)}" for score in scores]
            lines.append(f"| {split}, {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _found_of(score: Stored) -> str:
    return f"{score['speakers_found']} / {score['speakers_true']}"


def clusters_benchmark(runs: list[Stored]) -> str:
    """Seconds, memory and quality of clustering folders of clips."""
    names = ("precision", "recall", "f", "ari", "v_measure")
    head = "precision % | recall % | F % | ARI % | V % | speakers found / true"
    lines = [f"| clips | clusterer | s | peak MB | {head} |", "|---|---|" + "---:|" * 8]
    for run in runs:
        cells = [f"{run['vectors']:,} {run['data']}", run["name"], f"{run['seconds']:.1f}"]
        cells += [f"{run['peak_memory_mb']:,.0f}", *(f"{100 * run[name]:.1f}" for name in names)]
        found, true = run["speakers_found"], run["speakers_true"]
        lines.append(f"| {' | '.join(cells)} | {found:,} / {true:,} |")
    return "\n".join(lines)
